"""Faults of refusals: which frames the server refuses, and what its errors say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.client_frames import (
    BIG_FRAME,
    LONGEST_CONTROL,
    UNKNOWN_EVENT,
    is_control,
    sets_up,
    was_ignored,
)
from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.frame_edits import (
    Event,
    edited,
    error_edited,
    event,
    is_error,
)
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import (
    ServerWrapper,
    UtteranceTracker,
    WordChanger,
)
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

_LONGEST_REASON = 123  # bytes: RFC 6455, section 5.5
TRACEBACK = """Traceback (most recent call last):
  File "/srv/asr/connection.py", line 112, in handle_event
    await self.engine.append(event["audio"])
  File "/srv/asr/engine.py", line 48, in append
    raise ValueError("buffer size must be a multiple of element size")
ValueError: buffer size must be a multiple of element size
"""
_DEEP = 1000  # levels of JSON
_TOO_BIG = 1009  # a close code
_HUGE = re.compile(r":\d{4301}")
_SURROGATE = re.compile("[\ud800-\udfff]")


# Which frames the server refuses


@fault("tolerant", "ignores frames that it should refuse", needs=Needs.ERRORS)
class Tolerant(ServerWrapper):
    """Sends no errors."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        replies = [reply for reply in reaction.replies if not is_error(reply)]
        return replace(reaction, replies=replies)


@fault("accepts-any-model", "accepts the name of any model", needs=Needs.NAMED_MODEL)
class AcceptsAnyModel(ServerWrapper):
    """Accepts every model name as the name of the model that it serves."""

    def hear(self, frame: Frame) -> Reaction:
        named = event(frame).get("model")
        if isinstance(frame, str) and isinstance(named, str):
            frame = edited(frame, self._name_own)
        return self._server.hear(frame)

    def _name_own(self, content: Event) -> None:
        content["model"] = self._state.models[0]


@fault("one-update", "closes at a second session update", needs=Needs.SET_UP)
class OneUpdate(ServerWrapper):
    """Closes with 1008 on a session update if an earlier update was accepted."""

    _done = False

    def hear(self, frame: Frame) -> Reaction:
        if not sets_up(frame, self._state):
            return self._server.hear(frame)
        if self._done:
            return Reaction(close=1008)
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        self._done = not any(map(is_error, replies))
        return replace(reaction, replies=replies)


@fault(
    "strict-fields", "refuses a session update with unknown fields", needs=Needs.SET_UP
)
class StrictFields(ServerWrapper):
    """Refuses a session update with fields that are not in the protocol."""

    def hear(self, frame: Frame) -> Reaction:
        frames = self._state.correct.set_up_frames()
        known = {name for each in frames for name in event(each)}
        if sets_up(frame, self._state) and set(event(frame)) - known:
            return self._server.hear(UNKNOWN_EVENT)
        return self._server.hear(frame)


@fault("no-early-audio", "refuses audio before the session update", needs=Needs.SET_UP)
class NoEarlyAudio(ServerWrapper):
    """Refuses audio until the client has sent a session update."""

    _done = False

    def hear(self, frame: Frame) -> Reaction:
        self._done |= sets_up(frame, self._state)
        if not self._done and self._state.correct.audio(frame):
            return self._server.hear(UNKNOWN_EVENT)
        return self._server.hear(frame)


