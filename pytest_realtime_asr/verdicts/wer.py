"""Judges a pooled error rate against its threshold.

Errors are clustered by speaker and by utterance, so single words must not be resampled.
Two intervals are computed: a bootstrap interval that resamples speakers (utterances, if
no speaker is named), and the exact Poisson interval, which assumes independent errors.
The result is the smallest interval that contains both.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import Languages, languages, pooled
from pytest_realtime_asr.metrics.alignment import Alignment, Errors, TextUnit
from pytest_realtime_asr.metrics.normalizers import Normalizer
from pytest_realtime_asr.stats import bootstrap, count_interval
from pytest_realtime_asr.verdicts.budgets import WerThreshold
from pytest_realtime_asr.verdicts.finding import DEFAULT_LEVEL, WORST
from pytest_realtime_asr.verdicts.reasons import Reason, Simple, TooFew
from pytest_realtime_asr.verdicts.sample import tally
from pytest_realtime_asr.verdicts.verdict import Verdict

LEAST_UTTERANCES = 20  # a bootstrap over fewer utterances proves nothing
LEAST_SPEAKERS = 10  # if speakers are named, a bootstrap over fewer proves nothing
NO_ERRORS = Errors()
ALL_STATED = Languages()


class WerRow(Protocol):
    """One transcription that counts towards a WER threshold.

    ``label`` is the id of the session. Rows of the same utterance or speaker are not
    independent. If the session gave no final, ``hypothesis`` is ``None``, ``lost`` says
    why, and every word of the reference counts as a deletion.
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
        """Return the alignment by which the transcription is judged."""


@dataclass(frozen=True, slots=True)
class WerFinding:
    """The result of judging a threshold.

    The fields of `Finding` have the same meaning here. ``name`` is ``wer`` if all rows
    were counted by words, ``cer`` if all were counted by characters, and otherwise
    ``wer+cer``. ``speakers`` is the number of named speakers. ``worst`` are the rows
    with the most errors, with their alignments. ``synthetic`` is true if any speech was
    synthesised. ``languages`` says how the languages of the references are known.
    ``perturbations`` are the names of the perturbations of the utterances.
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
    reason: Reason | None = None
    worst: tuple[tuple[WerRow, Alignment], ...] = ()
    speakers: int = 0
    synthetic: bool = False
    languages: Languages = ALL_STATED
    unserved: int = 0
    perturbations: tuple[str, ...] = ()


def too_few(utterances: Iterable[tuple[str, str]]) -> TooFew | None:
    """Return why utterances are too few to prove an error rate, or ``None``.

    Each utterance is given by its id and its speaker; the speaker is empty if unknown.
    """
    ids, blocks = set(), set()
    for utterance, speaker in utterances:
        ids.add(utterance)
        blocks.add(_block(utterance, speaker))
    if len(ids) < LEAST_UTTERANCES:
        return TooFew(LEAST_UTTERANCES, speakers=False)
    if len(blocks) < LEAST_SPEAKERS:
        return TooFew(LEAST_SPEAKERS, speakers=True)
    return None


def _block(utterance: str, speaker: str) -> tuple[str, str]:
    """Return the label of an utterance; dependent utterances have the same label."""
    return speaker, "" if speaker else utterance


def judge_wer(
    threshold: WerThreshold, rows: Sequence[WerRow], *, seed: int = 0
) -> WerFinding:
    """Judge the pooled error rate of all rows against a threshold.

    Fewer than `LEAST_UTTERANCES` utterances, or fewer than `LEAST_SPEAKERS` speakers,
    prove nothing. Words recognised in utterances with an empty reference are counted
    separately; the rate does not include them.
    """
    level = threshold.confidence or DEFAULT_LEVEL
    limit = threshold.limit
    aligned = [(row, row.align(threshold.normalizer)) for row in rows]
    name = _name(alignment for _, alignment in aligned)
    counted = [(row, alignment.errors) for row, alignment in aligned]
    errors = pooled(each for _, each in counted)
    observed = errors.rate
    if observed is None:
        reason: Reason | None = Simple.NO_REFERENCE if rows else Simple.NOTHING_JUDGED
        return WerFinding(
            name, limit, Verdict.FAIL, len(rows), level, errors=errors, reason=reason
        )
    spoken = [(row.utterance, each) for row, each in counted if each.reference]
    low, high = rate_interval(
        [each for _, each in spoken],
        [_block(utterance.clip, utterance.speaker) for utterance, _ in spoken],
        level=level,
        seed=seed,
    )
    few = too_few((utterance.clip, utterance.speaker) for utterance, _ in spoken)
    within = observed <= limit
    proven = few is None and (high <= limit if within else low > limit)
    verdict = Verdict.PASS if within else Verdict.FAIL
    reason = None
    if threshold.confidence is not None and not proven:
        verdict = Verdict.INCONCLUSIVE
        reason = few or Simple.INTERVAL_INCLUDES_LIMIT
    wrong = [pair for pair in aligned if mistakes(pair[1])]
    wrong.sort(key=lambda pair: mistakes(pair[1]), reverse=True)
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
        worst=tuple(wrong[:WORST]),
        speakers=len({utterance.speaker for utterance, _ in spoken} - {""}),
        synthetic=any(row.utterance.synthetic for row in rows),
        languages=languages(alignment for _, alignment in aligned),
        perturbations=tuple(
            sorted({row.utterance.perturbation for row in rows} - {""})
        ),
    )


def _name(alignments: Iterable[Alignment]) -> str:
    units = sorted({alignment.unit for alignment in alignments}, reverse=True)
    names = ["wer" if unit is TextUnit.WORD else "cer" for unit in units]
    return "+".join(names) or "wer"


def rate_interval(
    errors: Sequence[Errors],
    blocks: Sequence[Hashable],
    *,
    level: float = DEFAULT_LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the confidence interval of the pooled error rate of some utterances.

    The interval is the smallest that contains both a bootstrap interval over the
    ``blocks`` and the exact Poisson interval. Each utterance has a reference that is
    not empty; utterances that depend on each other have the same label in ``blocks``.
    """
    wide = bootstrap(
        [each.wrong for each in errors],
        [each.reference for each in errors],
        seed=seed,
        confidence=level,
        blocks=blocks,
    )
    every = pooled(errors)
    exact = count_interval(every.wrong, every.reference, level)
    return min(wide[0], exact[0]), max(wide[1], exact[1])


def mistakes(alignment: Alignment) -> int:
    """Return the number of errors, including words recognised in silence."""
    return alignment.errors.wrong + alignment.errors.unspoken
