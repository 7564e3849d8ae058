"""Faults of servers whose utterances are items: of their ids, their order, their turns.

Most of them say what a sound machine says in another way, by the names of its fields.
A frame that tells of an item names it as ``item_id``, and has the text that is new as
``delta``, the whole of it as ``transcript``, and the times of a turn as
``audio_start_ms`` and ``audio_end_ms``. What tells of the ``session`` holds all of it.
"""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.server_wrappers import (
    Event,
    ServerState,
    ServerWrapper,
    Wrap,
    event,
    is_error,
)
from pytest_realtime_asr.trace.timeline import Usage

_UNKNOWN = '{"type":"no.such.event"}'  # which every dialect refuses
_SHORT = 1000  # characters; longer frames carry audio
_BIG = 4 * 2**20  # bytes of a text frame
_NOISE = 3000  # of 32768
_NOISY = 0.5  # s

Tell = Callable[[Event], Iterable[Event]]


class EventChanger(ServerWrapper):
    """A machine that says each of its events in another way."""

    def tell(self, content: Event) -> Iterable[Event]:
        """The events that are said in the place of this one, which may be changed."""
        raise NotImplementedError

    def open(self, session: str, created: int) -> Iterable[str]:
        return self._told(self._server.open(session, created))

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, replies=self._told(reaction.replies))

    def partial(self, added: str, item: int) -> Iterable[str]:
        return self._told(self._server.partial(added, item))

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return self._told(self._server.final(text, usage, item))

    def _told(self, frames: Iterable[str]) -> tuple[str, ...]:
        return tuple(
            msgspec.json.encode(content).decode()
            for frame in frames
            for content in self.tell(event(frame))
        )


class _Telling(EventChanger):
    """One that does so without a memory."""

    def __init__(self, server: Server, world: ServerState, tell: Tell) -> None:
        super().__init__(server, world)
        self._tell = tell

    def tell(self, content: Event) -> Iterable[Event]:
        return self._tell(content)


def changing(change: Callable[[Event], None]) -> Wrap:
    """A fault that changes each event."""

    def tell(content: Event) -> Iterable[Event]:
        change(content)
        return (content,)

    return lambda server, world: _Telling(server, world, tell)


def dropping(when: Callable[[Event], bool]) -> Wrap:
    """A fault that does not say events of which this holds."""

    def tell(content: Event) -> Iterable[Event]:
        return () if when(content) else (content,)

    return lambda server, world: _Telling(server, world, tell)


def of_errors(**fields: object) -> Wrap:
    """A fault that says other things in its errors."""

    def change(content: Event) -> None:
        if isinstance(content.get("error"), dict):
            content["error"].update(fields)

    return changing(change)


# Ids


def same_event_ids(content: Event) -> None:
    """All events have one id."""
    content["event_id"] = "event_TODO"


def no_event_ids(content: Event) -> None:
    """No event has an id."""
    content.pop("event_id", None)


def other_item_ids(content: Event) -> None:
    """What is completed has another id than what was committed."""
    if "transcript" in content:
        content["item_id"] += "_again"


def same_item_ids(content: Event) -> None:
    """All items have one id."""
    if "item_id" in content:
        content["item_id"] = "item_1"


def unchained(content: Event) -> None:
    """No item follows another."""
    if "previous_item_id" in content:
        content["previous_item_id"] = None


def displaced(content: Event) -> None:
    """What is added to the conversation follows another item than in its commit."""
    if "item" in content:
        content["previous_item_id"] = "item_elsewhere"


def commits(content: Event) -> bool:
    """It acknowledges a commit."""
    return "previous_item_id" in content and "item" not in content


def adds(content: Event) -> bool:
    """It adds an item to the conversation."""
    return "item" in content


# Text


class Foretelling(EventChanger):
    """Says a word of an utterance before it is set up to hear any."""

    def tell(self, content: Event) -> Iterable[Event]:
        yield content
        if confirms(content):
            yield from map(event, self._world.foretold("so"))