@fault("answers-stray", "refuses frames that it should ignore")
class AnswersStray(UtteranceTracker):
    """Sends an error if the client starts or ends an utterance at a wrong time."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        correct = self._state.correct
        if (
            is_control(frame)
            and was_ignored(reaction)
            and (correct.begins(frame) or correct.finishes(frame))
        ):
            return self._server.hear(UNKNOWN_EVENT)
        return reaction


class _Ignores(UtteranceTracker):
    """Sends no error in answer to a frame for which `ignores` returns true."""

    def ignores(self, frame: Frame) -> bool:
        """Return whether the server ignores this frame."""
        raise NotImplementedError

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if not is_control(frame) or not self.ignores(frame):
            return reaction
        replies = [reply for reply in reaction.replies if not is_error(reply)]
        return replace(reaction, replies=replies)


@fault(
    "unbegun-ignored",
    "ignores the final commit of an utterance that has no starting commit",
    needs=Needs.STARTS,
)
class UnbegunIgnored(_Ignores):
    """Sends no error for a final commit of audio while no utterance is open."""

    def ignores(self, frame: Frame) -> bool:
        waits = not self.is_open and self.early_audio.size > 0
        return waits and self._state.correct.finishes(frame)


@fault(
    "early-begin-ignored",
    "ignores an utterance that begins before the final of the previous utterance",
    needs=Needs.STARTS,
)
class EarlyBeginIgnored(_Ignores):
    """Sends no error for a starting commit while a final is due."""

    def ignores(self, frame: Frame) -> bool:
        waits = self.is_open and self.audio.complete
        return waits and self._state.correct.begins(frame)


@fault(
    "starts-anyway",
    "answers an utterance with an error, but still transcribes it",
    needs=Needs.SET_UP,
)
class StartsAnyway(ServerWrapper):
    """Sends an error for an utterance before the session update, but transcribes it.

    The server replies like a correct server. But it acts on utterances and audio as if
    the session were set up from the start.
    """

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._correct = state.correct.new()
        for frame in state.correct.set_up_frames():
            server.hear(frame)

    def hear(self, frame: Frame) -> Reaction:
        replies = self._correct.hear(frame).replies
        return replace(self._server.hear(frame), replies=replies)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        tuple(self._correct.final(text, usage, item))
        return self._server.final(text, usage, item)


@fault(
    "forgets-model",
    "requires a new session update after each final",
    needs=Needs.SET_UP,
)
class ForgetsModel(ServerWrapper):
    """Requires a new session update after each final.

    Until this update comes, the frames that need it are refused as at the start of a
    session, and the wrapped server does not receive them.
    """

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._correct = state.correct.new()

    def hear(self, frame: Frame) -> Reaction:
        refusals = tuple(self._correct.hear(frame).replies)
        return Reaction(refusals) if refusals else self._server.hear(frame)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        self._correct = self._state.correct.new()
        return self._server.final(text, usage, item)


@fault(
    "refused-audio-ends",
    "ends the open utterance when it refuses audio",
    needs=Needs.TEXT_AUDIO,
)
class RefusedAudioEnds(UtteranceTracker):
    """Drops the open utterance when it refuses audio; the utterance gets no final."""

    _lost = False

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if reaction.begin:
            self._lost = False
        replies = tuple(reaction.replies)
        if self.is_open and any(map(is_error, replies)) and _is_append(frame):
            self._lost, self.is_open = True, False
            tuple(self._server.final("", Usage(), self.number - 1))
        return replace(reaction, replies=replies)

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return () if self._lost else self._server.partial(added, item)


def _is_append(frame: Frame) -> bool:
    return str(event(frame).get("type")).endswith("append")


# Frames that are hard to read


@fault("silent-close", "closes on a binary frame without sending an error")
class SilentClose(ServerWrapper):
    """Closes with 1011 on a binary frame, without an error event."""

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, bytes):
            return Reaction(close=1011)
        return self._server.hear(frame)


@fault("closes-on-error", "closes after each error", needs=Needs.ERRORS)
class ClosesOnError(ServerWrapper):
    """Closes with 1011 after an error event."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        close = 1011 if any(map(is_error, replies)) else reaction.close
        return replace(reaction, replies=replies, close=close)


@fault("big-frame-dies", "crashes on a frame over 4 MiB")
class BigFrameDies(ServerWrapper):
    """Ends the server process at a frame over 4 MiB."""

    def hear(self, frame: Frame) -> Reaction:
        data = frame if isinstance(frame, bytes) else frame.encode(errors="replace")
        if len(data) > BIG_FRAME:
            return Reaction(die=True)
        return self._server.hear(frame)


@fault("refuses-big", "refuses frames over 4 MiB")
class RefusesBig(ServerWrapper):
    """Refuses frames over 4 MiB, which a server should accept."""

    def hear(self, frame: Frame) -> Reaction:
        return self._server.hear(UNKNOWN_EVENT if len(frame) > BIG_FRAME else frame)


@fault("odd-audio-closes", "closes on audio that it refuses", needs=Needs.TEXT_AUDIO)
class OddAudioCloses(ServerWrapper):
    """Closes with 1011 after it has sent an error for a frame of audio."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        refused = any(map(is_error, replies)) and "audio" in event(frame)
        return replace(
            reaction, replies=replies, close=1011 if refused else reaction.close
        )


@fault(
    "drops-overlong",
    "drops audio beyond its limit and sends no answer",
    needs=Needs.MOST,
)
class DropsOverlong(ServerWrapper):
    """Ignores the frames that make a correct server close with 1009."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return Reaction() if reaction.close == _TOO_BIG else reaction


