"""Machines around a dialect's machine: what faults and variety are made of.

The dialects of the field write their frames as JSON objects whose ``type`` says what
they are, and an ``error`` as a text beside its ``code`` or as an object that holds
``message`` and ``code``. What is changed here in frames is changed by these names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from pytest_realtime_asr.dialects import Caller, Dialect, Reaction, Server
from pytest_realtime_asr.trace.timeline import Usage

_SOUND = 100  # of 32768; what stays below it is silence
_SAID = 0.5  # s of an utterance that is played to a sound machine

Event = dict[str, Any]


class ServerState:
    """What the sessions of one fake share.

    Sessions are numbered from 1 in the order in which they open; ``open`` holds those
    that are. ``began`` is when the server began, in unix seconds.
    """

    def __init__(
        self,
        dialect: Dialect | None = None,
        models: Sequence[str] = (),
        *,
        key: str = "",
    ) -> None:
        self._dialect = dialect
        self.key = key
        self.models = tuple(models)
        self.began = time.time()
        self.handshakes = 0
        self.sessions = 0
        self.open: set[int] = set()
        self.resets = 0  # clients that vanished without a close frame
        self.cuts = 0  # clients that closed in the middle of an utterance
        self.heard: dict[int, float] = {}  # when those that speak were last heard
        self.sending = asyncio.Lock()
        self.texts: dict[int, list[str]] = {}  # of open utterances, by session
        self._played = 0  # utterances of sound machines
        self.changed: set[tuple[int, str]] = set()  # places of words, see `variety`

    def enter(self) -> int:
        """A session opens; gives its number."""
        self.sessions += 1
        self.open.add(self.sessions)
        return self.sessions

    def leave(self, number: int) -> None:
        """A session is over."""
        self.open.discard(number)
        self.texts.pop(number, None)
        self.heard.pop(number, None)

    def fresh(self) -> Server:
        """The sound machine of a session that has just been opened."""
        return self._known().server(self.models)

    def configure(self) -> Sequence[str]:
        """The frames that set a session up."""
        return self._caller().configure()

    def begins(self, frame: str | bytes) -> bool:
        """Whether this frame begins an utterance where one may begin."""
        return self._ready().hear(frame).begin

    def finishes(self, frame: str | bytes) -> bool:
        """Whether this frame completes the audio of an utterance."""
        return self.amid(frame).finish

    def amid(self, frame: str | bytes) -> Reaction:
        """What a sound machine does on this frame in the middle of an utterance."""
        return self._speaking().hear(frame)

    def utterance(self, text: str) -> tuple[Sequence[str], Sequence[str]]:
        """How a sound machine answers an utterance, and how it ends one of this text.

        Its ids are those of a session of its own.
        """
        machine = self._speaking()
        told = [
            reply
            for frame in self._caller().finish()
            for reply in machine.hear(frame).replies
        ]
        words = len(text.split())
        return told, tuple(machine.final(text, Usage(words, words, seconds=_SAID), 0))

    def foretold(self, text: str) -> Sequence[str]:
        """How a sound machine goes on with this text, in a session of its own."""
        return tuple(self._speaking().partial(text, 0))

    def audio(self, frame: str | bytes) -> bytes:
        """The audio that this frame carries; empty if none."""
        return self._ready().hear(frame).audio

    def _speaking(self) -> Server:
        """A sound machine in the middle of an utterance."""
        machine, caller = self._ready(), self._caller()
        self._played += 1
        tuple(machine.open(f"played-{self._played}", 0))
        for frame in caller.begin():
            machine.hear(frame)
        audio = caller.append(bytes(2 * round(_SAID * caller.rate)))
        machine.hear(audio if caller.binary else audio.decode())
        return machine

    def _ready(self) -> Server:
        machine = self.fresh()
        for frame in self.configure():
            machine.hear(frame)
        return machine

    def _caller(self) -> Caller:
        return self._known().caller(self.models[0], {})

    def _known(self) -> Dialect:
        if self._dialect is None:
            raise LookupError("this fault needs a ServerState that knows its dialect")
        return self._dialect


class ServerWrapper:
    """A machine that does what the wrapped one does, in the session of this number."""

    def __init__(self, server: Server, world: ServerState) -> None:
        self._server = server
        self._world = world
        self.session = world.sessions

    @property
    def rate(self) -> int:
        return self._server.rate

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._world.open)

    def open(self, session: str, created: int) -> Iterable[str]:
        return self._server.open(session, created)

    def hear(self, frame: str | bytes) -> Reaction:
        return self._server.hear(frame)

    def expire(self) -> Reaction:
        return self._server.expire()

    def partial(self, added: str, item: int) -> Iterable[str]:
        return self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return self._server.final(text, usage, item)


Wrap = Callable[[Server, ServerState], Server]


class UtteranceAudio:
    """The audio of one utterance: how it was cut, when it came, how it sounds.

    Times are in seconds. ``pause`` is the longest time since the begin in which no
    audio came, ``speed`` is audio seconds per second after the first chunk. ``lead`` is
    the silence before the first sound, ``zeros`` the longest run of samples that are 0,
    ``peak`` the largest sample of 32768.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since = self._last = time.monotonic()
        self._begun = False
        self._samples = 0
        self._silent = 0  # samples before the first sound
        self._sounded = False
        self._run = self._longest = 0  # samples that are 0
        self.chunks: list[float] = []
        self.pause = 0.0
        self.peak = 0
        self.complete = False

    @property
    def seconds(self) -> float:
        return self._samples / self._rate

    @property
    def size(self) -> int:
        """Bytes of PCM."""
        return 2 * self._samples

    @property
    def lead(self) -> float:
        return self._silent / self._rate

    @property
    def zeros(self) -> float:
        return self._longest / self._rate

    @property
    def speed(self) -> float:
        later = self.seconds - sum(self.chunks[:1])
        return later / max(self._last - self._since, 1e-3)

    def begin(self) -> None:
        """The utterance begins; audio may have come before."""
        self._elapse()
        self._begun = True
        self.pause = 0.0
        if not self.chunks:
            self._since = self._last

    def add(self, pcm: bytes) -> None:
        """More audio came."""
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        self._elapse()
        if not self.chunks and not self._begun:
            self._since = self._last
        self.chunks.append(len(samples) / self._rate)
        self._samples += len(samples)
        self.peak = max(self.peak, int(np.abs(samples).max(initial=0)))
        loud = np.flatnonzero(np.abs(samples) > _SOUND)
        if not self._sounded:
            self._silent += int(loud[0]) if loud.size else len(samples)
            self._sounded = bool(loud.size)
        self._count_zeros(samples == 0)

    def finish(self) -> None:
        """The audio is complete."""
        self._elapse()
        self.complete = True

    def _elapse(self) -> None:
        now = time.monotonic()
        self.pause = max(self.pause, now - self._last)
        self._last = now

    def _count_zeros(self, zero: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        others = np.flatnonzero(~zero)
        if not others.size:
            self._run += len(zero)
            self._longest = max(self._longest, self._run)
            return
        inner = int(np.diff(others).max(initial=1)) - 1
        self._longest = max(self._longest, self._run + int(others[0]), inner)
        self._run = len(zero) - 1 - int(others[-1])
        self._longest = max(self._longest, self._run)


class UtteranceTracker(ServerWrapper):
    """A machine that knows what was heard of the open utterance.

    ``number`` counts the utterances of the session; ``begun`` says that one is open,
    from its begin to its final, ``turned`` that the server had found its begin.
    """

    def __init__(self, server: Server, world: ServerState) -> None:
        super().__init__(server, world)
        self.number = 0
        self.begun = False
        self.turned = False
        self.heard = UtteranceAudio(self.rate)
        self.early = UtteranceAudio(self.rate)  # audio before its utterance begins

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        if reaction.begin:
            replies = tuple(reaction.replies)
            reaction = replace(reaction, replies=replies)
            self.number += 1
            self.begun = True
            self.turned = any("audio_start_ms" in event(reply) for reply in replies)
            self.heard, self.early = self.early, UtteranceAudio(self.rate)
            self.heard.begin()
            self.reset()
        if reaction.audio:
            hearing = self.begun and not self.heard.complete
            (self.heard if hearing else self.early).add(reaction.audio)
        if reaction.finish:
            self.heard.finish()
        return reaction

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        self.begun = False
        return self._server.final(text, usage, item)

    def reset(self) -> None:
        """Forget the utterance before; called as the next one begins."""


class WordChanger(UtteranceTracker):
    """A machine that says other words, the same in its partials and its finals.

    What it counts as completion is the words that it says.
    """

    said = ""  # of the open utterance

    def words(self, word: str) -> Iterable[str]:
        """The words that are said where this one would be."""
        return (word,)

    def rest(self) -> Iterable[str]:
        """The words that are said at the end."""
        return ()

    def reset(self) -> None:
        self.said = ""

    def partial(self, added: str, item: int) -> Iterable[str]:
        return [
            frame
            for word in added.split()
            for other in self.words(word)
            for frame in self.say(other, item)
        ]

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        frames = [frame for word in self.rest() for frame in self.say(word, item)]
        text, self.said = self.said, ""
        counted = replace(usage, completion=len(text.split()))
        return [*frames, *super().final(text, counted, item)]

    def say(self, word: str, item: int) -> Iterable[str]:
        """Go on with this word."""
        added = f" {word}" if self.said else word
        self.said += added
        return self._server.partial(added, item)


def event(frame: str | bytes) -> Event:
    """The JSON object of a frame; empty for any other frame."""
    try:
        value = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def edited(frame: str, change: Callable[[Event], None]) -> str:
    """The frame after ``change`` to its JSON object; any other frame as it is."""
    content = event(frame)
    if not content:
        return frame
    change(content)
    return msgspec.json.encode(content).decode()


def is_error(frame: str) -> bool:
    """Whether this frame of the server tells of an error."""
    return event(frame).get("type") == "error"


def error_edited(frame: str, **fields: object) -> str:
    """The frame with another ``message`` or ``code``, if it tells of an error."""

    def change(content: Event) -> None:
        inner = content.get("error")
        if isinstance(inner, dict):
            inner.update(fields)
        else:
            named = {"error" if k == "message" else k: v for k, v in fields.items()}
            content.update(named)

    return edited(frame, change) if is_error(frame) else frame
