"""Trends: the statistics of each run, the runs at which they change, and notes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.recorded_run import Capacity
from pytest_realtime_asr.verdicts.trend import Point, Series, trend, trimmed_mean
from tests.support.nights import night, nights
from tests.support.records import Rows, lost, row, run

FINAL = "final_from_commit"


def of(series: tuple[Series, ...], metric: str, statistic: str = "p50") -> Series:
    (found,) = (s for s in series if (s.metric, s.statistic) == (metric, statistic))
    return found


@pytest.mark.parametrize("statistic", ["p50", "p95"])
def test_slower_nights_are_a_shift(statistic: str) -> None:
    series = of(trend(nights(0.2)).series, FINAL, statistic)
    (shift,) = series.shifts
    assert (shift.index, shift.worse) == (5, True)
    assert shift.after / shift.before == pytest.approx(1.2, abs=0.05)


def test_faster_nights_are_a_shift_for_the_better() -> None:
    (shift,) = of(trend(nights(-0.2)).series, FINAL).shifts
    assert (shift.index, shift.worse) == (5, False)


def test_equal_nights_have_no_shift() -> None:
    assert [each.shifts for each in trend(nights()).series if each.shifts] == []


def test_the_runs_have_the_order_of_their_start() -> None:
    found = trend(nights()[::-1])
    assert [each.name for each in found.runs] == [f"{n:02}.jsonl" for n in range(1, 11)]


def test_a_number_has_its_interval() -> None:
    rows = [row(number, 100.0 + number) for number in range(21)]
    (point,) = of(trend([night(1, rows=rows)]).series, FINAL).points
    assert point is not None
    assert point.value == 110
    assert 100 < point.low < 110 < point.high < 120


def test_lost_sessions_count_as_infinitely_slow_and_have_a_series() -> None:
    def bad(number: int) -> Rows:
        return [*run(14, seed=number), *(lost(n) for n in range(14, 24))]

    runs = nights()[:5] + [night(n, rows=bad(n)) for n in range(6, 11)]
    found = trend(runs)
    p95 = of(found.series, FINAL, "p95")
    assert [math.isinf(p.value) for p in p95.points if p] == [False] * 5 + [True] * 5
    assert p95.shifts == ()
    (shift,) = of(found.series, "lost sessions", "share").shifts
    assert (shift.index, shift.worse) == (5, True)
    assert (shift.before, shift.after) == (0, 10 / 24)


def test_one_lost_session_is_no_shift() -> None:
    runs = nights()
    rows = (*runs[-1].rows[:-1], lost(23))
    runs[-1] = replace(runs[-1], rows=rows)
    assert of(trend(runs).series, "lost sessions", "share").shifts == ()


def test_more_errors_are_a_shift_of_the_error_rate() -> None:
    wrong = "a road to a mountain is closed because of snow"

    def bad(number: int) -> Rows:
        return [row(n, 500.0 + n, text=wrong) for n in range(24)]

    runs = nights()[:5] + [night(n, rows=bad(n)) for n in range(6, 11)]
    rate = of(trend(runs).series, "wer", "rate")
    assert [shift.index for shift in rate.shifts] == [5]
    point = rate.points[0]
    assert point is not None
    assert (point.value, point.low) == (0, 0)
    assert point.high == pytest.approx(0.014, abs=0.003)


def test_a_lower_capacity_is_a_shift_for_the_worse() -> None:
    streams = (40, 41, 40, 39, 40, 20, 21, 20, 20, 19)
    runs = [
        replace(each, capacities={"test_load": Capacity(n, (n - 1, n + 1))})
        for each, n in zip(nights(), streams, strict=True)
    ]
    (shift,) = of(trend(runs).series, "capacity", "streams").shifts
    assert (shift.index, shift.before, shift.after) == (5, 40, 20)
    assert shift.worse


def test_capacities_within_their_intervals_are_no_shift() -> None:
    runs = [
        replace(each, capacities={"test_load": Capacity(40 + (n > 4), (30, 50))})
        for n, each in enumerate(nights())
    ]
    assert of(trend(runs).series, "capacity", "streams").shifts == ()


def test_a_search_without_a_capacity_has_no_number() -> None:
    runs = nights()[:2]
    runs[0] = replace(runs[0], capacities={"test_load": Capacity(None, None)})
    runs[1] = replace(runs[1], capacities={"test_load": Capacity(8, (6, math.inf))})
    series = of(trend(runs).series, "capacity", "streams")
    assert series.points == (None, Point(8, 6, math.inf))


def test_a_trend_has_metrics_with_a_limit_or_only_the_chosen_ones() -> None:
    rows = [row(n, 100.0 + n, metrics={"drain": 5.0 + n}) for n in range(8)]
    runs = [night(1, rows=rows, limited=("drain",)), night(2, rows=rows)]
    assert {each.metric for each in trend(runs).series} == {FINAL, "drain", "wer"}
    chosen = trend(runs, metrics=["drain"]).series
    assert {each.metric for each in chosen} == {"drain", "wer"}


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(BudgetError, match="'finale' is not a metric of an utterance"):
        trend(nights(), metrics=["finale"])


def test_a_metric_of_zero_has_no_logarithm() -> None:
    def rows(value: float) -> Rows:
        return [row(n, 100.0, metrics={"normalized_erasure": value}) for n in range(8)]

    runs = [night(n, rows=rows(0.5 * (n > 5))) for n in range(1, 11)]
    series = of(
        trend(runs, metrics=["normalized_erasure"]).series, "normalized_erasure"
    )
    assert [shift.index for shift in series.shifts] == [5]


def test_a_run_under_other_conditions_is_left_out_with_the_condition() -> None:
    fast = [row(n, 100.0, conditions={"pace": 4.0}) for n in range(24)]
    found = trend([*nights()[:3], night(0, rows=fast)])
    (left,) = found.left_out
    assert left.run == "00.jsonl"
    (values,) = left.conditions
    assert (values.name, values.before, values.now) == ("pace", ("4.0",), ("1.0",))
    assert len(found.runs) == 3


def test_replayed_runs_are_left_out_unless_all_runs_are_replayed() -> None:
    rows = [row(n, 100.0, conditions={"replayed": True}) for n in range(24)]
    replayed = [night(11, rows=rows), night(12, rows=rows)]
    found = trend([*nights()[:3], *replayed])
    assert [each.name for each in found.runs] == ["01.jsonl", "02.jsonl", "03.jsonl"]
    assert [each.run for each in found.left_out] == ["11.jsonl", "12.jsonl"]
    assert {each.conditions[0].name for each in found.left_out} == {"answers"}
    assert len(trend(replayed).runs) == 2


def test_only_utterances_of_all_complete_runs_are_counted() -> None:
    found = trend([night(1, rows=run(20)), night(2)])
    assert (found.utterances, found.uncounted) == (20, 4)


def test_an_interrupted_run_is_shown_but_not_searched() -> None:
    runs = nights()
    runs[6] = night(7, 3.0, rows=run(5), interrupted=True)
    found = trend(runs)
    assert found.utterances == 24
    assert of(found.series, FINAL).points[6] is not None
    assert of(found.series, FINAL).shifts == ()


def test_the_place_of_a_shift_counts_interrupted_runs() -> None:
    runs = nights(0.2)
    runs[2] = night(3, rows=run(5), interrupted=True)
    assert [shift.index for shift in of(trend(runs).series, FINAL).shifts] == [5]


def test_a_change_of_the_host_and_of_a_label_is_noted() -> None:
    rows = [row(n, 100.0, conditions={"labels": {"gpu": "L4"}}) for n in range(24)]
    found = trend([night(1), night(2, rows=rows, host="other")])
    assert [(each.index, each.values.name) for each in found.context] == [
        (1, "host"),
        (1, "gpu"),
    ]


def test_the_trimmed_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert trimmed_mean([math.inf, 1.0, 3.0, -50.0]) == 2.0
    assert trimmed_mean([5.0]) == 5.0
    assert trimmed_mean([]) is None