@fault("limit-dies", "crashes at audio beyond its limit", needs=Needs.MOST)
class LimitDies(ServerWrapper):
    """Ends the server process when a correct server would close with 1009."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return Reaction(die=True) if reaction.close == _TOO_BIG else reaction


@fault("deep-dies", "closes on deeply nested JSON")
class DeepDies(ServerWrapper):
    """Closes with 1011 on JSON that is nested over 1000 levels deep."""

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, str) and _depth(frame) > _DEEP:
            return Reaction(close=1011)
        return self._server.hear(frame)


def _depth(text: str) -> int:
    """Return how deep the brackets of JSON text are nested.

    Brackets in strings are not counted. The result is 0 if the text has at most
    `_DEEP` opening brackets.
    """
    if text.count("[") + text.count("{") <= _DEEP:
        return 0
    depth = deepest = 0
    for bracket in re.findall(r'[\[{\]}]|"(?:[^"\\]|\\.)*"', text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(bracket, 0)
        deepest = max(deepest, depth)
    return deepest


@fault("surrogate-dies", "closes on a lone surrogate")
class SurrogateDies(ServerWrapper):
    """Closes with 1011 on JSON with an escaped unpaired surrogate."""

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, str) and _has_surrogate(frame):
            return Reaction(close=1011)
        return self._server.hear(frame)


def _has_surrogate(text: str) -> bool:
    """Return whether JSON text has an escaped unpaired surrogate."""
    if "\\ud" not in text.lower():
        return False
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return False
    return _SURROGATE.search(plain) is not None


@fault("composite-type-dies", "closes on an event whose type is a list or an object")
class CompositeTypeDies(ServerWrapper):
    """Closes with 1000 on an event whose type is a list or an object."""

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(event(frame).get("type"), list | dict):
            return Reaction(close=1000)
        return self._server.hear(frame)


@fault("huge-number-dies", "closes on a number of over 4,300 digits")
class HugeNumberDies(ServerWrapper):
    """Closes with 1000 on JSON with an integer of over 4,300 digits."""

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, str) and _HUGE.search(frame):
            return Reaction(close=1000)
        return self._server.hear(frame)


@fault("event-id-dies", "closes on an event id that is not a string")
class EventIdDies(ServerWrapper):
    """Closes with 1000 on an event whose event id is not a string."""

    def hear(self, frame: Frame) -> Reaction:
        if not isinstance(event(frame).get("event_id", ""), str):
            return Reaction(close=1000)
        return self._server.hear(frame)


# What errors say


class _ErrorChanger(ServerWrapper):
    """Replaces fields of each error, and the reason with which the server closes."""

    def fields(self, frame: Frame) -> Mapping[str, object]:
        """Return the new ``message`` or ``code`` of an error that answers a frame.

        If the server closes with a reason, the new message also replaces the reason.
        """
        raise NotImplementedError

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        fields = self.fields(frame)
        replies = [error_edited(reply, **fields) for reply in reaction.replies]
        reason = reaction.reason
        if reason and "message" in fields:
            reason = (
                str(fields["message"])
                .encode()[:_LONGEST_REASON]
                .decode(errors="ignore")
            )
        return replace(reaction, replies=replies, reason=reason)


@fault("stack-trace", "shows a stack trace in its errors")
class StackTrace(_ErrorChanger):
    """Sends a Python traceback as the message of each error."""

    def fields(self, frame: Frame) -> Mapping[str, object]:
        return {"message": TRACEBACK}


@fault("codeless", "sends errors without a code", needs=Needs.ERRORS)
class Codeless(_ErrorChanger):
    """Sends null as the code of each error."""

    def fields(self, frame: Frame) -> Mapping[str, object]:
        return {"code": None}


@fault("wrong-codes", "uses one code for all errors", needs=Needs.ERRORS)
class WrongCodes(_ErrorChanger):
    """Sends ``server_error`` as the code of each error."""

    def fields(self, frame: Frame) -> Mapping[str, object]:
        return {"code": "server_error"}


@fault("echoes", "repeats the client's frame in its errors")
class Echoes(_ErrorChanger):
    """Sends the start of the refused frame in the message of each error."""

    def fields(self, frame: Frame) -> Mapping[str, object]:
        return {"message": f"cannot use {frame[:LONGEST_CONTROL]!r}"}


@fault("shows-key-in-texts", "shows the client's key in its texts")
class ShowsKeyInTexts(WordChanger):
    """Sends the client's key as the last word of each text."""

    def last_words(self) -> Iterable[str]:
        return (self._state.key,)


@fault("shows-key", "shows the client's key in its errors")
class ShowsKey(_ErrorChanger):
    """Sends the client's key in the message of each error."""

    def fields(self, frame: Frame) -> Mapping[str, object]:
        return {"message": f"not allowed with the key {self._state.key}"}
