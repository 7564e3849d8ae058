"""Simulated takes of a run: of a server with errors, with or without a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.requirements.checks.lost_words import (
    CHUNKS,
    CUT,
    JITTERED,
    PROTECTED,
    Takes,
)
from pytest_realtime_asr.requirements.text_losses import LongTake, Take

# The numbers of words of the clips, the shortest clip first
COUNTS = (
    *(4, 4, 4, 6, 5, 5, 5, 4, 6, 7, 7, 5, 7, 5, 6, 6, 7),
    *(10, 9, 11, 10, 12, 10, 10, 11, 24),
)
MANY, FEW, GROUPS = 20, 12, 5
WORD, PAUSE = 0.3, 0.4  # s

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Server:
    """A server with a WER, and what it loses.

    If ``clustered``, the errors are mostly in some clips. ``head`` and ``tail`` are the
    numbers of words that are lost at the edges of an utterance, ``share`` the share of
    clips in which this loss shows. ``rest`` is the share of the audio that is lost by
    role. ``stop`` and ``hole`` are in s of an utterance.
    """

    wer: float
    clustered: bool = False
    head: int = 0
    tail: int = 0
    share: float = 1.0
    rest: dict[str, float] = field(default_factory=dict)
    stop: float = float("inf")
    hole: tuple[float, float] = (0.0, 0.0)


class Run:
    """The texts of one run of a simulated server."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.rng = np.random.default_rng(seed)
        rates = np.full(len(COUNTS), server.wer)
        if server.clustered:  # a beta distribution with this mean, mostly near 0 and 1
            rates = self.rng.beta(server.wer, 1 - server.wer, len(COUNTS))
        self.rates = rates
        # Exactly this share of the clips that are sent alone, rounded.
        order = self.rng.permutation(MANY)
        self.shows = np.ones(len(COUNTS), np.bool_)
        self.shows[order[round(server.share * MANY) :]] = False

    def takes(self) -> Takes:
        """Return the takes of the run."""
        every = range(len(COUNTS))
        alone = {CUT: [self.alone(clip, CUT) for clip in every[:MANY]]}
        alone[JITTERED] = [self.alone(clip, JITTERED) for clip in every[:MANY]]
        for role in (PROTECTED, *CHUNKS):
            alone[role] = [self.alone(clip, role) for clip in every[:FEW]]
        groups = [every[at:MANY:GROUPS] for at in range(GROUPS)]
        joined = [self.long(group) for group in groups]
        long = [self.long(every[:count]) for count in (25, 16, 6)]
        return Takes(alone, joined, long)

    def alone(self, clip: int, role: str) -> Take:
        lost = np.zeros(COUNTS[clip], np.bool_)
        if role != PROTECTED and self.shows[clip]:
            self.lose_edges(lost)
        lost[self.times(clip) > self.server.stop] = True
        rest = self.server.rest.get(role, 0.0)
        return self.take(clip, lost, garbled=rest)

    def long(self, clips: Sequence[int]) -> LongTake:
        times, at = [], 0.0
        for clip in clips:
            times.append(self.times(clip) + at)
            at = times[-1][-1] + WORD / 2 + PAUSE
        lost = np.zeros(sum(COUNTS[clip] for clip in clips), np.bool_)
        whole = np.concatenate(times)
        if self.shows[clips[0]]:
            self.lose_edges(lost)
        start, stop = self.server.hole
        lost[(whole > self.server.stop) | ((whole > start) & (whole < stop))] = True
        parts = np.split(lost, np.cumsum([len(each) for each in times])[:-1])
        takes = [self.take(clip, part) for clip, part in zip(clips, parts, strict=True)]
        return LongTake(tuple(takes), tuple(tuple(each.tolist()) for each in times))

    def times(self, clip: int) -> npt.NDArray[np.float64]:
        return np.arange(COUNTS[clip], dtype=np.float64) * WORD + WORD / 2

    def lose_edges(self, lost: Flags) -> None:
        lost[: self.server.head] = True
        if self.server.tail:
            lost[-self.server.tail :] = True

    def take(self, clip: int, lost: Flags, *, garbled: float = 0.0) -> Take:
        """Return a take with the errors of the server beside what it loses."""
        count, rate = COUNTS[clip], self.rates[clip]
        kinds = self.rng.random((2, count))
        wrong = kinds[0] < rate  # half of them deletions, then substitutions
        deleted = (wrong & (kinds[1] < 0.5)) | lost
        if garbled >= 1:
            deleted[:] = True
        unlike = wrong | (kinds[1] < 2 * garbled)
        errors = int((deleted | unlike).sum())
        return Take(str(clip), tuple((~deleted).tolist()), errors)
