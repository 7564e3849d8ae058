"""Faults of servers that divide their text into segments with numbers and times.

These faults find the event to change by its type and by the names of its fields. The
event with the text of a segment has the fields ``segment_id``, ``is_final``, ``text``,
``audio_start_ms`` and ``audio_end_ms``. Each event has an ``event_index``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.client_frames import is_control
from pytest_realtime_asr.fake.faults.items import changing, dropping
from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.frame_edits import Event, event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import EventChanger, ServerWrapper
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

_MANY = 1000  # more segments than a session has
_AHEAD = 60_000  # ms
_CLEAR = '{"type":"input_audio_buffer.clear"}'
_DONE = "transcription.done"
_COMPLETED = "transcription.completed"


def _is_committed(content: Event) -> bool:
    return "segment_id" in content and str(content["type"]).endswith(".committed")


# Numbers of events and segments


@fault(
    "skips-indexes",
    "leaves out one number when it numbers its events",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _skips_indexes(content: Event) -> None:
    if content.get("event_index", 0) > 2:
        content["event_index"] += 1


@fault(
    "counts-segments-down",
    "numbers its segments in descending order",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _counts_down(content: Event) -> None:
    if "segment_id" in content:
        content["segment_id"] = _MANY - content["segment_id"]


@fault(
    "other-segment-ids",
    "settles a segment that it has not committed",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _other_ids(content: Event) -> None:
    if "is_final" in content:
        content["segment_id"] += _MANY


@fault(
    "silent-segments",
    "does not say that a segment is committed",
    by=dropping,
    needs=Needs.SEGMENTS,
)
def _commits_segment(content: Event) -> bool:
    return _is_committed(content)


@fault("commits-twice", "commits each segment twice", needs=Needs.SEGMENTS)
class CommitsTwice(EventChanger):
    """Sends two copies of each event that commits a segment."""

    def change(self, content: Event) -> Iterable[Event]:
        return (content, content) if _is_committed(content) else (content,)


# Texts and times


@fault(
    "unsettles-segments",
    "sends a settled segment again, as one that may change",
    needs=Needs.SEGMENTS,
)
class Unsettles(EventChanger):
    """Sends each settled segment again, as a segment that may still change."""

    def change(self, content: Event) -> Iterable[Event]:
        yield content
        if content.get("is_final"):
            yield {**content, "is_final": False}


@fault(
    "overlaps-segments",
    "says that each segment starts at the start of the session",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _overlaps(content: Event) -> None:
    if "is_final" in content:
        content["audio_start_ms"] = 0


@fault(
    "runs-ahead",
    "states that a segment ends later than the audio received so far",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _runs_ahead(content: Event) -> None:
    if content.get("is_final") is False:
        content["audio_end_ms"] += _AHEAD


# The session


@fault(
    "hides-language",
    "leaves the accepted language out of the session settings that it sends",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _hides_language(content: Event) -> None:
    if isinstance(content.get("session"), dict):
        content["session"]["language"] = None


@fault(
    "completes-twice",
    "sends the complete text of the session twice",
    needs=Needs.SEGMENTS,
)
class CompletesTwice(EventChanger):
    """Sends the last event of a session twice."""

    def change(self, content: Event) -> Iterable[Event]:
        completes = content.get("type") == _COMPLETED
        return (content, content) if completes else (content,)


@fault(
    "completes-in-part",
    "leaves the last word out of the complete text of the session",
    by=changing,
    needs=Needs.SEGMENTS,
)
def _completes_in_part(content: Event) -> None:
    if content.get("type") == _COMPLETED:
        content["text"] = " ".join(content["text"].split()[:-1])


@fault(
    "done-discards",
    "discards the open utterance when the audio of the session is complete",
    needs=Needs.SEGMENTS,
)
class DoneDiscards(ServerWrapper):
    """Discards uncommitted audio when the client says that its audio is complete."""

    def hear(self, frame: Frame) -> Reaction:
        if not is_control(frame) or event(frame).get("type") != _DONE:
            return self._server.hear(frame)
        dropped = self._server.hear(_CLEAR).drop
        return replace(self._server.hear(frame), drop=dropped)


@fault(
    "clear-discards-all",
    "discards committed audio too when the client clears uncommitted audio",
    needs=Needs.SEGMENTS,
)
class ClearDiscardsAll(ServerWrapper):
    """Sends no more text of the utterances that began before a clear."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._begun = 0
        self._open: set[int] = set()

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if event(frame).get("type") == event(_CLEAR)["type"]:
            self._open.clear()
        if reaction.begin:
            self._open.add(self._begun)
            self._begun += 1
        return reaction

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return self._server.partial(added, item) if item in self._open else ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return self._server.final(text, usage, item) if item in self._open else ()
