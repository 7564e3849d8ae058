"""Simulations: the verdicts have at most the error rates that they state.

Each simulation calls the functions of the plugin many times on simulated values, and
counts the errors. This count is itself a sample, so it may exceed the stated rate by
`NOISE` standard errors.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from pytest_realtime_asr.metrics.accuracy import (
    words,
)
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.stats import (
    Difference,
    holm,
    matched_pairs,
    paired,
    quantile_interval,
)
from pytest_realtime_asr.verdicts import comparison
from pytest_realtime_asr.verdicts.budgets import latency_budget, wer_threshold
from pytest_realtime_asr.verdicts.change import Outcome
from pytest_realtime_asr.verdicts.comparison import compare
from pytest_realtime_asr.verdicts.fixed_sample import judge
from pytest_realtime_asr.verdicts.limits import parse_margins
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.sequential import judge_in_order
from pytest_realtime_asr.verdicts.utterance_record import Conditions, UtteranceRecord
from pytest_realtime_asr.verdicts.verdict import Verdict
from pytest_realtime_asr.verdicts.wer import judge_wer
from tests.support.wer_rows import scored

ALLOWED = 0.05  # what 95 % of confidence allow
NOISE = 3.0
RUNS = 2000

pytestmark = pytest.mark.slow


def most(share: float, runs: int) -> float:
    """Return the upper bound of the observed share over ``runs`` runs."""
    return share + NOISE * math.sqrt(share * (1 - share) / runs)


def least(share: float, runs: int) -> float:
    """Return the lower bound of the observed share over ``runs`` runs."""
    return share - NOISE * math.sqrt(share * (1 - share) / runs)


def rates(verdicts: Iterator[Verdict]) -> dict[Verdict, float]:
    """Return the share of each verdict."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] / counts.total() for verdict in Verdict}


# A share over the limit: p95, of which 5 % may be over, and a good server has 1 %

PROOF = latency_budget("final_from_commit", p95="800ms", confidence=0.95)
WITHIN, OVER = Sample("within", 300.0), Sample("over", 900.0)


def sessions(share: float, n: int) -> Iterator[list[Sample]]:
    """Yield the ``n`` samples of each run, each over the limit by chance ``share``."""
    drawn = np.random.default_rng(n).random((RUNS, n)) < share
    for row in drawn.tolist():
        yield [OVER if over else WITHIN for over in row]


@pytest.mark.parametrize(
    ("n", "share", "passed", "failed"),
    [
        (60, 0, 1, 0),
        (60, 0.01, 0.56, 0),
        (60, 0.05, 0.05, 0.03),
        (60, 0.1, 0, 0.39),
        (60, 0.25, 0, 1),
        (200, 0, 1, 0),
        (200, 0.01, 0.94, 0),
        (200, 0.05, 0.04, 0.04),
        (200, 0.1, 0, 0.81),
        (200, 0.25, 0, 1),
    ],
)
def test_a_verdict_of_a_fixed_number(
    n: int, share: float, passed: float, failed: float
) -> None:
    found = rates(judge(PROOF, samples).verdict for samples in sessions(share, n))
    assert found[Verdict.PASS] == pytest.approx(passed, abs=0.03)
    assert found[Verdict.FAIL] == pytest.approx(failed, abs=0.03)
    if share >= ALLOWED:
        assert found[Verdict.PASS] <= most(ALLOWED, RUNS)
    if share <= ALLOWED:
        assert found[Verdict.FAIL] <= most(ALLOWED, RUNS)


@pytest.mark.parametrize(
    ("share", "passed", "needed"),
    [(0, 1, 73), (0.01, 0.97, 116), (0.05, 0.05, 81), (0.1, 0, 31), (0.25, 0, 10)],
)
def test_the_verdict_of_a_sequential_test(
    share: float, passed: float, needed: float
) -> None:
    judged = [judge_in_order(PROOF, samples) for samples in sessions(share, 400)]
    found = rates(each.verdict for each in judged)
    assert found[Verdict.PASS] == pytest.approx(passed, abs=0.02)
    assert found[Verdict.INCONCLUSIVE] < 0.01
    assert np.mean([each.decided or 400 for each in judged]) == pytest.approx(
        needed, rel=0.1
    )
    if share >= ALLOWED:
        assert found[Verdict.PASS] <= most(ALLOWED, RUNS)
    if share <= ALLOWED / 5:
        assert found[Verdict.FAIL] <= most(ALLOWED, RUNS)


