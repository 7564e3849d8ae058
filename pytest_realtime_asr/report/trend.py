"""Shows the trend of several runs in the terminal and as Markdown.

Both views, and the page of `trend_page`, show the same numbers and sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_realtime_asr.metrics.declaration import Unit
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.messages import REPLAYED
from pytest_realtime_asr.report.plain_page import markdown, markdown_table
from pytest_realtime_asr.text import number_format
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.change_points import LEAST_RUNS
from pytest_realtime_asr.verdicts.pairing import Values
from pytest_realtime_asr.verdicts.trend import Point, Series, Shift, Trend

TITLE = "Trend"
_NAME = 30  # columns of the name of a series
_DRAWN = 24  # the most runs in a line of the terminal
_BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-=+*%#"
_NEVER, _MISSING = "!", " "


def terminal(found: Trend, *, width: int = USUAL, ascii: bool = False) -> list[str]:
    """Return the trend as lines of at most ``width`` columns, a line for each series.

    Each run is drawn as one sign. A higher sign is a larger number; the highest sign is
    the largest number of the series. ``!`` is an infinite number. With ``ascii``, the
    signs are ASCII characters.
    """
    lines = [*wrapped(heading(found), width), ""]
    for each in found.series:
        last = next((point for point in each.points[::-1] if point is not None), None)
        drawn = _line(each.points[-_DRAWN:], _ASCII if ascii else _BLOCKS)
        value = shown(last, each.unit)
        name = title(each)
        lines += [f"{name:<{_NAME}}"] if len(name) > _NAME else []
        name = "" if len(name) > _NAME else name
        lines.append(f"{name:<{_NAME}} {drawn}  {value}")
        for shift in each.shifts:
            lines += wrapped(
                sentence(found, each, shift), width, first="    ", then="      "
            )
    for note in notes(found):
        lines += ["", *wrapped(note, width, then="  ")]
    return lines


def markdown_text(found: Trend) -> str:
    """Return the trend as Markdown: changes, a table of all numbers, and notes."""
    lines = [f"## {TITLE}", "", markdown(heading(found)), ""]
    lines += [
        f"- **{markdown(title(each))}**: {markdown(sentence(found, each, shift))}"
        for each in found.series
        for shift in each.shifts
    ]
    rows = [
        [markdown(run.name), *(markdown(cell) for cell in cells)]
        for run, cells in zip(found.runs, cells_of(found), strict=True)
    ]
    head = ["run", *(markdown(title(each)) for each in found.series)]
    lines += ["", markdown_table(head, rows)]
    lines += [f"- {markdown(each)}" for each in notes(found)]
    return "\n".join(lines) + "\n"


def heading(found: Trend) -> str:
    """Return one sentence about the runs and the utterances that are counted."""
    first, last = found.runs[0].started, found.runs[-1].started
    kind = f"{REPLAYED} run" if any(run.replayed for run in found.runs) else "run"
    return (
        f"{several(len(found.runs), kind)} from {first:%Y-%m-%d %H:%M} to "
        f"{last:%Y-%m-%d %H:%M}, {several(found.utterances, 'utterance')} in each; "
        "intervals of 95 %"
    )


def title(series: Series) -> str:
    """Return the name of a series, such as ``final_from_commit p95``."""
    return f"{series.metric} {series.statistic}"


def cells_of(found: Trend) -> Iterator[list[str]]:
    """Yield the table cells of each run; ``worse`` or ``better`` marks a change."""
    for index in range(len(found.runs)):
        yield [_cell(each, index) for each in found.series]


def _cell(series: Series, index: int) -> str:
    marks = [shift for shift in series.shifts if shift.index == index]
    text = shown(series.points[index], series.unit)
    return f"{text} {outcome(marks[0])}" if marks else text


def outcome(shift: Shift) -> str:
    """Return ``worse`` or ``better``."""
    return "worse" if shift.worse else "better"


def sentence(found: Trend, series: Series, shift: Shift) -> str:
    """Return one sentence about a change beyond the noise between runs."""
    old, new = (number(each, series.unit) for each in (shift.before, shift.after))
    share = ""
    if series.unit is Unit.MS and shift.before > 0 and math.isfinite(shift.after):
        share = f" ({shift.after / shift.before - 1:+.0%})"
    return (
        f"{outcome(shift)} from {printable(found.runs[shift.index].name)} on: "
        f"{old} -> {new}{share}, p={shift.p:.2g}"
    )


def notes(found: Trend) -> list[str]:
    """Return the notes: why no change is marked, and what is left out."""
    lines = []
    complete = [run for run in found.runs if not run.interrupted]
    if len(complete) < LEAST_RUNS:
        lines.append(
            f"no change is marked: a change needs at least {LEAST_RUNS} complete runs, "
            f"and there are {len(complete)}"
        )
    elif same := [title(each) for each in found.series if not each.shifts]:
        lines.append(f"no change beyond noise: {', '.join(same)}")
    lines += [
        f"{printable(run.name)} was interrupted: it is shown, but not searched for "
        "changes"
        for run in found.runs
        if run.interrupted
    ]
    lines += [
        f"{printable(found.runs[each.index].name)}: {_values(each.values)}"
        for each in found.context
    ]
    for each in found.left_out:
        why = "; ".join(map(_values, each.conditions))
        why = why or "it lacks more than half of the newest run's utterances"
        lines.append(
            f"left out, since it cannot be compared: {printable(each.run)}: {why}"
        )
    if found.uncounted:
        lines.append(
            f"not counted: {several(found.uncounted, 'utterance')} of the newest run "
            "that at least one other complete run lacks"
        )
    return lines


def _values(values: Values) -> str:
    old, new = (
        first_names([printable(each) or "none" for each in part]) or "none"
        for part in (values.before, values.now)
    )
    return f"{values.name} {old} -> {new}"


def number(value: float, unit: Unit) -> str:
    """Return a number with its unit; an infinite number is shown as ``never``."""
    if math.isinf(value):
        return "never"
    match unit:
        case Unit.MS:
            return f"{number_format.ms(value)} ms"
        case Unit.RATIO:
            return f"{100 * value:.1f} %"
        case _:
            return number_format.plain(value)


def shown(point: Point | None, unit: Unit) -> str:
    """Return a measured value with its interval; a dash if nothing was measured."""
    if point is None:
        return "-"
    if math.isinf(point.low) and math.isinf(point.high):
        return f"{number(point.value, unit)} (no interval)"
    low = "?" if math.isinf(point.low) else number(point.low, unit)
    high = "?" if math.isinf(point.high) else number(point.high, unit)
    return f"{number(point.value, unit)} ({low} to {high})"


def _line(points: Sequence[Point | None], signs: str) -> str:
    """Return one sign for each number of a series."""
    known = [p.value for p in points if p is not None and math.isfinite(p.value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    least = max(high - low, 0.1 * abs(high), 1e-9)  # noise does not fill the height

    def sign(point: Point | None) -> str:
        if point is None:
            return _MISSING
        if not math.isfinite(point.value):
            return _NEVER
        return signs[round((len(signs) - 1) * (point.value - low) / least)]

    return "".join(map(sign, points))
