"""The trend in the terminal and as Markdown: the same numbers, nothing unescaped."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_realtime_asr.metrics.declaration import Unit
from pytest_realtime_asr.report import trend as view
from pytest_realtime_asr.verdicts.trend import Point, Trend, trend
from tests.support.nights import night, nights
from tests.support.records import row, run


def drawn(found: Trend) -> str:
    """The drawing of the medians of the finals, in ASCII."""
    lines = view.terminal(found, ascii=True)
    (line,) = [each for each in lines if each.startswith("final_from_commit p50")]
    return line[31:41]


@pytest.fixture(scope="module")
def slower() -> Trend:
    return trend(nights(0.2))


def test_the_terminal_has_a_line_for_each_series_and_one_for_a_shift(
    slower: Trend,
) -> None:
    lines = view.terminal(slower)
    assert lines[0].startswith("10 runs from 2026-01-02 00:00 to 2026-01-11 00:00, 24")
    names = [each[:21] for each in lines]
    at = names.index("final_from_commit p50")
    assert "▇" in lines[at] or "█" in lines[at]
    assert lines[at + 1].startswith("    worse from 06.jsonl on: ")
    assert "(+" in lines[at + 1]
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "no change beyond noise: wer rate"


def test_the_signs_rise_with_the_numbers(slower: Trend) -> None:
    order = [view._ASCII.index(sign) for sign in drawn(slower)]
    assert max(order[:5]) < min(order[5:])


def test_noise_does_not_fill_the_height() -> None:
    assert "#" not in drawn(trend(nights()))


def test_an_infinite_number_and_a_missing_one_have_signs() -> None:
    points = [Point(1, 1, 1), None, Point(math.inf, 1, math.inf), Point(2, 2, 2)]
    assert view._line(points, view._ASCII) == "_ !#"


def test_markdown_has_a_row_for_each_run_and_a_point_for_each_shift(
    slower: Trend,
) -> None:
    text = view.markdown_text(slower)
    rows = [
        line for line in text.splitlines() if line.startswith("| 0") or "| 10" in line
    ]
    assert len(rows) == 10
    assert rows[5].count(" worse ") == 2
    assert "- **final\\_from\\_commit p50**: worse from 06.jsonl on" in text


def test_both_views_have_the_same_numbers(slower: Trend) -> None:
    last = view.shown(slower.series[0].points[-1], Unit.MS)
    assert last in "\n".join(view.terminal(slower))
    assert last in view.markdown_text(slower)


def test_a_name_that_is_markup_is_escaped() -> None:
    found = trend([night(1, name="<b>|x`.jsonl\x1b[31m", interrupted=True)])
    text = view.markdown_text(found)
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "\x1b" not in text + "\n".join(view.terminal(found))


def test_the_views_have_no_transcript() -> None:
    wrong = [row(n, 500.0 + n, text="secret words") for n in range(24)]
    found = trend([night(1, rows=wrong)])
    text = view.markdown_text(found) + "\n".join(view.terminal(found))
    assert "secret" not in text
    assert "mountains" not in text


def test_too_few_runs_are_noted() -> None:
    assert view.notes(trend(nights()[:4]))[0] == (
        "no change is marked: a change needs at least 5 complete runs, and there are 4"
    )


def test_interrupted_runs_other_conditions_and_hosts_are_noted() -> None:
    fast = [row(n, 100.0, conditions={"pace": 4.0}) for n in range(24)]
    runs = [
        *nights()[:5],
        night(6, rows=fast),
        night(7, rows=run(5), interrupted=True),
        night(8, rows=run(20), host="other"),
    ]
    found = "\n".join(view.notes(trend(runs)))
    assert "07.jsonl was interrupted: it is shown, but not searched" in found
    assert "08.jsonl: host bench -> other" in found
    assert "cannot be compared: 06.jsonl: pace 4.0 -> 1.0" in found


def test_utterances_that_are_not_counted_are_noted() -> None:
    found = view.notes(trend([night(1, rows=run(20)), night(2)]))
    assert found[-1].startswith("not counted: 4 utterances of the newest run that ")


@pytest.mark.parametrize(
    ("point", "unit", "text"),
    [
        (None, Unit.MS, "-"),
        (Point(254.4, 250, 260), Unit.MS, "254 ms (250 ms to 260 ms)"),
        (Point(254, 250, math.inf), Unit.MS, "254 ms (250 ms to ?)"),
        (Point(254, -math.inf, math.inf), Unit.MS, "254 ms (no interval)"),
        (Point(math.inf, 9, math.inf), Unit.MS, "never (9 ms to ?)"),
        (Point(0.125, 0.1, 0.15), Unit.RATIO, "12.5 % (10.0 % to 15.0 %)"),
        (Point(40, 38, 44), Unit.COUNT, "40 (38 to 44)"),
    ],
)
def test_a_number_has_its_unit(point: Point | None, unit: Unit, text: str) -> None:
    assert view.shown(point, unit) == text


def test_a_long_name_of_a_series_has_a_line_of_its_own(slower: Trend) -> None:
    long = replace(slower.series[0], metric="a" * 40, shifts=())
    lines = view.terminal(replace(slower, series=(long,)))
    at = [each[:40] for each in lines].index("a" * 40)
    assert lines[at + 1].startswith(" " * 31)
