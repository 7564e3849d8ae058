"""Faults of servers whose utterances are items.

Most of these faults find the event to change by the names of its fields. An event of an
item has the id of the item in ``item_id``, new text in ``delta``, the whole text in
``transcript``, and the times of a turn in ``audio_start_ms`` and ``audio_end_ms``. An
event with ``session`` shows all settings of the session.
"""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.client_frames import UNKNOWN_EVENT, is_control
from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.frame_edits import Event, encoded, event, is_error
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import EventChanger, ServerWrapper, Wrap
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

_NOISE = 3000  # of 32768
_NOISY = 0.5  # s

Change = Callable[[Event], Iterable[Event]]


class _Stateless(EventChanger):
    """Replaces each event by the events that a function returns for it."""

    def __init__(self, server: Server, state: ServerState, change: Change) -> None:
        super().__init__(server, state)
        self._change = change

    def change(self, content: Event) -> Iterable[Event]:
        return self._change(content)


def changing(edit: Callable[[Event], None]) -> Wrap:
    """Return a wrapper that applies ``edit`` to each event."""

    def change(content: Event) -> Iterable[Event]:
        edit(content)
        return (content,)

    return lambda server, state: _Stateless(server, state, change)


def dropping(matches: Callable[[Event], bool]) -> Wrap:
    """Return a wrapper that leaves out the events for which ``matches`` is true."""

    def change(content: Event) -> Iterable[Event]:
        return () if matches(content) else (content,)

    return lambda server, state: _Stateless(server, state, change)


# Ids and order of items


@fault("same-event-ids", "gives all events the same id", by=changing)
def _same_event_ids(content: Event) -> None:
    content["event_id"] = "event_TODO"


@fault("no-event-ids", "sends events without ids", by=changing, needs=Needs.ITEMS)
def _no_event_ids(content: Event) -> None:
    content.pop("event_id", None)


@fault(
    "other-item-ids",
    "completes an item that it has not committed",
    by=changing,
    needs=Needs.ITEMS,
)
def _other_item_ids(content: Event) -> None:
    if "transcript" in content:
        content["item_id"] += "_again"


@fault("same-item-ids", "gives all items the same id", by=changing, needs=Needs.ITEMS)
def _same_item_ids(content: Event) -> None:
    if "item_id" in content:
        content["item_id"] = "item_1"


@fault(
    "unchained",
    "names no previous item",
    by=changing,
    needs=Needs.ITEMS,
)
def _unchained(content: Event) -> None:
    if "previous_item_id" in content:
        content["previous_item_id"] = None


@fault(
    "displaced",
    "names different previous items when it commits an item and when it adds the item",
    by=changing,
    needs=Needs.ITEMS,
)
def _displaced(content: Event) -> None:
    if "item" in content:
        content["previous_item_id"] = "item_elsewhere"


@fault(
    "adds-nothing", "adds no item to the conversation", by=dropping, needs=Needs.ITEMS
)
def _adds_item(content: Event) -> bool:
    return "item" in content


@fault("silent-commit", "does not answer a commit", by=dropping, needs=Needs.ITEMS)
def _acknowledges_commit(content: Event) -> bool:
    return "previous_item_id" in content and "item" not in content


# Text


@fault("foretells", "sends text right after a session update", needs=Needs.LIKE_OPENAI)
class Foretells(EventChanger):
    """Sends a partial after each session update, before any audio."""

    def change(self, content: Event) -> Iterable[Event]:
        yield content
        if _confirms_update(content):
            yield from map(event, self._state.correct.partial("so"))


@fault("cumulative", "sends the whole text so far in each delta", needs=Needs.DELTAS)
class Cumulative(EventChanger):
    """Sends all text of an item so far in each delta."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._texts: dict[str, str] = {}

    def change(self, content: Event) -> Iterable[Event]:
        if "delta" in content:
            name = str(content.get("item_id"))
            text = self._texts[name] = self._texts.get(name, "") + content["delta"]
            content["delta"] = text
        return (content,)


@fault(
    "counts-content",
    "gives each delta of an item a different content_index",
    needs=Needs.ITEMS,
)
class CountsContent(EventChanger):
    """Numbers the deltas of each item from 0, in the field ``content_index``."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._deltas: Counter[str] = Counter()

    def change(self, content: Event) -> Iterable[Event]:
        if "delta" in content:
            content["content_index"] = self._deltas[content["item_id"]]
            self._deltas[content["item_id"]] += 1
        return (content,)


@fault(
    "fails-first",
    "reports each item as failed and then completes it",
    needs=Needs.ITEMS,
)
class FailsFirst(EventChanger):
    """Sends a failed event and then a completed event for each item."""

    def change(self, content: Event) -> Iterable[Event]:
        if "transcript" not in content:
            return (content,)
        kept = ("event_id", "item_id", "content_index")
        failed: Event = {name: content[name] for name in kept}
        failed["event_id"] += "_failed"
        failed["type"] = content["type"].replace("completed", "failed")
        failed["error"] = {"type": "server_error", "code": "none", "message": "failed"}
        return (failed, content)


