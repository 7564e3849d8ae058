"""Whether a pooled error rate keeps to its threshold.

Errors come in clusters, by speaker and by utterance, so that the interval draws those
and not words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import (
    pooled,
)
from pytest_realtime_asr.metrics.alignment import Alignment, Errors, TextUnit
from pytest_realtime_asr.metrics.normalizers import Normalizer
from pytest_realtime_asr.stats import bootstrap, count_interval
from pytest_realtime_asr.verdicts.budgets import WerThreshold
from pytest_realtime_asr.verdicts.finding import DEFAULT_LEVEL, NOTHING, WORST
from pytest_realtime_asr.verdicts.sample import tally
from pytest_realtime_asr.verdicts.verdict import Verdict

LEAST_UTTERANCES = 20  # a bootstrap over fewer proves nothing
LEAST_SPEAKERS = 10  # nor does one over fewer speakers, where they are named
NO_ERRORS = Errors()


class WerRow(Protocol):
    """One transcription under a threshold.

    ``label`` is the id of its session. Rows of the same utterance or speaker are not
    independent. ``hypothesis`` is ``None`` and ``lost`` says why where the session gave
    no final: then all words are deleted.
    """

    @property
    def label(self) -> str: ...
    @property
    def utterance(self) -> Utterance: ...
    @property
    def hypothesis(self) -> str | None: ...
    @property
    def lost(self) -> str: ...

    def align(self, normalizer: Normalizer | None) -> Alignment:
        """Return the alignment as it is judged."""


@dataclass(frozen=True, slots=True)
class WerFinding:
    """What judging a threshold found; the fields of the same name are as in `Finding`.

    ``name`` is ``wer``, ``cer`` where all rows were counted by characters, or
    ``wer+cer``. ``speakers`` is how many are named. ``worst`` are the rows with the
    most errors, with their alignments. ``synthetic`` says that a machine spoke any.
    """

    name: str
    limit: float
    verdict: Verdict
    n: int
    level: float
    observed: float | None = None
    interval: tuple[float, float] | None = None
    errors: Errors = NO_ERRORS
    normalizers: tuple[str, ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    proven: bool = False
    reason: str = ""
    worst: tuple[tuple[WerRow, Alignment], ...] = ()
    speakers: int = 0
    synthetic: bool = False


def too_few(said: Iterable[tuple[str, str]]) -> str:
    """Why utterances can prove no error rate, whatever was heard; else empty.

    Of each, its id and its speaker are given; the speaker is empty where it is unknown.
    """
    ids, voices = set(), set()
    for utterance, speaker in said:
        ids.add(utterance)
        voices.add(_block(utterance, speaker))
    if len(ids) < LEAST_UTTERANCES:
        return f"fewer than {LEAST_UTTERANCES} utterances prove nothing"
    if len(voices) < LEAST_SPEAKERS:
        return f"fewer than {LEAST_SPEAKERS} speakers prove nothing"
    return ""


def _block(utterance: str, speaker: str) -> tuple[str, str]:
    """What an utterance shares with those that resemble it."""
    return speaker, "" if speaker else utterance


def judge_wer(
    threshold: WerThreshold, rows: Sequence[WerRow], *, seed: int = 0
) -> WerFinding:
    """The pooled error rate of all rows against the threshold.

    The interval is the wider one, on each side, of a bootstrap over speakers, or over
    utterances where no speaker is named, and of what as many independent errors would
    give. Fewer than `LEAST_UTTERANCES` utterances prove nothing, nor do fewer than
    `LEAST_SPEAKERS` speakers. Words that were heard where the reference is empty are
    counted, but have no part in the rate.
    """
    level = threshold.confidence or DEFAULT_LEVEL
    limit = threshold.limit
    aligned = [(row, row.align(threshold.normalizer)) for row in rows]
    units = sorted({alignment.unit for _, alignment in aligned}, reverse=True)
    name = (
        "+".join("wer" if unit is TextUnit.WORD else "cer" for unit in units) or "wer"
    )
    counted = [(row, alignment.errors) for row, alignment in aligned]
    errors = pooled(each for _, each in counted)
    observed = errors.rate
    if observed is None:
        reason = "cannot be measured: needs a reference" if rows else NOTHING
        return WerFinding(
            name, limit, Verdict.FAIL, len(rows), level, errors=errors, reason=reason
        )
    spoken = [(row, each) for row, each in counted if each.reference]
    blocks = [_block(row.utterance.id, row.utterance.speaker) for row, _ in spoken]
    wide = bootstrap(
        [each.wrong for _, each in spoken],
        [each.reference for _, each in spoken],
        seed=seed,
        confidence=level,
        blocks=blocks,
    )
    exact = count_interval(errors.wrong, errors.reference, level)
    low, high = min(wide[0], exact[0]), max(wide[1], exact[1])
    few = too_few((row.utterance.id, row.utterance.speaker) for row, _ in spoken)
    within = observed <= limit
    proven = not few and (high <= limit if within else low > limit)
    verdict = Verdict.PASS if within else Verdict.FAIL
    reason = ""
    if threshold.confidence is not None and not proven:
        verdict = Verdict.INCONCLUSIVE
        reason = few or "the interval holds the limit; more utterances would narrow it"
    missed = [pair for pair in aligned if mistakes(pair[1])]
    missed.sort(key=lambda pair: mistakes(pair[1]), reverse=True)
    return WerFinding(
        name=name,
        limit=limit,
        verdict=verdict,
        n=len(rows),
        level=level,
        observed=observed,
        interval=(low, high),
        errors=errors,
        normalizers=tuple(sorted({alignment.normalizer for _, alignment in aligned})),
        lost=tally(
            row.lost or "no final" for row in rows if row.lost or row.hypothesis is None
        ),
        proven=proven,
        reason=reason,
        worst=tuple(missed[:WORST]),
        speakers=len({row.utterance.speaker for row, _ in spoken} - {""}),
        synthetic=any(row.utterance.synthetic for row in rows),
    )


def mistakes(alignment: Alignment) -> int:
    return alignment.errors.wrong + alignment.errors.unspoken
