"""Faults that depend on the audio: how it is cut, when it comes, how long and loud.

Most of them are a condition on the audio of the open utterance (`UtteranceAudio`) under
which the server loses words or never sends the final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import UtteranceTracker, WordChanger, Wrap
from pytest_realtime_asr.trace.timeline import Usage

# A bundled clip has its peak at 0.63 of full scale, hence at half gain at 0.32.
_QUIET = 0.45 * 32768
_FLOOD = 8 * 2**20  # bytes of audio without an end

Condition = Callable[[UtteranceTracker], bool | None]


class _LosesWords(WordChanger):
    """Loses every other word under a condition, beginning with the first.

    While the condition is ``None``, not known yet, the words wait; after the last one
    that counts as false.
    """

    def __init__(
        self, server: Server, state: ServerState, condition: Condition
    ) -> None:
        super().__init__(server, state)
        self._condition = condition
        self._waiting: list[str] = []
        self._count = 0

    def reset(self) -> None:
        super().reset()
        self._waiting = []
        self._count = 0

    def words_for(self, word: str) -> Iterable[str]:
        self._waiting.append(word)
        loses = self._condition(self)
        return () if loses is None else self._kept(loses)

    def last_words(self) -> Iterable[str]:
        return self._kept(bool(self._condition(self)))

    def _kept(self, loses: bool) -> Iterable[str]:
        numbered = list(enumerate(self._waiting, self._count))
        self._count += len(numbered)
        self._waiting = []
        return [word for number, word in numbered if number % 2 or not loses]


class _WithholdsFinal(UtteranceTracker):
    """Never sends the final of an utterance that meets a condition."""

    def __init__(
        self, server: Server, state: ServerState, condition: Condition
    ) -> None:
        super().__init__(server, state)
        self._condition = condition

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return () if self._condition(self) else super().final(text, usage, item)


def losing(condition: Condition) -> Wrap:
    """Return a wrapper that loses half of the words under a condition."""
    return lambda server, state: _LosesWords(server, state, condition)


def withholding(condition: Condition) -> Wrap:
    """Return a wrapper that never sends the final under a condition."""
    return lambda server, state: _WithholdsFinal(server, state, condition)


# How the audio is cut, and how fast it comes


@fault("small-chunks-lose", "loses words in chunks under 50 ms", by=losing)
def _small_chunks(utterance: UtteranceTracker) -> bool:
    whole = utterance.audio.chunks[:-1]  # the last one is what was left
    return bool(whole) and sum(whole) / len(whole) < 0.049


@fault("big-chunks-lose", "loses words in chunks over 500 ms", by=losing)
def _big_chunks(utterance: UtteranceTracker) -> bool:
    return max(utterance.audio.chunks, default=0.0) > 0.501


@fault("100ms-loses", "loses words in chunks of 100 ms", by=losing)
def _chunks_of_100ms(utterance: UtteranceTracker) -> bool:
    whole = utterance.audio.chunks[:-1]  # the last one is what was left
    return bool(whole) and 0.09 < sum(whole) / len(whole) < 0.11


@fault("fast-loses", "loses words of audio over twice real time", by=losing)
def _fast(utterance: UtteranceTracker) -> bool:
    return utterance.audio.speed > 2


# How it sounds


@fault("quiet-loses", "loses words of quiet audio", by=losing)
def _quiet(utterance: UtteranceTracker) -> bool | None:
    if utterance.audio.peak >= _QUIET:
        return False
    return True if utterance.audio.complete else None


@fault("silence-loses", "loses words after a silence of 1 s", by=losing)
def _late_speech(utterance: UtteranceTracker) -> bool:
    return utterance.audio.lead > 1


@fault("no-final-after-silence", "has no final after 3 s of zeros", by=withholding)
def _silent(utterance: UtteranceTracker) -> bool:
    return utterance.audio.zeros > 3


# How long it is


@fault("no-final-after-1s", "has no final for 1 s of audio or more", by=withholding)
def _lasting(utterance: UtteranceTracker) -> bool:
    return utterance.audio.seconds >= 1


@fault("no-final-short", "has no final for less than 0.3 s of audio", by=withholding)
def _short(utterance: UtteranceTracker) -> bool:
    return 0 < utterance.audio.seconds < 0.3


@fault("no-final-empty", "has no final for an utterance without audio", by=withholding)
def _empty(utterance: UtteranceTracker) -> bool:
    return utterance.audio.seconds == 0


@fault("no-final-long", "has no final for more than 20 s of audio", by=withholding)
def _long(utterance: UtteranceTracker) -> bool:
    return utterance.audio.seconds > 20


@fault("dies-of-empty", "dies of an utterance without audio")
class DiesOfEmpty(UtteranceTracker):
    """Ends the process at the end of the utterance."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        if reaction.finish and _empty(self):
            return Reaction(die=True)
        return reaction


@fault("flood-dies", "dies of 8 MiB of audio without an end")
class FloodDies(UtteranceTracker):
    """Ends the process at the frame that exceeds the limit."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = super().hear(frame)
        hearing = 0 if self.audio.complete else self.audio.size
        if self.early_audio.size + hearing > _FLOOD:
            return Reaction(die=True)
        return reaction


# When it comes


@fault("no-final-after-pause", "has no final after 2 s without audio", by=withholding)
def _paused(utterance: UtteranceTracker) -> bool:
    return utterance.audio.pause > 2


@fault("pause-loses", "hears nothing after 2 s without audio")
class PauseLoses(WordChanger):
    """Sends no word that is recognised after such a pause."""

    def words_for(self, word: str) -> Iterable[str]:
        return () if _paused(self) else (word,)


@fault("again-loses", "loses words in utterances after the first", by=losing)
@fault("one-final-only", "has a final for the first utterance only", by=withholding)
def _again(utterance: UtteranceTracker) -> bool:
    return utterance.number > 1


@fault("first-session-loses", "loses words in its first session", by=losing)
def _first_session(utterance: UtteranceTracker) -> bool:
    return utterance.session == 1


@fault("crowd-loses", "loses words while over four sessions are open", by=losing)
def _crowded(utterance: UtteranceTracker) -> bool:
    return utterance.open_sessions > 4


@fault("turn-loses", "loses words of a turn that it has found itself", by=losing)
def _found_turn(utterance: UtteranceTracker) -> bool:
    return utterance.found_turn