class Cumulative(EventChanger):
    """Sends the whole text so far as what is new."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._said: Counter[str] = Counter()
        self._texts: dict[str, str] = {}

    def tell(self, content: Event) -> Iterable[Event]:
        if "delta" in content:
            name = str(content.get("item_id"))
            text = self._texts[name] = self._texts.get(name, "") + content["delta"]
            content["delta"] = text
        return (content,)


class Counting(EventChanger):
    """Counts the pieces of text of an item by what is to be its place."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._pieces: Counter[str] = Counter()

    def tell(self, content: Event) -> Iterable[Event]:
        if "delta" in content:
            content["content_index"] = self._pieces[content["item_id"]]
            self._pieces[content["item_id"]] += 1
        return (content,)


def failing_first(server: Server, world: ServerState) -> Server:
    """A machine that says of each item that it failed, and completes it then."""

    def tell(content: Event) -> Iterable[Event]:
        if "transcript" not in content:
            return (content,)
        kept = ("event_id", "item_id", "content_index")
        failed: Event = {name: content[name] for name in kept}
        failed["event_id"] += "_failed"
        failed["type"] = content["type"].replace("completed", "failed")
        failed["error"] = {"type": "server_error", "code": "none", "message": "failed"}
        return (failed, content)

    return _Telling(server, world, tell)


def no_logprobs(content: Event) -> None:
    """No text has log probabilities."""
    content.pop("logprobs", None)


def odd_logprobs(content: Event) -> None:
    """What is to be the logarithm of a probability is one."""
    for each in content.get("logprobs") or ():
        each["logprob"] = 0.5


class Mixing(ServerWrapper):
    """Two utterances that are open at a time get each other's text in the end."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._begun = 0
        self._open: set[int] = set()
        self._waiting: tuple[str, Usage, int] | None = None

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        if reaction.begin:
            self._open.add(self._begun)
            self._begun += 1
        return reaction

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
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


# The session


def conversing(content: Event) -> None:
    """The session is one of conversation."""
    if isinstance(content.get("session"), dict):
        content["session"]["type"] = "realtime"


def confirms(content: Event) -> bool:
    """It confirms an update."""
    return "session" in content and str(content.get("type")).endswith("updated")


def unset(content: Event) -> None:
    """What is set up is not shown."""
    if confirms(content):
        shown = content["session"]
        content["session"] = {k: v for k, v in shown.items() if isinstance(v, str)}


class Forgetting(ServerWrapper):
    """An update takes back all that is not in it."""

    def hear(self, frame: str | bytes) -> Reaction:
        asked = event(frame).get("session")
        reaction = self._server.hear(frame)
        if not isinstance(asked, dict):
            return reaction
        replies = []
        for reply in reaction.replies:
            content = event(reply)
            if confirms(content):
                shown = content["session"]
                kept = {"id", *asked}
                content["session"] = {
                    k: v if k in kept else None for k, v in shown.items()
                }
            replies.append(msgspec.json.encode(content).decode())
        return replace(reaction, replies=replies)


class ShowingRefused(EventChanger):
    """What was refused is shown as what holds from then on."""

    _refused: Event | None = None

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        asked = event(frame).get("session")
        if isinstance(asked, dict) and any(map(is_error, reaction.replies)):
            self._refused = asked
        return reaction

    def tell(self, content: Event) -> Iterable[Event]:
        if confirms(content) and self._refused is not None:
            content["session"] = _merged(content["session"], self._refused)
        return (content,)


def _merged(one: Any, other: Any) -> Any:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    merged = {k: _merged(one[k], v) if k in one else v for k, v in other.items()}
    return {**one, **merged}


class ConfirmingRefused(EventChanger):
    """An update that is refused is confirmed as well."""

    _shown: Event | None = None

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        asked = event(frame)
        refused = any(map(is_error, reaction.replies))
        if "session" not in asked or not refused or self._shown is None:
            return reaction
        shown = {**self._shown, "type": f"{asked['type']}d", "event_id": "event_again"}
        again = msgspec.json.encode(shown).decode()
        return replace(reaction, replies=(*reaction.replies, again))

    def tell(self, content: Event) -> Iterable[Event]:
        if "session" in content:
            self._shown = content
        return (content,)


# Commits and clears


class AcknowledgingEmpty(ServerWrapper):
    """Acknowledges a commit that it should refuse, and says nothing more of it."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        if not any(map(is_error, replies)) or not self._world.finishes(frame):
            return replace(reaction, replies=replies)
        acknowledged, final = self._world.utterance("Thank you.")
        return replace(reaction, replies=self._said(acknowledged, final))

    def _said(self, acknowledged: Iterable[str], final: Iterable[str]) -> Iterable[str]:
        return acknowledged


