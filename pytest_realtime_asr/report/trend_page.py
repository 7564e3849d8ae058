"""Shows the trend of several runs as an HTML page with a drawing for each series."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pytest_realtime_asr.report import trend
from pytest_realtime_asr.report.plain_page import page, table, text
from pytest_realtime_asr.verdicts.trend import Point, Series, Trend

_WIDTH, _HEIGHT = 420, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 12, 22, 26  # margins
_DATES = 6  # the most dates below a drawing


def html(found: Trend) -> str:
    """Return the page."""
    return page(trend.TITLE, part(found, level=2))


def part(found: Trend, *, level: int) -> str:
    """Return the content of the page; its headings have the ``level`` 2 or 3."""
    figures = "".join(_figure(found, each) for each in found.series)
    parts = [
        f"<p>{text(trend.heading(found))}</p>\n"
        '<p class="hint">Each point is a run with its interval. A dashed line '
        "marks a change: from the next run on, the numbers differ by more than the "
        "noise between runs. An interval that reaches an edge has no bound there.</p>\n"
        f'<div class="figures">\n{figures}</div>\n'
    ]
    if lines := trend.notes(found):
        items = "".join(f"<li>{text(each)}</li>\n" for each in lines)
        parts.append(f"<h{level}>Notes</h{level}>\n<ul>\n{items}</ul>\n")
    rows = [
        [text(run.name), *map(text, cells)]
        for run, cells in zip(found.runs, trend.cells_of(found), strict=True)
    ]
    head = ["run", *map(trend.title, found.series)]
    numbers = table("all numbers of the trend", head, rows)
    parts.append(f"<h{level}>All numbers</h{level}>\n{numbers}")
    return "".join(parts)


def _figure(found: Trend, series: Series) -> str:
    """Return the drawing of a series; its caption says what changed."""
    last = next((point for point in series.points[::-1] if point is not None), None)
    lines = [
        f'<span class="{trend.outcome(shift)}">'
        f"{text(trend.sentence(found, series, shift))}</span>"
        for shift in series.shifts
    ]
    told = "<br/>".join([f"newest: {text(trend.shown(last, series.unit))}", *lines])
    return (
        f"<figure><figcaption><strong>{text(trend.title(series))}</strong><br/>{told}"
        f"</figcaption>\n{_drawing(found, series)}</figure>\n"
    )


def _drawing(found: Trend, series: Series) -> str:
    """Return a drawing of the numbers with their intervals and the change points.

    An interval without a bound ends at the edge. An infinite number is drawn at the top
    edge.
    """
    low, high = _range(series)

    def y(value: float) -> float:
        share = (min(high, max(low, value)) - low) / (high - low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(found.runs))

    def x(index: float) -> float:
        return round(_LEFT + (index + 0.5) * step, 1)

    lines = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{text(_label(found, series))}">'
    ]
    for value in (low, (low + high) / 2, high):
        lines.append(
            f'<path class="grid" d="M{_LEFT} {y(value)}H{_WIDTH - _RIGHT}"/>'
            f'<text class="tick end" x="{_LEFT - 6}" y="{y(value) + 4}">'
            f"{text(trend.number(value, series.unit))}</text>"
        )
    lines += _marks(found, series, x)
    path = ""
    for index, point in enumerate(series.points):
        if point is None:
            continue
        path += f"{'L' if path else 'M'}{x(index)} {y(point.value)}"
    lines.append(f'<path class="curve" d="{path}"/>')
    for index, point in enumerate(series.points):
        if point is not None:
            lines.append(_dot(found, series, index, point, x(index), y))
    days = {run.started.date() for run in found.runs}
    form = "%m-%d" if len(days) == len(found.runs) else "%H:%M"
    every = max(1, math.ceil(len(found.runs) / _DATES))
    lines += [
        f'<text class="tick middle" x="{x(index)}" y="{_HEIGHT - 8}">'
        f"{run.started:{form}}</text>"
        for index, run in enumerate(found.runs)
        if index % every == 0
    ]
    return "\n".join([*lines, "</svg>\n"])


def _marks(found: Trend, series: Series, x: Callable[[float], float]) -> Iterator[str]:
    """Yield a dashed line before each run at which the numbers change."""
    for shift in series.shifts:
        word = trend.outcome(shift)
        at = x(shift.index - 0.5)
        yield (
            f'<path class="shift {word}" d="M{at} {_TOP - 8}V{_HEIGHT - _BOTTOM}">'
            f"<title>{text(trend.sentence(found, series, shift))}</title></path>"
            f'<text class="tick {word}" x="{at + 4}" y="{_TOP - 8}">{word}</text>'
        )


def _dot(
    found: Trend,
    series: Series,
    index: int,
    point: Point,
    x: float,
    y: Callable[[float], float],
) -> str:
    """Return the drawing of one run: a point, a bar for the interval, and a tooltip."""
    run = found.runs[index]
    kind = "point hollow" if run.interrupted else "point"
    told = f"{run.name}: {trend.shown(point, series.unit)}"
    return (
        f'<path class="bar" d="M{x} {y(point.low)}V{y(point.high)}"/>'
        f'<circle class="{kind}" cx="{x}" cy="{y(point.value)}" r="3.5">'
        f"<title>{text(told)}</title></circle>"
    )


def _label(found: Trend, series: Series) -> str:
    """Return a text that says what the drawing shows, for readers who cannot see it."""
    told = [trend.sentence(found, series, shift) for shift in series.shifts]
    return f"{trend.title(series)} of each run; {'; '.join(told) or 'no change'}"


def _range(series: Series) -> tuple[float, float]:
    """Return the lowest and the highest number of the axis."""
    points = [point for point in series.points if point is not None]
    values = [
        value
        for point in points
        for value in (point.value, point.low, point.high)
        if math.isfinite(value)
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = max(0.05 * (high - low), 0.01 * abs(high), 1e-6)
    return (max(0.0, low - room) if low >= 0 else low - room), high + room
