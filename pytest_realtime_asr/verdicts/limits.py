"""Limits that a user writes as strings: durations, names of limits, and margins.

- a duration: ``"800ms"``, ``"1.2s"``, ``"10min"``;
- the name of a limit in the budget file: ``"$final"``;
- the margins of ``--realtime-compare-fail``: ``"final_from_commit:5%,wer:1pp"``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.quantities import milliseconds
from pytest_realtime_asr.verdicts.limit_grammar import (
    Clause,
    Relation,
    nearest,
    parse,
)

WER = "wer"
MAX_LIMIT = 1e12  # larger than any metric can be
_MAX_DURATION = 7 * 24 * 60 * 60_000.0  # ms
_NAME = "$"  # the first character of the name of a limit
_MAX_MARGIN = 1_000_000
_MARGIN_EXAMPLES = "final_from_commit:5%, final_from_commit:20ms or wer:1pp"
L = TypeVar("L")


class BudgetError(InputError):
    """A budget or limit that is not valid; the message says what to write."""


class Scale(enum.StrEnum):
    """The unit of a change between two runs."""

    SHARE = "%"
    MS = "ms"
    POINTS = "pp"


@dataclass(frozen=True, slots=True)
class Margin:
    """The largest tolerated change of a metric between two runs.

    ``size`` is a share (0.05 is 5 %), a time in ms, or a difference of rates (0.01 is 1
    pp).
    """

    metric: str
    size: float
    scale: Scale


def parse_duration(value: str | timedelta) -> float:
    """Convert a duration (a string such as ``"800ms"`` or a timedelta) to milliseconds.

    Raises `BudgetError` if the value is not a duration of at most a week.
    """
    try:
        ms = milliseconds(value)
    except InputError as error:
        raise BudgetError(str(error)) from None
    if not 0 <= ms <= _MAX_DURATION:
        raise BudgetError(
            f"{value!r} is negative or longer than a week; write a duration such as "
            "'800ms'"
        )
    return ms


def resolve(limit: L | str, named: Mapping[str, L | str]) -> L | str:
    """Replace a name such as ``"$final"`` by its limit; return other limits unchanged.

    Raises `BudgetError` for an unknown name; the message lists the names in ``named``.
    """
    if not isinstance(limit, str) or not limit.startswith(_NAME):
        return limit
    name = limit.removeprefix(_NAME)
    if name not in named:
        known = listed(f"{_NAME}{each}" for each in named)
        write = f"choose from {known}"
        if not known:
            write = "define it in the file of --realtime-budgets"
        raise BudgetError(f"no limit is called {limit!r}; {write}")
    return named[name]


def parse_margins(text: str) -> tuple[Margin, ...]:
    """Return the margins in a string such as ``final_from_commit:5%,wer:1pp``.

    The margin of a duration is in % or is a duration. The margin of the word error rate
    is in percentage points, since a margin in % could mean percentage points or a share
    of the rate. Raises ValueError, which says what to write.
    """
    found: dict[str, Margin] = {}
    for clause in parse(text, example=_MARGIN_EXAMPLES):
        margin = _margin(clause)
        if margin.metric in found:
            raise clause.error(
                f"is a second limit of {margin.metric}; keep only one limit"
            )
        found[margin.metric] = margin
    return tuple(found.values())


def listed(names: Iterable[str]) -> str:
    """Return the names, separated by commas."""
    return ", ".join(map(str, names))


def _margin(clause: Clause) -> Margin:
    name, number, unit = clause.metric, clause.number, clause.unit
    if clause.relation is not Relation.CHANGE or not unit:
        raise clause.error(
            f"is not a limit of a change; write one such as {_MARGIN_EXAMPLES}"
        )
    timed = [name for name, entry in CATALOGUE.items() if entry.gated and entry.timed]
    if name != WER and name not in timed:
        near, known = nearest(name, [WER, *timed]), listed([WER, *timed])
        raise clause.error(
            f"names no metric that can be compared: write {near} in place of {name} "
            f"(or one of {known})"
        )
    if number > _MAX_MARGIN:
        raise clause.error(f"is too large a limit; write at most {_MAX_MARGIN}")
    match unit:
        case "pp" if name == WER:
            return Margin(name, number / 100, Scale.POINTS)
        case "%" if name != WER:
            return Margin(name, number / 100, Scale.SHARE)
        case "ms" | "s" if name != WER:
            return Margin(name, number * (1000 if unit == "s" else 1), Scale.MS)
    example = "1pp, in percentage points" if name == WER else "5% or 20ms"
    raise clause.error(f"has a wrong unit: write the limit of {name} as {example}")
