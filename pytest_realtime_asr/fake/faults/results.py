"""Faults of results that come in segments, and of sessions with such results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count

from pytest_realtime_asr.dialects import HttpRefusal, Reaction, Server
from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.fake.frame_edits import Event, event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import (
    EventChanger,
    ServerWrapper,
    UtteranceTracker,
    Wrap,
)
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

EARLY = 1.0  # s by which the results of `segments-overlap` begin too early
MUTED = 1.0  # s of audio that `stray-finalize-mutes` ignores
IGNORED = 5.5  # s without another frame after which `ignores-keepalive` closes
IDLE = 2.0  # s without a frame after which `closes-idle-early` closes
_RESULTS = "Results"

Change = Callable[[Event], None]


class _Changes(EventChanger):
    """Applies ``change`` to each event of the type ``kind``."""

    def __init__(
        self, server: Server, state: ServerState, kind: str, change: Change
    ) -> None:
        super().__init__(server, state)
        self._kind = kind
        self._change = change

    def change(self, content: Event) -> Iterable[Event]:
        if content.get("type") == self._kind:
            self._change(content)
        return (content,)


def changing(kind: str) -> Callable[[Change], Wrap]:
    """Return a function that takes a change of events and returns a wrapper.

    The wrapper applies the change to each event of the type ``kind``.
    """
    return lambda change: lambda server, state: _Changes(server, state, kind, change)


# Segments and words


@fault(
    "segments-overlap",
    "sends segments that start before the settled audio ends",
    by=changing(_RESULTS),
    needs=Needs.LIKE_DEEPGRAM,
)
def _overlapping(content: Event) -> None:
    moved = min(EARLY, content["start"])
    content["start"] -= moved
    content["duration"] += moved


@fault(
    "short-durations",
    "halves the durations of segments",
    by=changing(_RESULTS),
    needs=Needs.LIKE_DEEPGRAM,
)
def _short(content: Event) -> None:
    content["duration"] /= 2


@fault(
    "words-in-ms",
    "gives the times of words in milliseconds instead of seconds",
    by=changing(_RESULTS),
    needs=Needs.LIKE_DEEPGRAM,
)
def _words_in_ms(content: Event) -> None:
    for word in _words(content):
        word["start"] *= 1000
        word["end"] *= 1000


@fault(
    "first-word-untimed",
    "leaves the first word out of the list of words of a segment",
    by=changing(_RESULTS),
    needs=Needs.LIKE_DEEPGRAM,
)
def _without_first_word(content: Event) -> None:
    words = _words(content)
    if len(words) > 1:
        del words[0]


@fault(
    "results-in-percent",
    "gives its confidences in percent",
    by=changing(_RESULTS),
    needs=Needs.LIKE_DEEPGRAM,
)
def _in_percent(content: Event) -> None:
    for each in (*content["channel"]["alternatives"], *_words(content)):
        each["confidence"] *= 100


def _words(content: Event) -> list[Event]:
    words: list[Event] = content["channel"]["alternatives"][0]["words"]
    return words


@fault(
    "loses-first-segment",
    "does not send the first segment that it settles",
    needs=Needs.LIKE_DEEPGRAM,
)
class LosesFirstSegment(EventChanger):
    """Leaves out the first of several settled segments of each utterance."""

    _lost = False

    def change(self, content: Event) -> Iterable[Event]:
        if content.get("type") != _RESULTS or not content["is_final"]:
            return (content,)
        if content["from_finalize"]:
            self._lost = False
        elif not self._lost:
            self._lost = True
            return ()
        return (content,)


@fault(
    "loses-third-segment",
    "does not send the third segment that it settles",
    needs=Needs.LIKE_DEEPGRAM,
)
class LosesThirdSegment(UtteranceTracker):
    """Leaves out the third settled segment of an utterance if a fourth one follows."""

    _settled = 0

    def reset(self) -> None:
        self._settled = 0

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        for frame in self._server.partial(added, item):
            self._settled += event(frame).get("is_final") is True
            if not (event(frame).get("is_final") is True and self._settled == 3):
                yield frame


@fault(
    "early-results",
    "sends results as soon as the session is open",
    needs=Needs.FREE_TEXT,
)
class EarlyResults(ServerWrapper):
    """Sends results that contain a word although no audio has come yet."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        yield from self._server.open(session, created)
        yield from self._state.correct.partial("so")


@fault(
    "unasked-interims",
    "sends interim results although the client did not ask for them",
    needs=Needs.LIKE_DEEPGRAM,
)
class UnaskedInterims(EventChanger):
    """Sends each settled segment twice, first as an interim result."""

    def change(self, content: Event) -> Iterable[Event]:
        if content.get("type") == _RESULTS and content["is_final"]:
            unsettled = {"is_final": False, "speech_final": False}
            yield {**content, **unsettled, "from_finalize": False}
        yield content


