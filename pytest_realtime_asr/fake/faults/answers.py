"""Faults of servers that answer each message by one message."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.frame_edits import Event, edited
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import EventChanger, ServerWrapper
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

_EARLY = "hello"
_PER_CENT = 100
_MS = 1000  # in a second


# Which messages are answered, and how


@fault(
    "answers-first",
    "sends a text before the client sends a message",
    needs=Needs.ANSWERS,
)
class AnswersFirst(ServerWrapper):
    """Sends a partial with a word as soon as the connection is open."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        yield from self._server.open(session, created)
        for reply in self._state.correct.in_utterance(bytes(2)).replies:
            yield edited(reply, lambda content: content.update(partial=_EARLY))


@fault(
    "skips-replies", "answers only every second message of audio", needs=Needs.ANSWERS
)
class SkipsReplies(ServerWrapper):
    """Does not answer the first message of audio, the third, and so on."""

    _count = 0

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if not isinstance(frame, bytes):
            return reaction
        self._count += 1
        return replace(reaction, replies=()) if self._count % 2 else reaction


@fault(
    "partial-at-end",
    "answers the end of the audio by a partial",
    needs=Needs.ANSWERS,
)
class PartialAtEnd(ServerWrapper):
    """Sends the text of the last segment as a partial, in place of a result."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return [edited(each, _to_partial) for each in super().final(text, usage, item)]


@fault("nameless-replies", "renames the field of a partial", needs=Needs.ANSWERS)
class NamelessReplies(EventChanger):
    """Sends the text of a partial in a field that no client knows."""

    def change(self, content: Event) -> Iterable[Event]:
        if "partial" in content:
            content["hypothesis"] = content.pop("partial")
        return (content,)


@fault("binary-replies", "sends its messages as binary frames", needs=Needs.ANSWERS)
class BinaryReplies(ServerWrapper):
    """Sends the text of each message as the data of a binary frame."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, replies=_binary(reaction.replies))

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return _binary(self._server.final(text, usage, item))


@fault(
    "open-after-end",
    "leaves the session open after the end of the audio",
    needs=Needs.ANSWERS,
)
class OpenAfterEnd(ServerWrapper):
    """Waits for another message after the last result, instead of closing."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, close=None) if reaction.finish else reaction


@fault("reset-ends", "ends the session at a reset", needs=Needs.ANSWERS)
class ResetEnds(ServerWrapper):
    """Closes with code 1000 after it has answered a reset."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if reaction.finish and reaction.close is None:
            return replace(reaction, close=1000, after_finals=True)
        return reaction


@fault(
    "empty-breaks",
    "drops the connection at the end of an utterance without audio",
    needs=Needs.ANSWERS,
)
class EmptyBreaks(ServerWrapper):
    """Ends the connection without a close frame if an utterance has no audio."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        empty = reaction.begin and reaction.finish
        return Reaction(close=0) if empty else reaction


@fault(
    "ignores-texts",
    "ignores a text that is not a message of the protocol",
    needs=Needs.ANSWERS,
)
class IgnoresTexts(ServerWrapper):
    """Ignores an unknown text; a correct server ends the session."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        refused = reaction.close is not None and not reaction.finish
        return Reaction() if refused and isinstance(frame, str) else reaction


@fault(
    "odd-bytes-end",
    "ends the session when audio ends in half a sample",
    needs=Needs.ANSWERS,
)
class OddBytesEnd(ServerWrapper):
    """Closes the connection if the audio of a message ends in half a sample."""

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, bytes) and len(frame) % 2:
            return Reaction(close=1011)
        return self._server.hear(frame)


# The content of results


@fault(
    "repeats-segments",
    "repeats the settled segments of an utterance in each later answer",
    needs=Needs.ANSWERS,
)
class RepeatsSegments(EventChanger):
    """Puts the text of all earlier segments before the text of each segment."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._before = ""

    def change(self, content: Event) -> Iterable[Event]:
        for name in ("partial", "text"):
            if name in content:
                content[name] = f"{self._before} {content[name]}".strip()
        self._before = content.get("text", self._before)
        return (content,)


class _WordChanger(EventChanger):
    """Changes the words of each result."""

    def change(self, content: Event) -> Iterable[Event]:
        if content.get("result"):
            content["result"] = self.words(content["result"])
        return (content,)

    def words(self, words: Sequence[Event]) -> Sequence[Event]:
        """Return the words to send in place of the words of a result."""
        raise NotImplementedError


@fault(
    "loses-word-times",
    "leaves the last word of a result without times",
    needs=Needs.ANSWERS,
)
class LosesWordTimes(_WordChanger):
    """Leaves the last word out of the list of words, but not out of the text."""

    def words(self, words: Sequence[Event]) -> Sequence[Event]:
        return words[:-1]


@fault("no-word-times", "sends no word times", needs=Needs.ANSWERS)
class NoWordTimes(_WordChanger):
    """Sends results without the times of their words."""

    def words(self, words: Sequence[Event]) -> Sequence[Event]:
        return ()


@fault("word-times-in-ms", "sends word times in ms", needs=Needs.ANSWERS)
class WordTimesInMs(_WordChanger):
    """Sends the start and the end of each word in milliseconds."""

    def words(self, words: Sequence[Event]) -> Sequence[Event]:
        return [
            {**each, "start": each["start"] * _MS, "end": each["end"] * _MS}
            for each in words
        ]


@fault("percent-confidences", "sends confidences in per cent", needs=Needs.ANSWERS)
class PercentConfidences(_WordChanger):
    """Sends each confidence as a number from 0 to 100."""

    def words(self, words: Sequence[Event]) -> Sequence[Event]:
        return [{**each, "conf": each["conf"] * _PER_CENT} for each in words]


def _to_partial(content: Event) -> None:
    text = content.pop("text", "")
    content.clear()
    content["partial"] = text


def _binary(frames: Iterable[Frame]) -> list[Frame]:
    return [each.encode() if isinstance(each, str) else each for each in frames]
