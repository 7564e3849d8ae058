"""Tests of comparisons with the median of several earlier runs."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_realtime_asr.report.comparison import change_line, failures
from pytest_realtime_asr.verdicts.change import Change, Outcome, effect, measured
from pytest_realtime_asr.verdicts.comparison import Comparison, compare_runs
from pytest_realtime_asr.verdicts.earlier_runs import LEAST_RUNS, EarlierRun, baseline
from pytest_realtime_asr.verdicts.limits import parse_margins
from pytest_realtime_asr.verdicts.pairing import pair
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.records import Rows, lost, run, slower

FINAL = "final_from_commit"
LIMITS = parse_margins(f"{FINAL}:10%, wer:1pp")
(SPEED, WER) = LIMITS


def night(number: int, share: float = 0.0, *, rows: Rows | None = None) -> EarlierRun:
    """Return a run of one night that is slower by a share than the others."""
    found = run(seed=100 + number, way=slower(share)) if rows is None else rows
    later = timedelta(days=number)
    return EarlierRun(
        f"{number}.jsonl",
        tuple(replace(row, started=row.started + later) for row in found),
    )


def nights(*shares: float) -> list[EarlierRun]:
    return [night(number, share) for number, share in enumerate(shares)]


def compared(runs: list[EarlierRun], now: Rows) -> Comparison:
    return compare_runs("the median", runs, now, LIMITS)


def final(found: Comparison) -> Change:
    (change,) = (c for c in found.changes if c.margin.metric == FINAL)
    return change


def test_today_is_compared_with_the_night_of_the_median_effect() -> None:
    found = final(compared(nights(0.4, 0.0, -0.3), run()))
    assert (found.run, found.runs, found.n) == ("1.jsonl", 3, 24)
    assert found.outcome is Outcome.SAME
    assert found.spread is None  # three nights have no range


def test_the_lower_of_two_middle_effects_counts() -> None:
    assert final(compared(nights(0.4, 0.1, 0.0, -0.3), run())).run == "1.jsonl"


def test_a_slower_server_is_found() -> None:
    found = compared(nights(0.0, 0.02, -0.02, 0.01, -0.01), run(way=slower(0.3)))
    change = final(found)
    assert change.outcome is Outcome.WORSE
    low, high = change.spread or (math.nan, math.nan)
    assert -0.05 < low < 0 < high < 0.05
    (failure,) = failures(found)
    assert "median of 5 runs: " in failure
    assert ".jsonl, from which the others differ by -" in failure


def test_an_effect_within_the_range_of_the_nights_is_no_regression() -> None:
    """Today is slower than the median night by 30 %, as one of the nights was."""
    rare = nights(0.0, 0.02, -0.02, 0.4, -0.01)
    today = run(way=slower(0.3))
    found = compared(rare, today)
    assert final(found).outcome is Outcome.UNDECIDED
    assert final(found).p < 0.01
    assert failures(found) == []
    assert found.verdict is Verdict.INCONCLUSIVE
    assert change_line(final(found)).endswith("; within the range of the earlier runs")
    # Four nights have no range, and slower than the slowest night is worse.
    assert final(compared(rare[1:], today)).outcome is Outcome.WORSE
    assert final(compared(rare, run(way=slower(0.6)))).outcome is Outcome.WORSE


def test_a_faster_server_must_be_faster_than_the_nights() -> None:
    fast = nights(0.0, 0.02, -0.4, 0.01, -0.01)
    assert final(compared(fast, run(way=slower(-0.3)))).outcome is Outcome.UNDECIDED
    assert final(compared(fast, run(way=slower(-0.6)))).outcome is Outcome.BETTER


def test_the_number_of_nights_does_not_count_as_comparisons() -> None:
    one = final(compared(nights(0.0), run()))
    seven = final(compared(nights(*[0.0] * 7), run()))
    assert one.family == seven.family == 2
    assert len(compared(nights(*[0.0] * 7), run()).changes) == 4 - 2  # other metrics


def test_a_night_whose_sessions_were_lost_is_left_out() -> None:
    """A crashed server must not widen the range of the nights for ever."""
    crashed = [lost(number) for number in range(24)]
    runs = [*nights(0.0, 0.02, -0.02, 0.01, -0.01), night(9, rows=crashed)]
    found = compared(runs, run(way=slower(0.3)))
    assert final(found).outcome is Outcome.WORSE
    assert final(found).runs == 5
    only = compared([night(9, rows=crashed), night(10, rows=crashed)], run())
    assert final(only).outcome is Outcome.INVALID


def test_nights_of_other_conditions_are_left_out() -> None:
    other = [replace(each, normalizer="basic/2") for each in run()]
    found = compared([night(0), night(1, rows=other)], run())
    assert (found.pairs, final(found).runs, final(found).run) == (24, 1, "0.jsonl")
    refused = compared([night(1, rows=other)], run())
    assert refused.refused
    assert refused.failed


def test_a_test_that_no_night_has_is_new() -> None:
    found = compared([night(0, rows=[]), night(1, rows=[])], run())
    assert not found.refused
    assert found.verdict is None
    assert found.changes == ()


def test_errors_are_compared_with_the_median_night_as_well() -> None:
    def wrong(number: int, clips: int) -> EarlierRun:
        rows = [
            replace(row, errors=replace(row.errors, hits=10, substitutions=1))
            if place < clips
            else row
            for place, row in enumerate(run(seed=number))
        ]
        return night(number, rows=rows)

    runs = [wrong(1, 0), wrong(2, 24), wrong(3, 3)]
    found = baseline(WER, runs, list(wrong(4, 3).rows))
    assert found.name == "3.jsonl"
    assert effect(WER, found.pairs) == pytest.approx(0.0)


@pytest.mark.parametrize("limit", ["final_from_commit:5%", "final_from_commit:20ms"])
def test_effect_alone_equals_the_effect_of_the_whole_comparison(limit: str) -> None:
    (margin,) = parse_margins(limit)
    for n in (9, 24):
        now = run(n, seed=3, way=slower(0.2))
        found = compare_runs("it", [EarlierRun("it", tuple(run(n)))], now, [margin])
        pairs = measured(pair(run(n), now)[0], FINAL)
        assert effect(margin, pairs) == pytest.approx(final(found).effect)


def test_the_range_needs_five_nights() -> None:
    assert LEAST_RUNS == 5
    assert final(compared(nights(*[0.0] * 4), run())).spread is None
    assert final(compared(nights(*[0.0] * 5), run())).spread is not None