def test_a_proof_for_a_corpus_of_unlike_clips() -> None:
    """Half of the clips are never over the limit, half in 10 % of their sessions.

    All clips are sent equally often, in random order.
    """
    rng = np.random.default_rng(15)

    def said(n: int) -> list[Sample]:
        clips = rng.permutation(n) % 20
        over = rng.random(n) < np.where(clips % 2, 0.1, 0.0)
        rows = zip(clips.tolist(), over.tolist(), strict=True)
        return [
            Sample("s", 900.0 if each else 300.0, clip=f"c{clip}")
            for clip, each in rows
        ]

    runs = 300
    fixed = rates(judge(PROOF, said(100)).verdict for _ in range(runs))
    ordered = rates(judge_in_order(PROOF, said(400)).verdict for _ in range(runs))
    assert fixed[Verdict.PASS] <= most(ALLOWED, runs)
    assert fixed[Verdict.FAIL] <= most(ALLOWED, runs)
    assert ordered[Verdict.PASS] <= most(ALLOWED, runs)


def test_the_interval_of_clips_that_repeat() -> None:
    """Each of 30 clips is sent 4 times; most of the variance is between clips.

    If the clips are ignored, the interval is wrong in more than 20 % of the runs.
    """
    runs, clips, times = 400, 30, 4
    rng = np.random.default_rng(8)
    blocks = [clip for clip in range(clips) for _ in range(times)]
    missed = dict.fromkeys(("alone", "by clip"), 0)
    for _ in range(runs):
        values = rng.normal(0, 1, clips).repeat(times) + rng.normal(0, 0.5, 120)
        for name, given in (("alone", None), ("by clip", blocks)):
            low, high = quantile_interval(values, 0.5, blocks=given, resamples=400)
            missed[name] += not low <= 0 <= high
    assert missed["by clip"] / runs <= most(ALLOWED, runs)
    assert missed["alone"] / runs > 0.2


# An error rate, whose errors come in clusters, by utterance and by speaker

WORDS = 10
TEXT = " ".join(f"w{number}" for number in range(WORDS))
HEARD = [" ".join(["x"] * n + TEXT.split()[n:]) for n in range(WORDS + 1)]


def errors(
    rng: np.random.Generator, rate: float, speakers: int, each: int
) -> list[int]:
    """Return the wrong words of each utterance, with 2 to 3 times binomial variance."""
    by_speaker = rng.beta(rate * 20, (1 - rate) * 20, speakers).repeat(each)
    chances = rng.beta(by_speaker * 8, (1 - by_speaker) * 8)
    wrong: list[int] = rng.binomial(WORDS, chances).tolist()
    return wrong


