"""Verdicts as rows, in JSON Lines and in the properties of JUnit XML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.drain import Closing, Drain, DrainedSession, Moment
from pytest_realtime_asr.load.growth import Growth, Quantity
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.soak import Beside, LongSession, Soak
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.report import jsonl, junit, messages
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.junit import Detail
from pytest_realtime_asr.report.verdict_rows import VerdictRow, rows
from pytest_realtime_asr.run.results import Results, judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.budgets import (
    Budget,
    budget,
    keyword_recall,
    latency_budget,
    wer_threshold,
)
from pytest_realtime_asr.verdicts.comparison import compare
from pytest_realtime_asr.verdicts.limits import parse_margins
from pytest_realtime_asr.verdicts.utterance_record import Conditions
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy, Verdict
from tests.support.paths import FIXTURES
from tests.support.runs import RUN
from tests.support.servers import CLIP, took, violations

FINAL = "final_from_commit"
PREFIX = "realtime."


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    conditions = Conditions("c0ffee", 1.0, 0.1, 2, "fake", {"gpu": "none"})
    return replace(took(loop), conditions=conditions)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


def judged(
    budgets: Sequence[Budget],
    *takes: Transcription,
    policy: UndecidedPolicy = UndecidedPolicy.FAIL,
) -> Results:
    thresholds = (wer_threshold(0.5),)
    recalls = (keyword_recall(["turn"], at_least=0.9),)
    terms = Terms(
        "vllm",
        "",
        1.0,
        0.1,
        tuple(budgets),
        thresholds,
        recalls=recalls,
        undecided=policy,
    )
    return judge_test(
        "test_it.py::test_it",
        takes,
        terms,
        pools={each: takes for each in budgets},
        violations=violations(takes),
    )


def by_metric(results: Results) -> Mapping[tuple[str, str], VerdictRow]:
    found = rows(results)
    named = {(row.metric, row.statistic): row for row in found}
    assert len(named) == len(found)
    return named


def properties(
    results: Results, detail: Detail = Detail.FULL
) -> dict[str, str | float | int]:
    found = junit.properties(results, detail=detail)
    assert len(dict(found)) == len(found)
    return {name.removeprefix(PREFIX): value for name, value in found}


def test_a_row_for_each_limit(good: Transcription) -> None:
    limits = [latency_budget(FINAL, p50="10s", max="60min")]
    limits += [budget("word_coverage", at_least=2)]
    found = by_metric(judged(limits, good))
    assert set(found) == {
        (FINAL, "p50"),
        (FINAL, "max"),
        ("word_coverage", "mean"),
        ("wer", "rate"),
        ("keyword_recall", "rate"),
    }
    p50, most = found[FINAL, "p50"], found[FINAL, "max"]
    assert (p50.value, p50.limit, p50.unit) == (good.metrics[FINAL], 10_000, "ms")
    assert (p50.verdict, p50.proven, p50.fails, p50.needed) == ("PASS", False, False, 5)
    assert p50.interval == (None, None)  # one session bounds no quantile
    assert (most.n, most.over, most.verdict, most.fails) == (1, 0, "PASS", False)
    coverage = found["word_coverage", "mean"]
    assert (coverage.side, coverage.limit, coverage.over) == (">=", 2, 1)
    assert (coverage.verdict, coverage.fails) == ("FAIL", True)
    assert found["wer", "rate"].interval is not None


def test_lost_sessions_have_no_number(hung: Transcription, good: Transcription) -> None:
    found = by_metric(judged([latency_budget(FINAL, p95="10s")], hung, good))
    row = found[FINAL, "p95"]
    assert (row.value, row.lost, row.over, row.n) == (None, 1, 1, 2)
    assert found["one-final", "sessions"].verdict == "FAIL"
    assert found["one-final", "sessions"].fails


def test_every_reason_of_a_failure_has_a_row(hung: Transcription) -> None:
    terms = Terms("vllm", "", 1.0, 0.1)
    found = judge_test("test_it", [hung], terms, pools={})
    assert [(row.subject, row.value, row.fails) for row in rows(found)] == [
        ("lost sessions", 1, True)
    ]
    (row,) = rows(Results("test_it", (), failing=(KeyError("model"),)))
    assert (row.subject, row.fails) == ("error", True)
    assert "model" in row.reason


def test_a_change_between_two_runs(good: Transcription) -> None:
    before = [jsonl.row("test_it", good)] * 8
    slow = dict(good.metrics) | {FINAL: (good.metrics[FINAL] or 0) + 500}
    now = [replace(row, metrics=slow) for row in before]
    other = compare("before.jsonl", before, now, parse_margins(f"{FINAL}:20ms"))
    found = rows(Results("test_it", (good,), against=(other,), failing=(other,)))
    gated = next(row for row in found if row.metric == FINAL)
    assert (gated.limit, gated.unit, gated.against) == (20, "ms", "before.jsonl")
    assert gated.value == pytest.approx(500)
    assert (gated.before, gated.now) == pytest.approx(
        (good.metrics[FINAL], slow[FINAL])
    )
    beside = next(row for row in found if row.metric == "wer")
    assert (beside.verdict, beside.limit, beside.fails) == (None, None, False)
    assert junit.properties(
        Results("test_it", (good,), against=(other,))
    )  # of a change as well


# In JSON Lines


def test_the_verdicts_follow_the_utterances(
    good: Transcription, hung: Transcription, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    append = jsonl.Appender(ReportFile(path), RUN)
    append("test_it", replace(good, purpose=Purpose.BASELINE))
    append("test_it", hung)
    append.verdicts(judged([latency_budget(FINAL, p95="10s")], hung))
    append.verdicts(Results("test_other", ()))  # it measured nothing
    lines = path.read_text().splitlines()
    found = list(map(json.loads, lines))
    assert all(line.startswith('{"kind":') for line in lines)
    assert [row["kind"] for row in found[:4]] == ["run", *["utterance"] * 2, "verdict"]
    assert {row["run"] for row in found} == {RUN.id}
    assert {row["format"] for row in found} == {3}
    assert [row["counted"] for row in found[1:3]] == [False, True]
    final = found[3]
    assert (final["metric"], final["limit"], final["value"]) == (FINAL, 10_000, None)
    assert final["test"] == "test_it.py::test_it"
    assert [row.lost for row in jsonl.read(path)] == ["hung"]


@pytest.mark.parametrize("number", [1, 2])
def test_earlier_formats_are_read(
    number: int, good: Transcription, tmp_path: Path
) -> None:
    told: list[str] = []
    path = FIXTURES / "reports" / f"format-{number}.jsonl"
    found = jsonl.read(path, tell=told.append)
    assert [row.utterance for row in found] == ["turn-right", "open-door"]
    assert found[0].metrics[FINAL] is not None
    assert bool(told) == (number == 1)
    now = replace(jsonl.row("test_it", good), normalizer=found[0].normalizer)
    if number == 2:  # the audio and the conditions are stated
        conditions = found[0].conditions
        now = replace(now, audio=found[0].audio, conditions=conditions)
    assert compare(path.name, found, [now]).pairs == 1
    other = replace(now, conditions=replace(now.conditions, pace=2.0), audio="other")
    assert compare(path.name, found, [other]).pairs == (number == 1)


# In JUnit XML


def test_the_properties_of_a_limit(good: Transcription, hung: Transcription) -> None:
    limits = [latency_budget(FINAL, p95="10s", p90="10s")]
    found = properties(judged(limits, good, hung))
    name = f"{FINAL}_ms.p95"
    assert found[name] == found[f"{FINAL}_ms.p90"] == "inf"
    of = {key: found[f"{name}.{key}"] for key in ("limit", "n", "over", "lost")}
    assert of == {"limit": 10_000, "n": 2, "over": 1, "lost": 1}
    assert found[f"{name}.high"] == "inf"
    assert (found[f"{name}.verdict"], found[f"{name}.proven"]) == ("FAIL", "no")
    assert found["wer.limit"] == 0.5
    assert found["keyword_recall.limit"] == 0.9
    assert found["keyword_recall.side"] == ">="
    assert found["model"] == "fake"
    assert found["label.gpu"] == "none"
    assert (found["pace"], found["chunk_ms"], found["corpus"]) == ("1", "100", "c0ffee")


def test_a_run_whose_sessions_are_all_lost_has_no_gap(hung: Transcription) -> None:
    for detail in Detail:
        found = properties(judged([], hung, hung), detail)
        assert found[f"{FINAL}_ms.p95"] == "inf"
        assert found["lost"] == 2


def test_lean_properties_contain_only_judged_metrics(good: Transcription) -> None:
    results = judged([latency_budget(FINAL, p50="10s")], good)
    full = properties(results)
    lean = properties(results, Detail.LEAN)
    assert lean.items() < full.items()
    p50 = {f"{FINAL}_ms.p50{end}" for end in ("", ".limit", ".low", ".high", ".n")}
    assert set(lean) == {
        *("target", "model", "label.gpu", "lost", "verdict", "proven"),
        *p50,
        *(f"{FINAL}_ms.p50.{key}" for key in ("over", "lost", "verdict", "proven")),
        f"{FINAL}_ms.p95",
        *(f"wer{end}" for end in ("", ".n", ".limit", ".low", ".high")),
        *(f"wer.{key}" for key in ("lost", "verdict", "proven")),
        *(f"keyword_recall{end}" for end in ("", ".n", ".limit", ".side", ".low")),
        *(f"keyword_recall.{key}" for key in ("high", "over", "lost")),
        *(f"keyword_recall.{key}" for key in ("verdict", "proven")),
    }


def test_limits_of_the_same_metric_have_different_properties(
    good: Transcription,
) -> None:
    both = budget("word_coverage", at_least=0.5, at_most=1)
    pooled = latency_budget(FINAL, p95="3s", over="module")
    found = properties(judged([both, latency_budget(FINAL, p95="2s"), pooled], good))
    sides = {found["word_coverage_ratio.mean.limit"]}
    sides.add(found["word_coverage_ratio.mean.2.limit"])
    assert sides == {0.5, 1}
    assert found[f"{FINAL}_ms.p95.limit"] == 2000
    assert found[f"{FINAL}_ms.p95.module.limit"] == 3000


def test_proven_agrees_with_the_text(good: Transcription) -> None:
    for limits in (
        [latency_budget(FINAL, max="1ms")],
        [latency_budget(FINAL, p95="1ms")],
        [latency_budget(FINAL, p95="10s")],
    ):
        results = judged(limits, good)
        text = messages.lines(results)[0]
        proven = properties(results)["proven"] == "yes"
        assert proven == ("(proven" in text)


def test_the_first_line_starts_with_the_verdict_unless_it_is_fail(
    good: Transcription,
) -> None:
    open_question = latency_budget(FINAL, p95="10s", confidence=0.95)
    missed = budget("word_coverage", at_least=2)
    failure = messages.failure(judged([open_question], good))
    assert failure is not None
    assert failure.startswith(f"INCONCLUSIVE: {FINAL} p95 = ")
    # A failure of the server comes first, whatever the order of the markers.
    failure = messages.failure(judged([open_question, missed], good))
    assert failure is not None
    assert failure.startswith("word_coverage mean = ")
    assert f"\nINCONCLUSIVE: {FINAL} p95 = " in failure


def test_an_undecided_verdict_may_skip_the_test(good: Transcription) -> None:
    open_question = latency_budget(FINAL, p95="10s", confidence=0.95)
    found = judged([open_question], good, policy=UndecidedPolicy.SKIP)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert messages.failure(found) is None
    (line,) = messages.skipped(found)
    assert line.startswith(f"INCONCLUSIVE: {FINAL} p95 = ")
    missed = budget("word_coverage", at_least=2)
    found = judged([open_question, missed], good, policy=UndecidedPolicy.SKIP)
    assert messages.failure(found)
    assert messages.skipped(found) == []


def test_every_number_is_finite(good: Transcription, hung: Transcription) -> None:
    for takes in ([good], [good, hung], [hung], []):
        for row in rows(judged([latency_budget(FINAL, p95="1s")], *takes)):
            numbers = [row.value, row.limit, *(row.interval or ())]
            assert all(math.isfinite(each) for each in numbers if each is not None)


def test_the_properties_of_a_run() -> None:
    versions = ["0.33.0", "0.33.0", ""]
    found = dict(junit.suite_properties(RUN, versions=versions, models=["b", "a"]))
    assert found["realtime.run"] == RUN.id
    assert found["realtime.server_version"] == "0.33.0"
    assert found["realtime.model"] == "b a"
    assert found["realtime.version.pytest"] == pytest.__version__
    assert all(found.values())
    assert CLIP.id not in str(found)


def test_a_drain_has_one_row() -> None:
    lost = DrainedSession("sess-1", "clip", Moment.COMPLETE, Closing.LAWFUL)
    asleep = DrainedSession("sess-2", "clip", Moment.SPEAKING, Closing.LAWFUL)
    found = [Drain((lost, asleep), 30, 0.1), Drain((asleep,), 30, 0.1)]
    failed, undecided = rows(Results("t", (), load_findings=tuple(found)))
    assert (failed.subject, failed.verdict) == ("drain", "FAIL")
    assert (failed.n, failed.value, failed.over, failed.lost) == (2, 1, 1, 1)
    assert (undecided.verdict, undecided.over) == ("INCONCLUSIVE", 0)


def test_a_soak_has_a_row_for_each_trend_and_for_its_long_session() -> None:
    growth = Growth(
        Quantity.MEMORY,
        Verdict.FAIL,
        n=180,
        seconds=1800.0,
        start=100.0,
        slope=60.0,
        interval=(50.0, 70.0),
        grown=30.0,
        allowed=5.0,
    )
    few = Growth(Quantity.LATENCY, Verdict.INCONCLUSIVE, n=2, seconds=0.0)
    long = LongSession("sess-1", 900.0, drift=0.001)
    load = Load(streams=8, hold=1800.0)
    level = Level(load, 1, datetime(2026, 1, 1, tzinfo=UTC), 1800.0, ())
    soak = Soak(level, Beside(long=long), (growth, few))
    results = Results("t", (), load_findings=(soak,), failing=(soak,))
    memory, latency, session = rows(results)
    assert (memory.subject, memory.metric, memory.unit) == ("soak", "memory", "bytes")
    assert (memory.value, memory.limit, memory.interval) == (60.0, 10.0, (50.0, 70.0))
    assert (memory.verdict, memory.proven, memory.n) == ("FAIL", True, 180)
    assert (latency.verdict, latency.limit) == ("INCONCLUSIVE", None)
    assert latency.interval == (None, None)
    assert (session.metric, session.value, session.verdict) == (
        *("long_session", 0.001),
        "PASS",
    )
    assert [each.fails for each in (memory, latency, session)] == [True, True, False]
    names = dict(junit.properties(results))
    assert names["realtime.soak.memory"] == 60.0
    (text,) = messages.failures(results)
    assert text.startswith("soak: memory of the server grew (+0.0 MiB in 30.0 min")