@fault("no-logprobs", "sends no log probabilities", by=changing, needs=Needs.ITEMS)
def _no_logprobs(content: Event) -> None:
    content.pop("logprobs", None)


@fault(
    "odd-logprobs", "sends positive log probabilities", by=changing, needs=Needs.ITEMS
)
def _odd_logprobs(content: Event) -> None:
    for each in content.get("logprobs") or ():
        each["logprob"] = 0.5


@fault(
    "mixes-items",
    "swaps the texts of two items that are open together",
    needs=Needs.LIKE_OPENAI,
)
class MixesItems(ServerWrapper):
    """Delays a final while another item is open, and swaps the texts of both items."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._begun = 0
        self._open: set[int] = set()
        self._waiting: tuple[str, Usage, int] | None = None

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if reaction.begin:
            self._open.add(self._begun)
            self._begun += 1
        return reaction

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        self._open.discard(item)
        if self._waiting is not None:
            (other, its_usage, its_item), self._waiting = self._waiting, None
            return [
                *self._server.final(other, usage, item),
                *self._server.final(text, its_usage, its_item),
            ]
        if self._open:
            self._waiting = (text, usage, item)
            return ()
        return self._server.final(text, usage, item)


# The session and its settings


@fault(
    "conversing",
    "opens a session for conversation, not transcription",
    by=changing,
    needs=Needs.LIKE_OPENAI,
)
def _conversing(content: Event) -> None:
    session = content.get("session")
    if isinstance(session, dict) and "intent" in session:
        session["intent"] = "conversation"
    elif isinstance(session, dict):
        session["type"] = "realtime"


@fault(
    "silent-update",
    "does not answer a session update",
    by=dropping,
    needs=Needs.LIKE_OPENAI,
)
def _confirms_update(content: Event) -> bool:
    return "session" in content and str(content.get("type")).endswith("updated")


@fault(
    "unset",
    "does not show the settings that it has accepted",
    by=changing,
    needs=Needs.ITEMS,
)
def _unset(content: Event) -> None:
    if _confirms_update(content):
        shown = content["session"]
        content["session"] = {k: v for k, v in shown.items() if isinstance(v, str)}


@fault(
    "forgets-rest",
    "resets the settings that an update does not name",
    needs=Needs.ITEMS,
)
class ForgetsRest(ServerWrapper):
    """Answers an update with null for each setting that the update does not name."""

    def hear(self, frame: Frame) -> Reaction:
        asked = event(frame).get("session")
        reaction = self._server.hear(frame)
        if not isinstance(asked, dict):
            return reaction
        replies = []
        for reply in reaction.replies:
            content = event(reply)
            if _confirms_update(content):
                shown = content["session"]
                kept = {"id", *asked}
                content["session"] = {
                    k: v if k in kept else None for k, v in shown.items()
                }
            replies.append(encoded(content))
        return replace(reaction, replies=replies)


@fault("shows-refused", "shows the settings that it has refused", needs=Needs.ITEMS)
class ShowsRefused(EventChanger):
    """Sends the refused settings in the reply to the next update."""

    _refused: Event | None = None

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        asked = event(frame).get("session")
        if isinstance(asked, dict) and any(map(is_error, reaction.replies)):
            self._refused = asked
        return reaction

    def change(self, content: Event) -> Iterable[Event]:
        if _confirms_update(content) and self._refused is not None:
            content["session"] = _merged(content["session"], self._refused)
        return (content,)


def _merged(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    merged = {k: _merged(one[k], v) if k in one else v for k, v in other.items()}
    return {**one, **merged}


@fault(
    "confirms-refused",
    "sends an error for an update and then confirms the update",
    needs=Needs.ITEMS,
)
class ConfirmsRefused(EventChanger):
    """Sends an error for an update and then confirms the update.

    The confirmation repeats the settings that the server sent last.
    """

    _shown: Event | None = None

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        asked = event(frame)
        refused = any(map(is_error, reaction.replies))
        if "session" not in asked or not refused or self._shown is None:
            return reaction
        again = encoded(
            {**self._shown, "type": f"{asked['type']}d", "event_id": "event_again"}
        )
        return replace(reaction, replies=(*reaction.replies, again))

    def change(self, content: Event) -> Iterable[Event]:
        if "session" in content:
            self._shown = content
        return (content,)


# Fields of errors


def _with_error_field(name: str, value: object) -> Wrap:
    """Return a wrapper that sets a field of each error."""

    def edit(content: Event) -> None:
        if isinstance(content.get("error"), dict):
            content["error"][name] = value

    return changing(edit)


fault("typeless", "sends errors without a type", needs=Needs.LIKE_OPENAI)(
    _with_error_field("type", "")
)
fault("causeless", "does not say which event an error is about", needs=Needs.ITEMS)(
    _with_error_field("event_id", None)
)
fault("paramless", "does not say which field an error is about", needs=Needs.ITEMS)(
    _with_error_field("param", None)
)


# Commits and clears


@fault("acknowledges-empty", "acknowledges an empty commit and sends no text")
class AcknowledgesEmpty(ServerWrapper):
    """Acknowledges a commit that it should refuse, and sends no final for it."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        correct = self._state.correct
        if not any(map(is_error, replies)) or not correct.finishes(frame):
            return replace(reaction, replies=replies)
        acknowledged, final = correct.utterance("Thank you.")
        return replace(reaction, replies=self._replies(acknowledged, final))

    def _replies(
        self, acknowledged: Iterable[Frame], final: Iterable[Frame]
    ) -> Iterable[Frame]:
        return acknowledged


