"""Faults of whole sessions: how a session opens, ends and affects other sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.client_frames import UNKNOWN_EVENT, sets_up
from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, Send, fault
from pytest_realtime_asr.fake.frame_edits import Event, edited, event, is_error
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import (
    ServerWrapper,
    UtteranceTracker,
    WordChanger,
)
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

_ANSWERS = {"error", "session.updated"}
COLD = 2.0  # s by which a server that is not warm is late
_GERMAN = "und"
_FAILING = 50  # the number of the session that `fails-50th-session` fails
_TENTH = 10
_WAITS = 1.0  # s without a frame after which `waits-for-all` waits for a client


# How a session opens


@fault("mute", "sends no events")
class Mute(ServerWrapper):
    """Sends no event when a session opens, and none after a frame of the client."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return ()

    def hear(self, frame: Frame) -> Reaction:
        return Reaction()


@fault("no-greeting", "sends no event when a session opens", needs=Needs.GREETING)
class NoGreeting(ServerWrapper):
    """Opens sessions without an event; later events come as usual."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return ()


@fault("refuses-setup", "refuses each session update", needs=Needs.SET_UP)
class RefusesSetUp(ServerWrapper):
    """Answers each session update by an error, and does not apply the update."""

    def hear(self, frame: Frame) -> Reaction:
        if sets_up(frame, self._state):
            return self._server.hear(UNKNOWN_EVENT)
        return self._server.hear(frame)


@fault(
    "late-setup-error",
    "answers each session update by an error, but only after the next frame",
    needs=Needs.SET_UP,
)
class LateSetUpError(ServerWrapper):
    """Accepts each session update, but sends an error after the client's next frame.

    The client can mistake this error for the answer to the next frame.
    """

    _late: tuple[Frame, ...] = ()

    def hear(self, frame: Frame) -> Reaction:
        late, self._late = self._late, ()
        if sets_up(frame, self._state):
            correct = self._state.correct.new()  # other faults may send no error
            self._late = tuple(correct.hear(UNKNOWN_EVENT).replies)
        reaction = self._server.hear(frame)
        return replace(reaction, replies=(*late, *reaction.replies))


@fault(
    "half-greeting",
    "leaves a field out of the event that opens a session",
    needs=Needs.GREETING,
)
class HalfGreeting(ServerWrapper):
    """Leaves out the last field of the event that opens a session."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        for frame in self._server.open(session, created):
            yield edited(frame, _without_last_field)


def _without_last_field(content: Event) -> None:
    content.popitem()


@fault("strange-greeting", "opens sessions with an event of no known dialect")
class StrangeGreeting(ServerWrapper):
    """Opens sessions with an event of another type and with other fields."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        tuple(self._server.open(session, created))
        return (f'{{"type":"session.ready","session":{{"id":"{session}"}}}}',)


class _Cold(Hooks):
    """Delays some frames of the first session by ``COLD`` seconds."""

    def sender(self, send: Send) -> Send:
        if self._state.sessions > 1:
            return send
        greeted = False

        async def late(frame: Frame) -> None:
            nonlocal greeted
            if self.is_late(frame, greeted=greeted):
                await asyncio.sleep(COLD)
            greeted = True
            await send(frame)

        return late

    def is_late(self, frame: Frame, *, greeted: bool) -> bool:
        """Return whether to delay a frame of the session.

        ``greeted`` is false only for the first frame.
        """
        raise NotImplementedError


@fault("cold-greeting", "opens its first session late")
class ColdGreeting(_Cold):
    """Sends the first event of its first session ``COLD`` seconds late."""

    def is_late(self, frame: Frame, *, greeted: bool) -> bool:
        return not greeted


@fault("cold-final", "sends the finals of its first session late", needs=Needs.USAGE)
class ColdFinal(_Cold):
    """Sends each final of its first session ``COLD`` seconds late."""

    def is_late(self, frame: Frame, *, greeted: bool) -> bool:
        return "usage" in event(frame)


@fault("nameless", "gives the session an empty id", needs=Needs.SESSION_IDS)
class Nameless(ServerWrapper):
    """Opens each session with an empty id."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._server.open("", created)


