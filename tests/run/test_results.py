"""The results of a test: its levels of load are judged beside its utterances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.report import junit, messages
from pytest_realtime_asr.report.verdict_rows import rows
from pytest_realtime_asr.run.results import Results, UnjudgedLoss, judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.budgets import Budget, budget, latency_budget
from pytest_realtime_asr.verdicts.run_limits import run_limits
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.load_rows import level, row
from tests.support.servers import took

GOODPUT = budget("goodput", at_least=0.99)
FAIRNESS = budget("fairness", at_most=3)
DRIFT = budget("latency_drift", at_most=500)
WER = budget("wer_under_load", at_most=0.1)
FINAL = latency_budget("final_from_commit", max="5s")


@pytest.fixture(scope="module")
def take(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def lost(loop: Loop) -> Transcription:
    return took(loop, "no-final")


def held(streams: int = 8, number: int = 1, late: int = 0) -> Level:
    """A level of 400 sessions, of which some are late."""
    found: list[Row] = [
        row(stream=n % streams, final=9000.0 if n < late else 100.0, at=n / 10)
        for n in range(400)
    ]
    return level(found, streams=streams, number=number)


def judged(
    budgets: Iterable[Budget],
    levels: Iterable[Level],
    *takes: Transcription,
    of_run: Iterable[str] = (),
) -> Results:
    """The results of a test with these budgets and limits of the run."""
    limits = run_limits(of_run)
    terms = Terms("vllm", "", 1.0, 0.1, (*budgets, *limits.budgets), of_run=limits)
    own = [each for each in terms.budgets if each.metric == "final_from_commit"]
    pools = {each: takes for each in own}
    return judge_test("test_it", takes, terms, pools=pools, levels=tuple(levels))


def test_a_level_that_holds_passes_its_test(take: Transcription) -> None:
    results = judged([FINAL, GOODPUT, FAIRNESS, DRIFT], [held()], take)
    assert results.failing == ()
    assert results.verdict is Verdict.PASS
    assert [each.metric for each in results.findings] == [
        "final_from_commit",
        "goodput",
        "fairness",
        "latency_drift",
    ]


def test_the_worst_level_fails_its_test(take: Transcription) -> None:
    levels = [held(8), held(12, number=2, late=40)]
    results = judged([FINAL, GOODPUT], levels, take)
    assert results.verdict is Verdict.FAIL
    failure = messages.failure(results)
    assert failure is not None
    assert failure.startswith(
        "goodput at 12 streams = 0.9 < 0.99 (95% CI 0.866-0.928; 400 sessions; proven)"
    )
    assert "8 streams" not in failure
    lines = messages.lines(results)
    assert any(line.startswith("PASS (proven: n=400): goodput at 8") for line in lines)


def test_the_metrics_of_a_level_are_in_every_report(take: Transcription) -> None:
    levels = [held(8), held(12, number=2, late=40)]
    results = judged([FINAL, GOODPUT], levels, take)
    found = [each for each in rows(results) if each.metric == "goodput"]
    assert [each.subject for each in found] == ["budget", "budget"]
    assert [(each.value, each.limit, each.n) for each in found] == [
        (1.0, 0.99, 400),
        (0.9, 0.99, 400),
    ]
    assert [each.fails for each in found] == [False, True]
    properties = dict(junit.properties(results))
    assert properties["realtime.goodput_ratio.min"] == 1.0
    assert properties["realtime.goodput_ratio.min.2"] == 0.9
    assert properties["realtime.goodput_ratio.min.2.verdict"] == "FAIL"
    assert properties["realtime.goodput_ratio.min.2.n"] == 400


def test_a_test_without_a_level_judged_nothing(take: Transcription) -> None:
    results = judged([GOODPUT], [], take)
    assert results.verdict is Verdict.FAIL
    failure = messages.failure(results)
    assert failure is not None
    assert failure.startswith("goodput >= 0.99: no level of load was run")


def test_levels_of_a_search_are_not_judged(take: Transcription) -> None:
    search = replace(held(40, late=400), purpose=Purpose.SEARCH)
    results = judged([FINAL, GOODPUT], [search, held(8, number=2)], take)
    assert results.verdict is Verdict.PASS
    only = judged([FINAL, GOODPUT], [search], take)
    assert only.verdict is Verdict.FAIL
    assert len(only.findings) == 2


def test_a_limit_of_the_run_applies_only_to_tests_with_a_level(
    take: Transcription,
) -> None:
    limits = ["goodput >= 99%, final_from_commit max <= 5s"]
    assert judged([], [], take, of_run=limits).verdict is Verdict.PASS
    late = held(late=40)
    assert judged([], [late], take, of_run=limits).verdict is Verdict.FAIL
    assert judged([], [held()], take, of_run=limits).verdict is Verdict.PASS


def test_a_level_uses_the_references_of_the_utterances(take: Transcription) -> None:
    clip, text = take.utterance.clip, take.utterance.text
    good = [row(text, clip=clip) for _ in range(4)]
    sound = level(good, alone=[row(text, clip=clip)])
    assert judged([WER], [sound], take).verdict is Verdict.PASS
    bad = [row("nothing of this", clip=clip) for _ in range(4)]
    broken = level(bad, alone=[row(text, clip=clip)])
    assert judged([WER], [broken], take).verdict is Verdict.FAIL
    assert judged([WER], [sound]).verdict is Verdict.FAIL  # no reference is known


def test_lost_sessions_fail_unless_a_metric_counts_them(lost: Transcription) -> None:
    steady = held()
    counted = judged([FAIRNESS], [steady], lost)
    assert counted.failing == ()
    left_out = judged([DRIFT], [steady], lost)
    assert [type(each) for each in left_out.failing] == [UnjudgedLoss]


def test_a_lost_session_of_a_level_is_named(take: Transcription) -> None:
    refused = [row(lost=Loss.REFUSED, code=429, session="", at=5.0)] * 40
    broken = replace(held(), rows=(*held().rows, *refused))
    failure = messages.failure(judged([FINAL, GOODPUT], [broken], take))
    assert failure is not None
    assert "; 440 sessions, 40 refused; proven)" in failure
