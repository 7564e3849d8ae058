"""Judges the recall of keywords against its lower limit.

Each occurrence of a keyword in a reference is one trial, and the proof is an exact
binomial test. The test assumes independent trials, so several keywords in one
utterance, or a clip that is sent again, make the proof too optimistic. All keywords of
a lost session count as missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.keywords import Keywords, recognised
from pytest_realtime_asr.metrics.normalizers import Normalizer
from pytest_realtime_asr.stats import (
    proven_at_most,
    proven_over,
    samples_needed,
    share_interval,
)
from pytest_realtime_asr.verdicts.budgets import RecallThreshold
from pytest_realtime_asr.verdicts.finding import DEFAULT_LEVEL
from pytest_realtime_asr.verdicts.reasons import MoreKeywords, Reason, Simple
from pytest_realtime_asr.verdicts.sample import tally
from pytest_realtime_asr.verdicts.verdict import Verdict


class RecallRow(Protocol):
    """One transcription that counts towards a recall.

    The fields are explained in `wer.WerRow`.
    """

    @property
    def label(self) -> str: ...
    @property
    def utterance(self) -> Utterance: ...
    @property
    def hypothesis(self) -> str | None: ...
    @property
    def lost(self) -> str: ...

    def recognise(
        self, keywords: Sequence[str], normalizer: Normalizer | None
    ) -> Keywords:
        """Return which keywords of the reference were found, and which were missed."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A transcription, and the keywords that were missed in it."""

    row: RecallRow
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecallFinding:
    """The result of judging a recall.

    The fields of `Finding` have the same meaning here. Keywords were said ``n`` times
    in ``utterances`` transcriptions. ``misses`` are the transcriptions in which a
    keyword is missing. ``unspoken`` are the keywords that no reference contains.
    """

    limit: float
    verdict: Verdict
    n: int
    level: float
    observed: float | None = None
    interval: tuple[float, float] | None = None
    missed: int = 0
    utterances: int = 0
    normalizers: tuple[str, ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    proven: bool = False
    needed: int | None = None
    reason: Reason | None = None
    misses: tuple[Miss, ...] = ()
    unspoken: tuple[str, ...] = ()
    synthetic: bool = False


def missing_keywords(threshold: RecallThreshold, clips: Iterable[Utterance]) -> int:
    """Return how many more keywords must be spoken to prove that the limit is met.

    The number is in addition to the keywords in ``clips``, and assumes that all
    keywords are recognised. It is 0 if the limit has no confidence.
    """
    if threshold.confidence is None:
        return 0
    said = (
        recognised(
            threshold.keywords,
            clip.text,
            clip.text,
            normalizer=threshold.normalizer,
            language=clip.language,
        )
        for clip in clips
    )
    n = sum(len(each.found) + len(each.missed) for each in said)
    return max(0, samples_needed(threshold.at_least, threshold.confidence) - n)


def judge_recall(
    threshold: RecallThreshold, rows: Sequence[RecallRow]
) -> RecallFinding:
    """Judge the recall of keywords, pooled from all rows.

    If no keyword was spoken, nothing was judged, and the verdict is ``FAIL``.
    """
    level = threshold.confidence or DEFAULT_LEVEL
    limit = threshold.at_least
    pairs = [
        (row, row.recognise(threshold.keywords, threshold.normalizer)) for row in rows
    ]
    spoken = [(row, each) for row, each in pairs if each.found or each.missed]
    said = {word for _, each in spoken for word in (*each.found, *each.missed)}
    unspoken = tuple(word for word in threshold.keywords if word not in said)
    if not rows:
        reason = Simple.NOTHING_JUDGED
        return RecallFinding(limit, Verdict.FAIL, 0, level, reason=reason)
    if not spoken:
        reason = Simple.NO_KEYWORD
        return RecallFinding(
            limit, Verdict.FAIL, 0, level, reason=reason, unspoken=unspoken
        )
    missed = sum(len(each.missed) for _, each in spoken)
    n = missed + sum(len(each.found) for _, each in spoken)
    verdict = Verdict.PASS if (n - missed) / n >= limit else Verdict.FAIL
    proven = _is_proven(verdict, missed, n, limit, level)
    needed = None if limit == 1 else samples_needed(limit, level, over=missed)
    reason_undecided: Reason | None = None
    if threshold.confidence is not None and not proven:
        verdict = Verdict.INCONCLUSIVE
        reason_undecided = MoreKeywords(needed - n) if needed else None
    return RecallFinding(
        limit=limit,
        verdict=verdict,
        n=n,
        level=level,
        observed=(n - missed) / n,
        interval=share_interval(n - missed, n, level),
        missed=missed,
        utterances=len(spoken),
        normalizers=tuple(sorted({each.normalizer for _, each in spoken})),
        lost=tally(
            row.lost or "no final"
            for row, _ in spoken
            if row.lost or row.hypothesis is None
        ),
        proven=proven,
        needed=needed,
        reason=reason_undecided,
        misses=tuple(Miss(row, each.missed) for row, each in spoken if each.missed),
        unspoken=unspoken,
        synthetic=any(row.utterance.synthetic for row, _ in spoken),
    )


def _is_proven(
    verdict: Verdict, missed: int, n: int, limit: float, level: float
) -> bool:
    """Return whether ``n`` trials prove a verdict; no sample proves a recall of 1."""
    if verdict is Verdict.PASS:
        return limit < 1 and proven_at_most(missed, n, limit, level)
    return limit == 1 or proven_over(missed, n, limit, level)