@fault("created-twice", "creates the session twice", needs=Needs.GREETING)
class CreatedTwice(ServerWrapper):
    """Sends two events that open a session, instead of one."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        yield from self._server.open(session, created)
        yield from self._server.open(session, created)


@fault("same-id", "gives all sessions the same id", needs=Needs.SESSION_IDS)
class SameId(ServerWrapper):
    """Opens every session with the id ``sess-1``."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._server.open("sess-1", created)


@fault("old-clock", "dates its sessions in 1970", needs=Needs.SESSION_IDS)
class OldClock(ServerWrapper):
    """Opens every session with 0 as its creation time in unix seconds."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._server.open(session, 0)


@fault(
    "expires-in-ms",
    "gives the expiry time of a session in milliseconds instead of seconds",
    needs=Needs.EXPIRY,
)
class ExpiresInMilliseconds(ServerWrapper):
    """Multiplies ``expires_at`` in the event that opens a session by 1000."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        for frame in self._server.open(session, created):
            yield edited(frame, _expiring_in_ms)


def _expiring_in_ms(content: Event) -> None:
    session = content.get("session")
    if isinstance(session, dict) and "expires_at" in session:
        session["expires_at"] *= 1000


@fault(
    "acknowledges",
    "acknowledges a session update that it accepts",
    needs=Needs.SILENT_SET_UP,
)
class Acknowledges(ServerWrapper):
    """Sends ``session.updated`` after each accepted update, as newer servers do."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        replies = tuple(reaction.replies)
        kinds = {event(reply).get("type") for reply in replies}
        if event(frame).get("type") != "session.update" or kinds & _ANSWERS:
            return reaction
        return replace(reaction, replies=(*replies, '{"type":"session.updated"}'))


# What the server does in the middle of an utterance


class _AtFifthChunk(ServerWrapper):
    """Changes the reaction to the fifth frame of audio of a session."""

    _frames = 0

    def react(self, reaction: Reaction) -> Reaction:
        """Return the changed reaction to the fifth frame of audio."""
        raise NotImplementedError

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        self._frames += bool(reaction.audio)
        if reaction.audio and self._frames == 5:
            return self.react(reaction)
        return reaction


@fault("close", "closes the connection in the middle of an utterance")
class Closes(_AtFifthChunk):
    """Closes with 1011 at the fifth frame of audio."""

    def react(self, reaction: Reaction) -> Reaction:
        return replace(reaction, close=1011)


@fault("reset", "drops the connection in the middle of an utterance")
class Resets(_AtFifthChunk):
    """Ends the connection without a close frame at the fifth frame of audio."""

    def react(self, reaction: Reaction) -> Reaction:
        return replace(reaction, close=0)


@fault("deaf", "stops reading for 3 s in the middle of an utterance")
class Deaf(_AtFifthChunk):
    """Reads no frame of the client for 3 s after the fifth frame of audio."""

    def react(self, reaction: Reaction) -> Reaction:
        return replace(reaction, pause=3.0)


@fault("die", "crashes in the middle of an utterance")
class Dies(_AtFifthChunk):
    """Ends the server process at the fifth frame of audio."""

    def react(self, reaction: Reaction) -> Reaction:
        return replace(reaction, die=True)


@fault("fails-50th-session", "sends no final in its 50th session, but closes it")
class FailsFiftiethSession(ServerWrapper):
    """Closes its 50th session with 1011 at the end of the audio."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        fails = reaction.finish and self.session == _FAILING
        return replace(reaction, close=1011) if fails else reaction


# What sessions do to each other


class _SilentSometimes(ServerWrapper):
    """Sends neither partials nor finals while `is_silent` returns true."""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return () if self.is_silent() else self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return () if self.is_silent() else self._server.final(text, usage, item)

    def is_silent(self) -> bool:
        """Return whether the session sends no text now."""
        raise NotImplementedError


