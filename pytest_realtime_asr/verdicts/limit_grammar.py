"""The grammar of the limits on the command line, and its only parser.

    limits = limit {"," limit}
    limit  = metric [statistic] ("<=" | ">=") amount     the limit of a value
           | metric ":" amount                           the limit of a change
    amount = number ["ms" | "s" | "min" | "%" | "pp"]

Examples: ``final_from_commit p95 <= 800ms, wer <= 12%`` and
``final_from_commit:10%,wer:1pp``. The options that use the grammar decide which
metrics, statistics and units are allowed.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_realtime_asr.text.inputs import InputError, shown

_METRIC = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_STATISTIC = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_SIGN = re.compile("[<>=:≤≥]+")
_AMOUNT = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|min|%|pp|)", re.ASCII)
_BLANKS = re.compile(r"\s*")


class LimitError(InputError):
    """A list of limits is not valid; the message says where, and what to write."""


class Relation(enum.Enum):
    """What an amount limits: a metric from above or from below, or its change."""

    AT_MOST = "<="
    AT_LEAST = ">="
    CHANGE = ":"


@dataclass(frozen=True, slots=True)
class Clause:
    """One limit of a list, as the user wrote it.

    ``statistic`` and ``unit`` are empty if none is written. ``position`` is the number
    of the character at which the limit starts; the first character has the number 1.
    """

    text: str
    position: int
    metric: str
    statistic: str
    relation: Relation
    number: float
    unit: str

    def error(self, why: str) -> LimitError:
        """Return an error about this limit; ``why`` says what to write."""
        return _error(self.text, self.position, why)


def parse(text: str, *, example: str) -> tuple[Clause, ...]:
    """Return the limits of a list; there is at least one.

    ``example`` is a limit that the messages show. Raises `LimitError`.
    """
    found, start = [], 0
    for part in text.split(","):
        if part.strip():
            position = start + len(part) - len(part.lstrip()) + 1
            found.append(_clause(part.strip(), position, example))
        start += len(part) + 1
    if not found:
        raise LimitError(f"there is no limit; write one such as {example}")
    return tuple(found)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the name most like ``name``; ``names`` must contain at least one name."""
    return difflib.get_close_matches(name, list(names), n=1, cutoff=0.0)[0]


def _clause(text: str, position: int, example: str) -> Clause:
    """Parse the text of one limit, which has no blanks at its ends."""
    metric, rest = _next(_METRIC, text, 0)
    statistic, rest = _next(_STATISTIC, text, rest)
    sign, end = _next(_SIGN, text, rest)
    if not metric or not sign:
        why = f"is not a limit; write one such as {example}"
        raise _error(text, position, why)
    try:
        relation = Relation(sign)
    except ValueError:
        raise _error(
            text, position, f"has the sign {shown(sign)}; write <= or >=", at=rest
        ) from None
    amount = _AMOUNT.fullmatch(text, end)
    if amount is None:
        why = "is not a limit: the amount is not a number with a unit, such as 800ms"
        raise _error(text, position, f"{why}; write one such as {example}", at=end)
    if relation is Relation.CHANGE and statistic:
        raise _error(text, position, f"needs <= or >= in place of {sign!r}", at=rest)
    return Clause(
        text=text,
        position=position,
        metric=metric,
        statistic=statistic,
        relation=relation,
        number=float(amount[1]),
        unit=amount[2],
    )


def _next(pattern: re.Pattern[str], text: str, start: int) -> tuple[str, int]:
    """Return the match at ``start``, and the position of the next non-blank character.

    If nothing matches, return an empty text and the position ``start``.
    """
    found = pattern.match(text, start)
    if found is None:
        return "", start
    blanks = _BLANKS.match(text, found.end())
    return found[0], blanks.end() if blanks else found.end()


def _error(text: str, position: int, why: str, *, at: int = 0) -> LimitError:
    return LimitError(f"{shown(text)} {why} (character {position + at})")
