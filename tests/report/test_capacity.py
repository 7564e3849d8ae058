"""The wording of a capacity, and its rows in the reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr.load.capacity import Capacity, LimitedBy, Tried
from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.decision import Decision, LimitDecision, Proof
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.trials import Step
from pytest_realtime_asr.report import capacity, junit, messages
from pytest_realtime_asr.report.verdict_rows import rows
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.verdicts.budgets import latency_budget, wer_threshold
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support import levels

SETTING = (
    "talk 0.6; clips of 2.7 s on average, 4.1 s at most; chunk 100 ms; random phase; "
    "hold 60 s, confirmed for 300 s; keep-up: final_from_commit p95 <= 800 ms and "
    "wer <= 0.120"
)
FACTS = (
    "limited by the server; final_from_commit p95 is the binding limit (800 ms; "
    "1200 ms observed); at 40: 9 of 60 over final_from_commit p95, a slope; at 56: "
    f"queues, recovers in 4.2 s; {SETTING}; witness p95 210 ms alone, 640 ms at "
    "37 streams"
)


def judged(found: Capacity | None, at_least: int | None = None) -> CapacityFinding:
    return CapacityFinding(
        found,
        at_least,
        (latency_budget("final_from_commit", p95="800ms"),),
        (wer_threshold(0.12),),
    )


def test_one_line_names_all_conditions_of_a_capacity() -> None:
    assert capacity.summary(judged(levels.capacity())) == (
        f"capacity: 37 streams, 95% interval from 37, below 40 ({FACTS})"
    )
    assert capacity.summary(judged(levels.capacity(), 30)) == (
        f"capacity >= 30: 37 streams, 95% interval from 37, below 40 ({FACTS})"
    )


def test_unknown_facts_are_left_out() -> None:
    little = levels.capacity(
        streams=0,
        interval=(0, None),
        confirmed=False,
        binding=None,
        beyond=None,
        levels=(),
        limited_by=LimitedBy.TIME,
        edge=None,
    )
    assert capacity.summary(judged(little)) == (
        "capacity: no number of streams is proven to hold, 95% interval from 0, no "
        "upper bound (limited by the time "
        f"for the search; {SETTING}); give the search more time"
    )
    known = capacity.summary(judged(replace(little, needed=(4, 61.2))))
    assert known.endswith(
        "; a confirmation of 4 streams needs at least 61.2 s, so increase confirm= "
        "and max_time=, or use shorter clips"
    )


def test_evidence_against_the_capacity_is_named() -> None:
    strange = levels.capacity(
        levels=(levels.tried(40, Verdict.FAIL, 9), levels.tried(48)),
        confirmed=False,
        limited_by=LimitedBy.ENDED,
        ended="the server did not come back",
    )
    said = capacity.summary(judged(strange))
    assert "from 37, below 40, not confirmed (" in said
    assert "the search was ended early: the server did not come back; " in said
    assert "; not monotonic: failed at 40 streams, but held at 48; " in said


def worked(streams: int, partials: int) -> Tried:
    """Return a level whose sessions of three clips sent so many partials."""
    found = levels.tried(streams)
    assert found.level is not None
    rows = tuple(
        levels.row(number, clip=f"clip{number % 3}", partials=partials)
        for number in range(9)
    )
    return replace(found, level=replace(found.level, rows=rows))


@pytest.mark.parametrize(("partials", "work"), [(3, "unequal work"), (9, "")])
def test_unequal_work_of_the_server_is_named(partials: int, work: str) -> None:
    found = levels.capacity(
        levels=(worked(8, 9), worked(37, partials)),
        interval=(37, None),
        limited_by=LimitedBy.RANGE,
    )
    said = capacity.summary(judged(found))
    assert ("unequal work" in said) == bool(work)
    assert ("at 8 streams, 1.8 at 37" in said) == bool(work)


def test_the_level_above_is_the_one_with_most_sessions() -> None:
    few = levels.tried(40)
    few = replace(few, trial=replace(few.trial, decision=Decision(40, Verdict.PASS)))
    many = levels.tried(40, Verdict.FAIL, 9)
    said = capacity.summary(judged(levels.capacity(levels=(few, many, few))))
    assert "; at 40: 9 of 60 over final_from_commit p95, a slope; " in said


def test_an_undecided_capacity_comes_with_advice() -> None:
    between = levels.capacity(interval=(37, 45))
    said = capacity.summary(judged(between, 40))
    assert said.endswith("; a longer confirmation narrows the interval")
    client = levels.capacity(interval=(37, None), limited_by=LimitedBy.CLIENT)
    said = capacity.summary(judged(client, 40))
    assert "(limited by the client itself; " in said
    advice = "; the result is not attributed to the server; run more worker processes"
    assert advice in said
    wide = levels.capacity(interval=(37, None), limited_by=LimitedBy.RANGE)
    assert capacity.summary(judged(wide, 40)).endswith("; try more streams")


def test_a_test_without_a_search_for_its_capacity_is_explained() -> None:
    assert capacity.details(judged(None, 40)) == (
        "capacity >= 40: no capacity was searched for: call realtime.capacity in the "
        "test"
    )


def results(finding: CapacityFinding) -> Results:
    """Return the results of a test that fails for a capacity."""
    failing = () if finding.verdict is Verdict.PASS else (finding,)
    return Results("test_it", (), load_findings=(finding,), failing=failing)


def test_a_failure_begins_with_the_line_and_lists_the_levels() -> None:
    shown = messages.failure(replace(results(judged(levels.capacity(), 40)), rerun=""))
    assert shown is not None
    first, head, *lines = shown.splitlines()
    assert first.startswith("capacity >= 40: 37 streams, 95% interval from 37, below ")
    assert head.split()[:2] == ["streams", "step"]
    assert [line.split()[:4] for line in lines[:2]] == [
        ["37", "confirm", "PASS", "0/60"],
        ["40", "above", "FAIL", "9/60"],
    ]
    undecided = judged(levels.capacity(interval=(37, 45)), 40)
    shown = messages.failure(results(undecided))
    assert shown is not None
    assert shown.startswith("INCONCLUSIVE: capacity >= 40: 37 streams, ")


def test_the_reports_have_the_numbers() -> None:
    found = results(judged(levels.capacity(), 30))
    (row,) = rows(found)
    assert (row.subject, row.metric, row.statistic) == (
        "capacity",
        "capacity",
        "streams",
    )
    assert (row.value, row.side, row.limit, row.interval) == (37, ">=", 30, (37, 40))
    assert (row.verdict, row.proven, row.fails) == ("PASS", True, False)
    assert (row.n, row.over) == (60, 9)
    properties = dict(junit.properties(found))
    assert properties["realtime.capacity"] == 37
    assert properties["realtime.capacity.limit"] == 30
    assert properties["realtime.capacity.low"] == 37
    assert properties["realtime.capacity.high"] == 40
    assert properties["realtime.capacity.verdict"] == "PASS"
    (missing,) = rows(results(judged(None, 40)))
    assert (missing.value, missing.verdict, missing.fails) == (None, "FAIL", True)


def level(streams: int, step: Step, proof: Proof, excess: float) -> LevelRecord:
    """Return a level of a search with what it proves and its observed excess."""
    limit = LimitDecision("wer", 0.1, Verdict.PASS, n=60, observed=0.1, excess=excess)
    made = levels.level([], replace(levels.HELD, streams=streams))
    decision = Decision(streams, Verdict.PASS, proof, (limit,))
    return LevelRecord(made, decision, step=step)


def test_an_interrupt_shows_what_was_found() -> None:
    records = [
        level(8, Step.DOUBLE, Proof.HOLDS, 0.1),
        level(16, Step.DOUBLE, Proof.NONE, 0.8),
        level(32, Step.DOUBLE, Proof.MISSES, 9.0),
    ]
    assert capacity.so_far(records) == (
        "the search has not ended; streams so far: 8 proven to hold, 32 proven not to "
        "hold, 16 the largest level observed within the limits, 32 the smallest level "
        "observed over the limits"
    )
    assert capacity.so_far([LevelRecord(levels.level([]))]) == ""
    confirmed = level(8, Step.CONFIRM, Proof.NONE, 0.1)
    assert capacity.so_far([confirmed]).endswith("; streams so far: none")