@fault(
    "third-is-silent", "sends no text in a session that opens while two others are open"
)
class ThirdIsSilent(_SilentSometimes):
    """Sends no text in a session that opens while exactly two others are open."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._third = len(state.open_sessions) == 3

    def is_silent(self) -> bool:
        return self._third


@fault(
    "stalls-of-close",
    "sends no more text to any client after a client disconnects in mid-utterance",
)
class StallsOfClose(_SilentSometimes):
    """Sends no more text after a client has closed its session during an utterance."""

    def is_silent(self) -> bool:
        return self._state.closed_mid_utterance > 0


@fault("stalls-of-reset", "sends no more text after a connection reset")
class StallsOfReset(_SilentSometimes):
    """Sends no text in any session after a client has left without a close frame."""

    def is_silent(self) -> bool:
        return self._state.vanished > 0


@fault("waits-for-all", "sends no text while another client pauses within an utterance")
class WaitsForAll(_SilentSometimes, UtteranceTracker):
    """Sends no text while another client pauses within an utterance.

    A pause begins 1 s after the last frame of the client and ends with its next frame.
    """

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if self.is_hearing:
            self._state.last_audio[self.session] = time.monotonic()
        else:
            self._state.last_audio.pop(self.session, None)
        return reaction

    def is_silent(self) -> bool:
        late = time.monotonic() - _WAITS
        others = self._state.last_audio.items()
        return any(at < late for session, at in others if session != self.session)


@fault("cross-talk", "mixes up two utterances that are open at the same time")
class CrossTalk(UtteranceTracker):
    """Replaces the words of an utterance by the words of another open utterance.

    The other utterance is the oldest open utterance of another session. If there is
    none, the utterance keeps its own words.
    """

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._own: list[str] = []
        self._other: list[str] | None = None
        self._sent = ""

    def reset(self) -> None:
        texts = self._state.open_texts
        others = [text for session, text in texts.items() if session != self.session]
        self._other = others[0] if others else None
        self._own = texts[self.session] = []
        self._sent = ""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        self._own.append(added)
        if self._other is None:
            return self._server.partial(added, item)
        new = "".join(self._other)[len(self._sent) :]
        self._sent += new
        return self._server.partial(new, item) if new else ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        self._state.open_texts.pop(self.session, None)
        if self._other is None:
            return super().final(text, usage, item)
        frames = self.partial("", item)
        counted = replace(usage, completion=len(self._sent.split()))
        return [*frames, *super().final(self._sent, counted, item)]


@fault("mixes-one-in-ten", "sends another client's text in one utterance of ten")
class MixesOneInTen(CrossTalk):
    """Replaces the words of one utterance in ten by the words of another session.

    The fault counts only utterances that begin while another session has an open
    utterance. Every tenth counted utterance gets the words of the oldest open utterance
    of another session.
    """

    def reset(self) -> None:
        super().reset()
        self._state.joined += self._other is not None
        if self._state.joined % _TENTH:
            self._other = None


@fault(
    "shares-setup",
    "applies the set-up of a session to the other sessions too",
    needs=Needs.SET_UP,
)
class SharesSetUp(WordChanger):
    """Applies the set-up of another open session to this session.

    While another session has other settings than this session, the server sends a
    German word in place of each word, as if the language of the other session applied.
    """

    def hear(self, frame: Frame) -> Reaction:
        set_ups = self._state.set_ups
        if (other := self._other()) is not None:
            self._server.hear(other)
        reaction = super().hear(frame)
        if sets_up(frame, self._state) and not any(map(is_error, reaction.replies)):
            set_ups.pop(self.session, None)  # the last one is the newest
            set_ups[self.session] = str(frame)
        return reaction

    def words_for(self, word: str) -> Iterable[str]:
        return (word if self._other() is None else _GERMAN,)

    def _other(self) -> str | None:
        """Return the newest set-up that has other settings than this session's set-up.

        Return ``None`` if there is none, or if this session has no set-up yet.
        """
        set_ups = self._state.set_ups
        own = set_ups.get(self.session)
        if own is None:
            return None
        others = (each for each in reversed(set_ups.values()) if each is not own)
        return next((e for e in others if _settings(e) != _settings(own)), None)


def _settings(set_up: str) -> Event:
    return {name: it for name, it in event(set_up).items() if name != "event_id"}
