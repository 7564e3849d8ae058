"""Faults that depend on the chunks, timing, length and loudness of the audio.

Most of these faults have a condition on the audio of the open utterance
(`UtteranceAudio`). If the condition is true, the server loses words or never sends the
final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import UtteranceTracker, WordChanger, Wrap
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

# The peak of a bundled clip is 0.63 of full scale, so 0.32 at half gain.
_QUIET = 0.45 * 32768
_FLOOD = 8 * 2**20  # bytes of audio before an utterance ends

Condition = Callable[[UtteranceTracker], bool | None]


class _LosesWords(WordChanger):
    """Loses the first, third, fifth ... word of an utterance if a condition is true.

    While the condition is ``None`` (not known yet), the words are kept back. At the
    final, ``None`` counts as false.
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

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return () if self._condition(self) else super().final(text, usage, item)


def losing(condition: Condition) -> Wrap:
    """Return a wrapper that loses half of the words if a condition is true."""
    return lambda server, state: _LosesWords(server, state, condition)


def withholding(condition: Condition) -> Wrap:
    """Return a wrapper that never sends the final if a condition is true."""
    return lambda server, state: _WithholdsFinal(server, state, condition)


# The length of the chunks, and the pace of the audio


@fault("small-chunks-lose", "loses words when chunks are shorter than 50 ms", by=losing)
def _small_chunks(utterance: UtteranceTracker) -> bool:
    whole = utterance.audio.chunks[:-1]  # the last chunk is shorter
    return bool(whole) and sum(whole) / len(whole) < 0.049


@fault("big-chunks-lose", "loses words when a chunk is longer than 500 ms", by=losing)
def _big_chunks(utterance: UtteranceTracker) -> bool:
    return max(utterance.audio.chunks, default=0.0) > 0.501


@fault("100ms-loses", "loses words when chunks are 100 ms long", by=losing)
def _chunks_of_100ms(utterance: UtteranceTracker) -> bool:
    whole = utterance.audio.chunks[:-1]  # the last chunk is shorter
    return bool(whole) and 0.09 < sum(whole) / len(whole) < 0.11


@fault(
    "fast-loses",
    "loses words of audio that comes faster than twice real time",
    by=losing,
)
def _fast(utterance: UtteranceTracker) -> bool:
    return utterance.audio.speed > 2


# The sound of the audio


@fault("quiet-loses", "loses words of quiet audio", by=losing)
def _quiet(utterance: UtteranceTracker) -> bool | None:
    if utterance.audio.peak >= _QUIET:
        return False
    return True if utterance.audio.complete else None


@fault(
    "silence-loses",
    "loses words when the audio starts with over 1 s of silence",
    by=losing,
)
def _late_speech(utterance: UtteranceTracker) -> bool:
    return utterance.audio.lead > 1


@fault(
    "no-final-after-silence",
    "sends no final if the audio has 3 s of zeros in a row",
    by=withholding,
)
def _silent(utterance: UtteranceTracker) -> bool:
    return utterance.audio.zeros > 3


# The length of the audio


@fault(
    "no-final-after-1s", "sends no final for utterances of 1 s or more", by=withholding
)
def _lasting(utterance: UtteranceTracker) -> bool:
    return utterance.audio.seconds >= 1


@fault("no-final-short", "sends no final for utterances under 0.3 s", by=withholding)
def _short(utterance: UtteranceTracker) -> bool:
    return 0 < utterance.audio.seconds < 0.3


@fault(
    "no-final-empty",
    "sends no final for an utterance without audio",
    by=withholding,
    needs=Needs.EMPTY,
)
def _empty(utterance: UtteranceTracker) -> bool:
    return utterance.audio.seconds == 0


@fault("no-final-long", "sends no final for utterances over 20 s", by=withholding)
def _long(utterance: UtteranceTracker) -> bool:
    return utterance.audio.seconds > 20


@fault(
    "dies-of-empty",
    "crashes at the end of an utterance without audio",
    needs=Needs.EMPTY,
)
class DiesOfEmpty(UtteranceTracker):
    """Ends the server process at the end of an utterance without audio."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if reaction.finish and _empty(self):
            return Reaction(die=True)
        return reaction


@fault("flood-dies", "crashes at over 8 MiB of audio in an utterance")
class FloodDies(UtteranceTracker):
    """Ends the server process when the audio of an utterance exceeds 8 MiB."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        hearing = 0 if self.audio.complete else self.audio.size
        if self.early_audio.size + hearing > _FLOOD:
            return Reaction(die=True)
        return reaction


# Pauses between chunks, and the order of utterances and sessions


@fault("no-final-after-pause", "sends no final after 2 s without audio", by=withholding)
def _paused(utterance: UtteranceTracker) -> bool:
    return utterance.audio.pause > 2


@fault("pause-loses", "sends no words after 2 s without audio")
class PauseLoses(WordChanger):
    """Sends no more words of an utterance once 2 s have passed without audio."""

    def words_for(self, word: str) -> Iterable[str]:
        return () if _paused(self) else (word,)


@fault(
    "again-loses",
    "loses words from the second utterance of a session on",
    by=losing,
    needs=Needs.SEVERAL,
)
@fault(
    "one-final-only",
    "sends a final only for the first utterance of a session",
    by=withholding,
    needs=Needs.SEVERAL,
)
def _again(utterance: UtteranceTracker) -> bool:
    return utterance.number > 1


@fault("first-session-loses", "loses words in its first session", by=losing)
def _first_session(utterance: UtteranceTracker) -> bool:
    return utterance.session == 1


@fault("crowd-loses", "loses words while more than four sessions are open", by=losing)
def _crowded(utterance: UtteranceTracker) -> bool:
    return utterance.open_sessions > 4


@fault(
    "turn-loses",
    "loses words of turns that it detects itself",
    by=losing,
    needs=Needs.TURNS,
)
def _found_turn(utterance: UtteranceTracker) -> bool:
    return utterance.found_turn
