"""The expected duration of sessions, and the progress in sending utterances."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.text.number_format import about, several

# s that a session takes in addition to its audio, measured on two cores
BESIDE_AUDIO = 0.35
WARM_UP = 2  # sessions that a warm-up usually needs, until two finals agree
TICK = 1.0  # s between two reports of progress
_MEASURED = 1000  # clips whose length is read; the others have the mean length


def audio_seconds(clips: Sequence[Utterance]) -> float:
    """Return the length of the audio of these clips in s.

    For many clips, the length is estimated from the first clips. Raises AudioError.
    """
    measured = clips[:_MEASURED]
    found = sum(each.duration for each in measured)
    return found * len(clips) / len(measured) if measured else 0.0


def session_seconds(audio: float, sessions: int, *, pace: float) -> float:
    """Return the estimated time in s that sessions take one after the other.

    ``audio`` is the length in s of the audio of all sessions together.
    """
    return (audio / pace if pace else 0.0) + BESIDE_AUDIO * sessions


def warm_ups(sessions: int | None) -> int:
    """Return how many warm-up sessions to expect.

    ``sessions`` is the number that the user asked for, or ``None`` for as many as the
    server needs.
    """
    return WARM_UP if sessions is None else sessions


def shortest(corpus: Iterable[Utterance]) -> float:
    """Return the length in s of the shortest clip, which the warm-up sends.

    Only the first clips of a large corpus are looked at. Raises AudioError.
    """
    lengths = [each.duration for each in list(corpus)[:_MEASURED] if each.text]
    return min(lengths, default=0.0)


class CallProgress:
    """The progress in sending the utterances of one method call, or of tests.

    ``expected`` holds the time in s that each utterance is expected to take; ``None``
    if these times are not known. ``at_once`` is the number of utterances that are sent
    at the same time. The time left is estimated from the time that the utterances have
    taken so far. ``what`` is the noun for an utterance in the progress line.
    """

    def __init__(
        self,
        count: int,
        expected: Sequence[float] | None,
        *,
        at_once: int = 1,
        what: str = "utterance",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._expected = expected
        self._what = what
        self._at_once = min(at_once, max(1, count))
        self._clock = clock
        self._began = clock()
        self._ended: set[int] = set()
        self._took = 0.0  # s until the last utterance ended

    def end(self, index: int) -> None:
        """Record that the utterance with this index has ended."""
        self._ended.add(index)
        self._took = self._clock() - self._began

    @property
    def left(self) -> float | None:
        """The time in s for the remaining utterances, ``None`` if it is not known."""
        if self._expected is None:
            return None
        whole = sum(self._expected) / self._at_once
        done = sum(self._expected[each] for each in self._ended) / self._at_once
        pace = self._took / done if done and len(self._ended) >= self._at_once else 1.0
        return max(0.0, whole * pace - (self._clock() - self._began))

    def __str__(self) -> str:
        done = f"{len(self._ended)} of {several(self._count, self._what)}"
        left = self.left
        return done if left is None else f"{done}, {about(left)} left"


def expected(
    clips: Sequence[Utterance], *, pace: float, servers: int
) -> list[float] | None:
    """Return the expected times in s; each is the time to send a clip to all servers.

    ``servers`` is the number of servers. Returns ``None`` if the audio of a clip cannot
    be read.
    """
    try:
        mean = audio_seconds(clips) / max(1, len(clips))
        lengths = [each.duration for each in clips[:_MEASURED]]
    except AudioError:  # the session of the clip reports it
        return None
    lengths += [mean] * (len(clips) - len(lengths))
    return [servers * session_seconds(each, 1, pace=pace) for each in lengths]


@asynccontextmanager
async def reporting(
    progress: Callable[[str], None], text: Callable[[], str]
) -> AsyncIterator[None]:
    """Report the progress of a block each second; remove the report at the end."""

    async def report() -> None:
        while True:
            progress(text())
            await asyncio.sleep(TICK)

    task = asyncio.create_task(report())
    try:
        yield
    finally:
        task.cancel()
        progress("")