class BabblingEmpty(AcknowledgingEmpty):
    """Takes a commit that it should refuse, and hears words in it."""

    def _said(self, acknowledged: Iterable[str], final: Iterable[str]) -> Iterable[str]:
        return (*acknowledged, *final)


class KeepingCleared(ServerWrapper):
    """Answers a clear, and keeps the audio all the same."""

    def hear(self, frame: str | bytes) -> Reaction:
        if len(frame) <= _SHORT and (sound := self._world.amid(frame)).drop:
            return Reaction(sound.replies)
        return self._server.hear(frame)


class IgnoringClear(ServerWrapper):
    """Does not answer a clear."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        if len(frame) <= _SHORT and self._world.amid(frame).drop:
            return replace(reaction, replies=())
        return reaction


class StrictClear(ServerWrapper):
    """Refuses to clear what is empty."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        clears = len(frame) <= _SHORT and self._world.amid(frame).drop
        if clears and not reaction.drop:
            return self._server.hear(_UNKNOWN)
        return reaction


# Audio


class OneRate(ServerWrapper):
    """Takes all audio to be at its own rate, whatever the set-up says."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._rate = server.rate

    @property
    def rate(self) -> int:
        return self._rate


class RefusingBig(ServerWrapper):
    """Refuses frames that are to be taken."""

    def hear(self, frame: str | bytes) -> Reaction:
        return self._server.hear(_UNKNOWN if len(frame) > _BIG else frame)


class ClosingOnOdd(ServerWrapper):
    """Closes on audio that it refuses."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        refused = any(map(is_error, replies)) and "audio" in event(frame)
        return replace(
            reaction, replies=replies, close=1011 if refused else reaction.close
        )


# Turns


def ends_speech(content: Event) -> bool:
    """It tells where speech has ended."""
    return "audio_end_ms" in content


def other_turns(content: Event) -> None:
    """Speech ends in another item than it began in."""
    if ends_speech(content):
        content["item_id"] += "_other"


class Restarting(EventChanger):
    """Counts the times of each turn from its own begin."""

    _start = 0

    def tell(self, content: Event) -> Iterable[Event]:
        if "audio_start_ms" in content:
            self._start, content["audio_start_ms"] = content["audio_start_ms"], 0
        elif ends_speech(content):
            content["audio_end_ms"] -= self._start
        return (content,)


class HearingThings(ServerWrapper):
    """Hears noise in the silence that a session begins with."""

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self._left = round(_NOISY * server.rate)  # samples
        self._noise = random.Random(1)

    def hear(self, frame: str | bytes) -> Reaction:
        content = event(frame) if self._left > 0 else {}
        audio = content.get("audio")
        if not isinstance(audio, str):
            return self._server.hear(frame)
        try:
            pcm = np.frombuffer(base64.b64decode(audio, validate=True), "<i2")
        except ValueError:  # which a sound server refuses
            return self._server.hear(frame)
        if pcm.any():
            self._left = 0
            return self._server.hear(frame)
        self._left -= len(pcm)
        heard = self._noise.randbytes(2 * len(pcm))
        noise = np.frombuffer(heard, "<i2").astype(np.int32) * _NOISE // 32768
        content["audio"] = base64.b64encode(noise.astype("<i2").tobytes()).decode()
        return self._server.hear(msgspec.json.encode(content).decode())
