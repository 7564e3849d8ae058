"""Sign-off: a change for the worse fails it; an undecided one is shown."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_realtime_asr.verdicts.change import Outcome
from pytest_realtime_asr.verdicts.recorded_run import Capacity, RecordedRun
from pytest_realtime_asr.verdicts.signoff import Release, Signoff, State, signoff
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.nights import night
from tests.support.records import lost, row, run

TEST = "test_it.py::test_it"
OLD = [night(number) for number in range(1, 4)]


def compared(old: list[RecordedRun], new: list[RecordedRun]) -> Signoff:
    return signoff(Release("old", tuple(old)), Release("new", tuple(new)))


def judged(before: State | None, now: State | None) -> Signoff:
    sides = (
        {("vllm", "a"): State.SATISFIED}
        | ({} if state is None else {("vllm", "b"): state})
        for state in (before, now)
    )
    old, new = (Release("r", requirements=each) for each in sides)
    return signoff(old, new)


def loaded(streams: float | None, low: float, high: float) -> RecordedRun:
    interval = None if streams is None else (low, high)
    return night(4, capacities={"test_load": Capacity(streams, interval)})


def test_an_equal_release_passes() -> None:
    found = compared(OLD, [night(9)])
    assert found.verdict is Verdict.PASS
    assert found.compared == ("09.jsonl",)
    assert {*found.outcomes} == {Outcome.SAME}


def test_a_slower_release_fails() -> None:
    found = compared(OLD, [night(9, 0.2)])
    assert found.verdict is Verdict.FAIL
    assert Outcome.WORSE in found.tests[0].outcomes


def test_a_faster_release_passes() -> None:
    found = compared(OLD, [night(9, -0.2)])
    assert found.verdict is Verdict.PASS
    assert Outcome.BETTER in found.outcomes


def test_a_slower_night_within_the_range_of_the_old_ones_is_undecided() -> None:
    shares = (0.0, 0.3, -0.2, 0.02, -0.02)
    old = [night(number, share) for number, share in enumerate(shares)]
    assert compared(old, [night(9, 0.2)]).verdict is Verdict.INCONCLUSIVE


def test_an_interrupted_run_is_not_compared() -> None:
    stopped = night(11, 0.5, interrupted=True)
    found = compared(OLD, [night(10), stopped])
    assert (found.compared, found.verdict) == (("10.jsonl",), Verdict.PASS)


def final(found: Signoff) -> tuple[str, Outcome]:
    """The run that the change of the final describes, and the outcome."""
    (test,) = found.tests
    assert test.comparison is not None
    changes = zip(test.runs, test.comparison.changes, strict=True)
    return next(
        (run, change.outcome)
        for run, change in changes
        if change.name == "final_from_commit"
    )


def test_one_slow_night_of_three_does_not_decide() -> None:
    new = [night(9), night(10, 0.01), night(11, 0.5)]
    found = compared(OLD, new)
    assert final(found) == ("10.jsonl", Outcome.SAME)
    assert found.verdict is Verdict.PASS


def test_one_fast_night_of_three_does_not_decide() -> None:
    new = [night(9, 0.3), night(10, 0.35), night(11)]
    found = compared(OLD, new)
    assert final(found) == ("09.jsonl", Outcome.WORSE)
    assert found.verdict is Verdict.FAIL


def test_the_worse_of_two_nights_counts() -> None:
    assert final(compared(OLD, [night(9, 0.3), night(10)]))[0] == "09.jsonl"


def test_a_test_of_some_nights_is_compared_with_those() -> None:
    rows = [replace(each, test="test_new") for each in run(seed=110)]
    new = [night(9), night(10, rows=[*run(seed=110), *rows])]
    old = [*OLD, night(4, rows=[*run(seed=104), *rows])]
    found = compared(old, new)
    assert [each.test for each in found.tests] == [TEST, "test_new"]
    assert {*found.tests[1].runs} == {"10.jsonl"}


def test_a_test_of_only_one_release_is_undecided() -> None:
    rows = [replace(each, test="test_new") for each in run(seed=109)]
    found = compared(OLD, [night(9, rows=[*run(seed=109), *rows])])
    assert [each.comparison is None for each in found.tests] == [False, True]
    assert found.verdict is Verdict.INCONCLUSIVE


def test_other_conditions_are_undecided() -> None:
    rows = [row(n, 100.0, conditions={"pace": 4.0}) for n in range(24)]
    found = compared(OLD, [night(9, rows=rows)])
    assert found.tests[0].outcomes == (Outcome.UNDECIDED,)
    assert found.verdict is Verdict.INCONCLUSIVE


def test_more_lost_sessions_fail() -> None:
    rows = [*run(16, seed=109), *(lost(n) for n in range(16, 24))]
    found = compared(OLD, [night(9, rows=rows)])
    assert found.lost is not None
    assert (found.lost.before, found.lost.now) == ((0, 72), (8, 24))
    assert found.lost.outcome is Outcome.WORSE
    assert found.verdict is Verdict.FAIL


def test_one_more_lost_session_is_undecided_and_as_many_are_the_same() -> None:
    rows = [*run(23, seed=109), lost(23)]
    one = compared(OLD[:1], [night(9, rows=rows)]).lost
    same = compared([night(1, rows=rows)], [night(9, rows=rows)]).lost
    assert one is not None
    assert same is not None
    assert one.outcome is Outcome.UNDECIDED
    assert same.outcome is Outcome.SAME


@pytest.mark.parametrize(
    ("streams", "low", "high", "outcome"),
    [
        (20, 18, 24, Outcome.WORSE),
        (60, 55, 70, Outcome.BETTER),
        (39, 37, 41, Outcome.SAME),
        (30, 25, 40, Outcome.UNDECIDED),
        (None, 0, 0, Outcome.UNDECIDED),
    ],
)
def test_a_capacity(
    streams: float | None, low: float, high: float, outcome: Outcome
) -> None:
    (found,) = compared([loaded(40, 38, 44)], [loaded(streams, low, high)]).capacities
    assert found.outcome is outcome


def test_a_capacity_that_has_no_bound_is_undecided() -> None:
    old = loaded(40, -math.inf, math.inf)
    (found,) = compared([old], [loaded(20, 18, 24)]).capacities
    assert found.outcome is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        (State.SATISFIED, State.SATISFIED, Verdict.PASS),
        (State.SATISFIED, State.VIOLATED, Verdict.FAIL),
        (State.VIOLATED, State.VIOLATED, Verdict.PASS),
        (State.VIOLATED, State.SATISFIED, Verdict.PASS),
        (State.SATISFIED, State.OPEN, Verdict.INCONCLUSIVE),
        (State.SATISFIED, None, Verdict.INCONCLUSIVE),
        (State.OPEN, State.VIOLATED, Verdict.INCONCLUSIVE),
        (None, State.VIOLATED, Verdict.INCONCLUSIVE),
        (State.OPEN, None, Verdict.PASS),
    ],
)
def test_a_requirement(
    before: State | None, now: State | None, verdict: Verdict
) -> None:
    assert judged(before, now).verdict is verdict


def test_what_only_one_release_has_is_undecided() -> None:
    runs = signoff(Release("old", tuple(OLD)), Release("new", requirements={}))
    assert runs.verdict is Verdict.INCONCLUSIVE
    assert runs.lost is None
    assert runs.tests == ()
    assert signoff(Release("old"), Release("new")).verdict is Verdict.INCONCLUSIVE
