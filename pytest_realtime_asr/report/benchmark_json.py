"""Writes the values of a run for github-action-benchmark.

The action draws a chart of each value over the commits of a repository. It finds the
value of an earlier commit by the name. It reads a JSON list of objects with ``name``,
``unit``, ``value``, ``range`` and ``extra``.

There are two lists. The list for the tool ``customSmallerIsBetter`` has the values that
are better if they are smaller. The list for the tool ``customBiggerIsBetter`` has the
values that are better if they are bigger. JSON has no infinity, so infinite values are
left out. A value is infinite if many sessions were lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import msgspec

from pytest_realtime_asr.metrics import DECLARED, Better
from pytest_realtime_asr.report.junit import number
from pytest_realtime_asr.report.messages import REPLAYED
from pytest_realtime_asr.report.run_summary import RunSummary
from pytest_realtime_asr.report.terminal import Row, marked
from pytest_realtime_asr.report.verdict_rows import VerdictRow
from pytest_realtime_asr.verdicts.budgets import Side

UNJUDGED = ("first_partial_from_speech", "final_from_commit")
"""The metrics whose p50 and p95 are in the list even if no limit judges them."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value of a run in the form of github-action-benchmark.

    ``range`` is the confidence interval. ``extra`` has one line each for the limit, the
    verdict, the samples and the server. The action shows these two fields, and does
    nothing else with them.
    """

    name: str
    unit: str
    value: float | int
    range: str = ""
    extra: str = ""


def entries(found: RunSummary, better: Better) -> list[Entry]:
    """Return the entries of one of the two lists, in a fixed order.

    ``better`` chooses the list: the values that are better if they are lower, or those
    that are better if they are higher. Together, the lists have all judged values, the
    p50 and p95 of the `UNJUDGED` metrics, and the word error rate.
    """
    made: dict[str, Entry] = {}
    for row in found.rows:
        # A statistic that a limit judges is already there by its name.
        for direction, entry in (*_judged(row), *_statistics(row)):
            if direction is better:
                made.setdefault(entry.name, entry)
    return list(made.values())


def dumps(found: RunSummary, better: Better) -> bytes:
    """Return the result of `entries` as JSON; b"" if there are no entries."""
    made = entries(found, better)
    if not made:
        return b""
    return msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"


def _judged(row: Row) -> Iterator[tuple[Better, Entry]]:
    """Yield the observed value for each limit; values with equal names are numbered."""
    seen: Counter[str] = Counter()
    for each in row.verdicts:
        if each.value is None or each.subject == "requirement":
            continue
        name = _name(_test(row), each)
        seen[name] += 1
        if seen[name] > 1:
            name += f" ({seen[name]})"
        smaller = each.side == Side.AT_MOST.value
        entry = Entry(
            name=name,
            unit=each.unit,
            value=_number(each.value, each.unit),
            range=_range(each),
            extra="\n".join(_extra(row, each)),
        )
        yield Better.LOWER if smaller else Better.HIGHER, entry


def _statistics(row: Row) -> Iterator[tuple[Better, Entry]]:
    """Yield the values that are in the list even if no limit judges them."""
    server = "\n".join(_server(row))
    for metric in UNJUDGED:
        values = row.statistics.get(metric, {})
        for statistic in ("p50", "p95"):
            value = values.get(statistic, math.inf)
            if math.isfinite(value):
                unit = DECLARED[metric].unit.value
                samples = f"n={values['n']:.0f}\n{server}"
                name = f"{_test(row)}: {metric} {statistic}"
                entry = Entry(name, unit, _number(value, unit), extra=samples)
                yield Better.LOWER, entry
    if row.wer is not None:
        value = _number(row.wer, "ratio")
        yield Better.LOWER, Entry(f"{_test(row)}: wer", "ratio", value, extra=server)


def _test(row: Row) -> str:
    """Return the name of a test, with a suffix if recorded sessions were replayed.

    Therefore, the action does not compare replayed values with live ones.
    """
    return f"{row.test} ({REPLAYED})" if row.replayed else row.test


def _name(test: str, row: VerdictRow) -> str:
    """Return the name of a judged value.

    The name of an error rate is the same whether a limit judges it or not.
    """
    if row.subject == "error rate":
        return f"{test}: {row.metric}"
    subject = "" if row.subject == "budget" else f"{row.subject} "
    pooled = " (module)" if row.pooled else ""
    return f"{test}: {subject}{row.metric} {row.statistic}{pooled}"


def _range(row: VerdictRow) -> str:
    low, high = row.interval or (None, None)
    if low is None and high is None:
        return ""
    shown = ("" if each is None else _number(each, row.unit) for each in (low, high))
    return " to ".join(map(str, shown)).strip()


def _extra(row: Row, judged: VerdictRow) -> Iterator[str]:
    if judged.limit is not None:
        yield f"limit: {judged.side} {_number(judged.limit, judged.unit)}"
    verdict = marked(judged.verdict or "not judged", replayed=row.replayed)
    yield f"verdict: {verdict}"
    yield f"n={judged.n}, {judged.lost} lost"
    yield from _server(row)


def _server(row: Row) -> Iterator[str]:
    yield f"{row.target}, model {row.model}" if row.target else f"model {row.model}"


def _number(value: float, unit: str) -> float | int:
    """Return a finite number, rounded as in JUnit XML."""
    found = number(value, 4 if unit == "ratio" else 3)
    assert not isinstance(found, str)
    return found
