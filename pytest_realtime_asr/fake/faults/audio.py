"""Faults that depend on the audio: on how it was cut, when it came, how long it was.

All of them look at the audio of the open utterance so far (`UtteranceAudio`) and lose
its words or its final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.server_wrappers import (
    ServerState,
    UtteranceTracker,
    WordChanger,
    Wrap,
)
from pytest_realtime_asr.trace.timeline import Usage

# A bundled clip has its peak at 0.63 of full scale, hence at half gain at 0.32.
_QUIET = 0.45 * 32768
_MIB = 2**20

When = Callable[[UtteranceTracker], bool | None]


class _Losing(WordChanger):
    """Loses every other word where ``when`` says so, beginning with the first.

    As long as that cannot be told (``None``) the words wait, at most until the end.
    """

    def __init__(self, server: Server, world: ServerState, when: When) -> None:
        super().__init__(server, world)
        self._when = when
        self._waiting: list[str] = []
        self._count = 0

    def reset(self) -> None:
        super().reset()
        self._waiting = []
        self._count = 0

    def words(self, word: str) -> Iterable[str]:
        self._waiting.append(word)
        loses = self._when(self)
        return () if loses is None else self._kept(loses)

    def rest(self) -> Iterable[str]:
        return self._kept(bool(self._when(self)))

    def _kept(self, loses: bool) -> Iterable[str]:
        numbered = list(enumerate(self._waiting, self._count))
        self._count += len(numbered)
        self._waiting = []
        return [word for number, word in numbered if number % 2 or not loses]


class _Withholding(UtteranceTracker):
    """Never sends the final of an utterance of which ``when`` holds."""

    def __init__(self, server: Server, world: ServerState, when: When) -> None:
        super().__init__(server, world)
        self._when = when

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return () if self._when(self) else super().final(text, usage, item)


def losing(when: When) -> Wrap:
    """A fault that loses half of the words where ``when`` holds."""
    return lambda server, world: _Losing(server, world, when)


def withholding(when: When) -> Wrap:
    """A fault that never sends the final where ``when`` holds."""
    return lambda server, world: _Withholding(server, world, when)


def small_chunks(machine: UtteranceTracker) -> bool:
    """Chunks are shorter than 50 ms, but for the last: that one is what was left."""
    whole = machine.heard.chunks[:-1]
    return bool(whole) and sum(whole) / len(whole) < 0.049


def big_chunks(machine: UtteranceTracker) -> bool:
    """A chunk is longer than 500 ms."""
    return max(machine.heard.chunks, default=0.0) > 0.501


def chunks_of_100ms(machine: UtteranceTracker) -> bool:
    """Chunks are of 100 ms, but for the last: that one is what was left."""
    whole = machine.heard.chunks[:-1]
    return bool(whole) and 0.09 < sum(whole) / len(whole) < 0.11


def crowded(machine: UtteranceTracker) -> bool:
    """More than four sessions are open."""
    return machine.sessions > 4


def fast(machine: UtteranceTracker) -> bool:
    """Audio comes faster than twice real time."""
    return machine.heard.speed > 2


def quiet(machine: UtteranceTracker) -> bool | None:
    """Nothing is loud; this is only known at the end."""
    if machine.heard.peak >= _QUIET:
        return False
    return True if machine.heard.complete else None


def late_speech(machine: UtteranceTracker) -> bool:
    """The utterance begins with more than 1 s of silence."""
    return machine.heard.lead > 1


def again(machine: UtteranceTracker) -> bool:
    """It is not the first utterance of its session."""
    return machine.number > 1


def turned(machine: UtteranceTracker) -> bool:
    """The server found the begin of the utterance by itself."""
    return machine.turned


def first_session(machine: UtteranceTracker) -> bool:
    """It is the first session of the server."""
    return machine.session == 1


def lasting(machine: UtteranceTracker) -> bool:
    """The utterance has 1 s or more."""
    return machine.heard.seconds >= 1


def short(machine: UtteranceTracker) -> bool:
    """The utterance has less than 0.3 s, but it has some audio."""
    return 0 < machine.heard.seconds < 0.3


def empty(machine: UtteranceTracker) -> bool:
    """The utterance has no audio."""
    return machine.heard.seconds == 0


def long(machine: UtteranceTracker) -> bool:
    """The utterance has more than 20 s."""
    return machine.heard.seconds > 20


def paused(machine: UtteranceTracker) -> bool:
    """No audio came for more than 2 s within the utterance."""
    return machine.heard.pause > 2


def silent(machine: UtteranceTracker) -> bool:
    """The audio was zero for more than 3 s."""
    return machine.heard.zeros > 3


class DiesOfEmpty(UtteranceTracker):
    """Dies of an utterance without audio."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if reaction.finish and empty(self):
            return Reaction(die=True)
        return reaction


class DiesOfFlood(UtteranceTracker):
    """Dies of more than 8 MiB of audio that is not said to be complete."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        hearing = 0 if self.heard.complete else self.heard.size
        if self.early.size + hearing > 8 * _MIB:
            return Reaction(die=True)
        return reaction
