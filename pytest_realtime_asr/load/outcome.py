"""The outcome of a session under load, in one word.

A server without capacity for a session should refuse it, and not let it hang. So each
outcome is counted separately. All sessions except those that the client cancelled count
as sessions of the level.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.session_refusal import (
    CODES,
    STATUSES,
    TRY_AGAIN_LATER,
)
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.texts import Clips, Solo, cross_talk, lost_words
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.verdicts.budgets import Budget, Side

# The codes of errors by which servers limit their load.
_FULL_CODES = frozenset({*CODES, "buffer_full", "idle_timeout"})


class Outcome(enum.StrEnum):
    """The outcome of a session under load.

    `REFUSED`: the server said that it has no capacity. `HUNG`: the final did not come
    in time. `BROKEN`: the session ended without a final for another reason. `LATE`: the
    final came, but a latency is over its limit. `LOST_TEXT`: the text lacks words that
    the server returned for the same clip without load. `CROSS_TALK`: the text contains
    the words of another session. `CANCELLED`: the client ended the session, so the
    outcome says nothing about the server.
    """

    DONE = "done"
    LATE = "late"
    LOST_TEXT = "lost text"
    CROSS_TALK = "cross-talk"
    REFUSED = "refused"
    HUNG = "hung"
    BROKEN = "broken"
    CANCELLED = "cancelled"


LOST = frozenset({Outcome.REFUSED, Outcome.HUNG, Outcome.BROKEN})
"""The outcomes of sessions that the server left without a final."""


def limits_of(budgets: Iterable[Budget]) -> dict[str, float]:
    """Return the limit in ms for the latency of a single session, by metric.

    If a metric has several limits, the largest limit is returned. A smaller limit, such
    as a limit of the median, does not apply to every session.
    """
    found: dict[str, float] = {}
    for budget in budgets:
        if budget.metric not in CATALOGUE or not CATALOGUE[budget.metric].timed:
            continue
        for limit in budget.limits:
            if limit.side is Side.AT_MOST:
                most = max(limit.value, found.get(budget.metric, 0.0))
                found[budget.metric] = most
    return found


def is_late(row: Row, limits: Mapping[str, float]) -> bool:
    """Return whether a session with a final is over one of its limits.

    ``limits`` are latencies in ms, by metric. A latency that is premature, or that was
    not measured, is over its limit.
    """
    return any(
        (value := row.measured.metrics.get(metric)) is None
        or value > most
        or metric in row.measured.premature
        for metric, most in limits.items()
    )


def lost_outcome(row: Row) -> Outcome | None:
    """Return the outcome of a lost session, or ``None`` for any other session."""
    match row.lost:
        case Loss.NONE:
            return None
        case Loss.CANCELLED:
            return Outcome.CANCELLED
        case _ if _is_full(row):
            return Outcome.REFUSED
        case Loss.HUNG:
            return Outcome.HUNG
        case _:
            return Outcome.BROKEN


def outcomes(
    rows: Sequence[Row], alone: Solo, clips: Clips, limits: Mapping[str, float]
) -> tuple[Outcome, ...]:
    """Return the outcome of each session of a level, in the order of ``rows``.

    ``alone`` has the texts without load, and ``limits`` is the result of `limits_of`.
    If several outcomes apply to a session with a final, the one that is hardest for a
    user to notice counts: cross-talk before lost text, and both before a late final.
    """
    foreign = {id(each.row) for each in cross_talk(rows, alone, clips)}

    def outcome(row: Row) -> Outcome:
        lost = lost_outcome(row)
        if lost is not None:
            return lost
        if id(row) in foreign:
            return Outcome.CROSS_TALK
        if lost_words(row, alone, clips):
            return Outcome.LOST_TEXT
        return Outcome.LATE if is_late(row, limits) else Outcome.DONE

    return tuple(map(outcome, rows))


def counted(found: Iterable[Outcome]) -> dict[Outcome, int]:
    """Return how often each outcome occurs; outcomes that do not occur are left out."""
    counts = Counter(found)
    return {outcome: counts[outcome] for outcome in Outcome if counts[outcome]}


def _is_full(row: Row) -> bool:
    """Return whether the server said that it has no capacity for a session."""
    end = row.opened.end
    if end.how is Ending.REFUSED and end.code in STATUSES:
        return True
    if end.how is Ending.CLOSED_BY_PEER and end.code == TRY_AGAIN_LATER:
        return True
    return row.refusal in _FULL_CODES