@pytest.mark.parametrize(
    ("limit", "speakers", "each"), [(0.04, 10, 6), (0.04, 20, 3), (0.12, 40, 1)]
)
def test_a_rate_at_its_limit(
    limit: float, speakers: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There are few texts, and they come again and again.
    monkeypatch.setattr("tests.support.wer_rows.words", cache(words))
    threshold = wer_threshold(limit, normalizer="none", confidence=0.95)
    rng = np.random.default_rng(9)

    def verdict() -> Verdict:
        wrong = errors(rng, limit, speakers, each)
        rows = [
            scored(n, TEXT, HEARD[bad], speaker=f"p{n // each}")
            for n, bad in enumerate(wrong)
        ]
        return judge_wer(threshold, rows).verdict

    found = rates(verdict() for _ in range(RUNS))
    assert found[Verdict.PASS] <= most(ALLOWED, RUNS)
    assert found[Verdict.FAIL] <= most(ALLOWED, RUNS)


# Two runs

CLIPS = 60
SPEED = 0.2  # of a latency, its noise from run to run as a share


def latencies(rng: np.random.Generator, slower: float = 0.0) -> list[float]:
    clips = np.random.default_rng(10).lognormal(6, 0.4, CLIPS)
    noise = rng.lognormal(0, SPEED, CLIPS)
    found: list[float] = (clips * noise * (1 + slower)).tolist()
    return found


def difference(rng: np.random.Generator, slower: float, *, median: bool) -> Difference:
    pairs = zip(latencies(rng), latencies(rng, slower), strict=True)
    return paired(
        [math.log(after / before) for before, after in pairs],
        median=median,
        resamples=300,
    )


@pytest.mark.parametrize("median", [False, True])
def test_of_several_metrics_of_equal_servers_none_differs(median: bool) -> None:
    runs = 400
    rng = np.random.default_rng(11)
    called = 0
    for _ in range(runs):
        found = [difference(rng, 0, median=median) for _ in range(3)]
        called += min(holm([each.p for each in found])) <= ALLOWED
    assert called / runs <= most(ALLOWED, runs)


@pytest.mark.parametrize(
    ("slower", "power"), [(0.05, 0.14), (0.1, 0.55), (0.2, 0.99)], ids=str
)
def test_a_slower_server_is_found(slower: float, power: float) -> None:
    """One of three metrics is slower; there are 60 pairs with a noise of 20 %."""
    runs = 300
    rng = np.random.default_rng(12)
    called = 0
    for _ in range(runs):
        found = [difference(rng, share, median=False) for share in (slower, 0, 0)]
        called += holm([each.p for each in found])[0] <= ALLOWED
    assert called / runs >= least(power, runs)


@pytest.mark.parametrize(
    ("worse", "low", "high"), [(0, 0, ALLOWED), (0.08, 0.7, 1)], ids=str
)
def test_matched_pairs_of_error_rates(worse: float, low: float, high: float) -> None:
    """20 speakers have 5 utterances each; the rate rises from 8 % by ``worse``."""
    runs = RUNS
    rng = np.random.default_rng(13)
    blocks = [speaker for speaker in range(20) for _ in range(5)]
    called = 0
    for _ in range(runs):
        before, after = errors(rng, 0.08, 20, 5), errors(rng, 0.08 + worse, 20, 5)
        called += matched_pairs(before, after, blocks=blocks).p <= ALLOWED
    assert least(low, runs) <= called / runs <= most(high, runs)


METRICS = ("first_partial_from_speech", "final_from_commit", "final_from_speech_end")


def run(rng: np.random.Generator, slower: float = 0.0) -> list[UtteranceRecord]:
    """Return the records of a run, with three metrics of time and with word errors."""
    columns = [latencies(rng, slower) for _ in METRICS]
    wrong = errors(rng, 0.08, CLIPS, 1)
    return [
        UtteranceRecord(
            test="test_it",
            started=datetime(2026, 1, 1, tzinfo=UTC),
            dialect="vllm",
            utterance=f"u{n}",
            audio=f"{n}",
            language="en",
            synthetic=False,
            lost="",
            reference=TEXT,
            text=HEARD[wrong[n]],
            normalizer="none/1",
            unit=TextUnit.WORD,
            errors=Errors(WORDS - wrong[n], wrong[n]),
            metrics=dict(zip(METRICS, values, strict=True)),
            conditions=Conditions(),
        )
        for n, values in enumerate(zip(*columns, strict=True))
    ]


@pytest.mark.parametrize(
    ("slower", "runs", "low", "high"),
    [(0, RUNS, 0, ALLOWED), (0.1, 200, 0.7, 1), (0.2, 200, 0.99, 1)],
)
def test_a_comparison(
    slower: float,
    runs: int,
    low: float,
    high: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Count the runs in which any metric is called worse."""
    monkeypatch.setattr(comparison, "RESAMPLES", 300)  # p is as exact as it has to be
    rng = np.random.default_rng(14)
    limits = parse_margins(",".join(f"{name}:0%" for name in METRICS))
    called = 0
    for _ in range(runs):
        found = compare("before", run(rng), run(rng, slower), limits)
        called += any(each.outcome is Outcome.WORSE for each in found.changes)
    assert least(low, runs) <= called / runs <= most(high, runs)