@fault("babbles-of-empty", "sends words for an empty commit")
class BabblesOfEmpty(AcknowledgesEmpty):
    """Acknowledges a commit that it should refuse, and sends a final with words."""

    def _replies(
        self, acknowledged: Iterable[Frame], final: Iterable[Frame]
    ) -> Iterable[Frame]:
        return (*acknowledged, *final)


@fault(
    "keeps-cleared", "keeps audio that the client has cleared", needs=Needs.LIKE_OPENAI
)
class KeepsCleared(ServerWrapper):
    """Confirms that the audio is cleared, but keeps the audio."""

    def hear(self, frame: Frame) -> Reaction:
        if is_control(frame):
            correct = self._state.correct.in_utterance(frame)
            if correct.drop:
                return Reaction(correct.replies)
        return self._server.hear(frame)


@fault("silent-clear", "does not answer a clear", needs=Needs.LIKE_OPENAI)
class SilentClear(ServerWrapper):
    """Drops the audio when the client clears it, but sends no reply."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if is_control(frame) and self._state.correct.in_utterance(frame).drop:
            return replace(reaction, replies=())
        return reaction


@fault(
    "strict-clear",
    "refuses to clear audio when no utterance is open",
    needs=Needs.ITEMS,
)
class StrictClear(ServerWrapper):
    """Sends an error if the client clears audio while no utterance is open."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        clears = is_control(frame) and self._state.correct.in_utterance(frame).drop
        if clears and not reaction.drop:
            return self._server.hear(UNKNOWN_EVENT)
        return reaction


# Audio and turns


@fault("one-rate", "ignores the sample rate that the client sets", needs=Needs.RATES)
class OneRate(ServerWrapper):
    """Reads all audio at the default sample rate of the client."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._rate = state.correct.rate

    @property
    def rate(self) -> int:
        return self._rate


@fault(
    "endless-speech", "never reports the end of speech", by=dropping, needs=Needs.TURNS
)
def _ends_speech(content: Event) -> bool:
    return "audio_end_ms" in content


@fault(
    "other-turns", "ends a turn that it did not start", by=changing, needs=Needs.TURNS
)
def _other_turns(content: Event) -> None:
    if _ends_speech(content):
        content["item_id"] += "_other"


@fault("restarts-times", "counts times from the start of each turn", needs=Needs.TURNS)
class RestartsTimes(EventChanger):
    """Counts the times of each turn from its start, so each turn starts at 0 ms."""

    _start = 0

    def change(self, content: Event) -> Iterable[Event]:
        if "audio_start_ms" in content:
            self._start, content["audio_start_ms"] = content["audio_start_ms"], 0
        elif _ends_speech(content):
            content["audio_end_ms"] -= self._start
        return (content,)


@fault("hears-things", "detects turns in silence", needs=Needs.TEXT_AUDIO)
class HearsThings(ServerWrapper):
    """Replaces 0.5 s of silence at the start of a session with noise."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._left = round(_NOISY * server.rate)  # samples
        self._noise = random.Random(1)

    def hear(self, frame: Frame) -> Reaction:
        content = event(frame) if self._left > 0 else {}
        audio = content.get("audio")
        if not isinstance(audio, str):
            return self._server.hear(frame)
        try:
            pcm = np.frombuffer(base64.b64decode(audio, validate=True), "<i2")
        except ValueError:  # a correct server refuses this audio
            return self._server.hear(frame)
        if pcm.any():
            self._left = 0
            return self._server.hear(frame)
        self._left -= len(pcm)
        heard = self._noise.randbytes(2 * len(pcm))
        noise = np.frombuffer(heard, "<i2").astype(np.int32) * _NOISE // 32768
        content["audio"] = base64.b64encode(noise.astype("<i2").tobytes()).decode()
        return self._server.hear(encoded(content))