@fault(
    "changes-request-id",
    "gives each result a request id of its own",
    needs=Needs.LIKE_DEEPGRAM,
)
class ChangesRequestId(EventChanger):
    """Appends a number to the request id of each result."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._numbers = count(1)

    def change(self, content: Event) -> Iterable[Event]:
        if content.get("type") == _RESULTS:
            content["metadata"]["request_id"] += f"-{next(self._numbers)}"
        return (content,)


# Other events


@fault(
    "unasked-speech-events",
    "sends SpeechStarted although the client did not ask for it",
    needs=Needs.LIKE_DEEPGRAM,
)
class UnaskedSpeechEvents(EventChanger):
    """Sends ``SpeechStarted`` before each result."""

    def change(self, content: Event) -> Iterable[Event]:
        if content.get("type") == _RESULTS:
            start = content["start"]
            yield {"type": "SpeechStarted", "channel": [0, 1], "timestamp": start}
        yield content


@fault(
    "no-speech-started", "never reports the start of speech", needs=Needs.LIKE_DEEPGRAM
)
class NoSpeechStarted(EventChanger):
    """Leaves out each ``SpeechStarted``."""

    def change(self, content: Event) -> Iterable[Event]:
        return () if content.get("type") == "SpeechStarted" else (content,)


@fault(
    "utterance-end-at-zero",
    "says that the last word ended at 0 s",
    by=changing("UtteranceEnd"),
    needs=Needs.LIKE_DEEPGRAM,
)
def _at_zero(content: Event) -> None:
    content["last_word_end"] = 0.0


@fault(
    "metadata-in-ms",
    "gives the duration of a session in milliseconds instead of seconds",
    by=changing("Metadata"),
    needs=Needs.LIKE_DEEPGRAM,
)
def _duration_in_ms(content: Event) -> None:
    content["duration"] *= 1000


@fault("answers-keepalive", "answers KeepAlive", needs=Needs.LIKE_DEEPGRAM)
class AnswersKeepAlive(ServerWrapper):
    """Sends each ``KeepAlive`` back to the client."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if event(frame).get("type") != "KeepAlive":
            return reaction
        return replace(reaction, replies=(*reaction.replies, frame))


# The end of a session


@fault(
    "no-metadata",
    "sends no Metadata at the end of a session",
    needs=Needs.LIKE_DEEPGRAM,
)
class NoMetadata(EventChanger):
    """Leaves out each ``Metadata`` except the one that opens the session."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._server.open(session, created)

    def change(self, content: Event) -> Iterable[Event]:
        return () if content.get("type") == "Metadata" else (content,)


@fault(
    "close-loses-rest",
    "sends no results for the remaining text at CloseStream",
    needs=Needs.LIKE_DEEPGRAM,
)
class CloseLosesRest(ServerWrapper):
    """Sends no results after ``CloseStream``."""

    _closing = False

    def hear(self, frame: Frame) -> Reaction:
        self._closing |= event(frame).get("type") == "CloseStream"
        return self._server.hear(frame)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        for frame in self._server.final(text, usage, item):
            if not (self._closing and event(frame).get("type") == _RESULTS):
                yield frame


@fault(
    "babbles-when-empty",
    "sends words in a session without audio",
    needs=Needs.LIKE_DEEPGRAM,
)
class BabblesWhenEmpty(ServerWrapper):
    """Sends two words at the end of a session in which no audio came."""

    _heard = False

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        self._heard |= bool(reaction.audio)
        if self._heard or reaction.close != 1000:
            return reaction
        words = self._state.correct.partial("Thank you.")
        return replace(reaction, replies=(*words, *reaction.replies))


@fault(
    "closes-as-failed", "closes with 1011 at the end of a session", needs=Needs.CLOSES
)
class ClosesAsFailed(ServerWrapper):
    """Closes with 1011 where a correct server closes with 1000."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, close=1011) if reaction.close == 1000 else reaction


@fault("empty-frame-dies", "drops the connection on an empty binary frame")
class EmptyFrameDies(ServerWrapper):
    """Drops the connection, without a close frame, when an empty binary frame comes."""

    def hear(self, frame: Frame) -> Reaction:
        return Reaction(close=0) if frame == b"" else self._server.hear(frame)


@fault("closes-idle-early", "closes a session after 2 s without a frame")
class ClosesIdleEarly(Hooks):
    """Closes a session after ``IDLE`` seconds in which no frame came."""

    def idle_timeout(self, seconds: float | None) -> float | None:
        return IDLE


@fault("ignores-keepalive", "closes a session although the client sends KeepAlive")
class IgnoresKeepAlive(Hooks):
    """Closes a session after ``IGNORED`` seconds in which only ``KeepAlive`` came."""

    def idle_timeout(self, seconds: float | None) -> float | None:
        return IGNORED


@fault(
    "stray-finalize-mutes",
    "ignores 1 s of audio after a Finalize that comes between utterances",
    needs=Needs.LIKE_DEEPGRAM,
)
class StrayFinalizeMutes(UtteranceTracker):
    """Replaces the first ``MUTED`` s of audio after a stray ``Finalize`` by silence.

    A ``Finalize`` is stray if no utterance is open when it comes.
    """

    _muted = 0  # bytes of audio that are still to be replaced

    def hear(self, frame: Frame) -> Reaction:
        stray = not self.is_hearing and event(frame).get("type") == "Finalize"
        reaction = super().hear(frame)
        if stray:
            self._muted = 2 * round(MUTED * self.rate)
        size = min(self._muted, len(reaction.audio))
        self._muted -= size
        return replace(reaction, audio=bytes(size) + reaction.audio[size:])


@fault(
    "accepts-any-option",
    "opens sessions with invalid options",
    needs=Needs.CHECKED_OPTIONS,
)
class AcceptsAnyOption(Hooks):
    """Opens sessions with options that a correct server refuses."""

    def refused_request(
        self, refusal: HttpRefusal | Reaction | None
    ) -> HttpRefusal | Reaction | None:
        return None
