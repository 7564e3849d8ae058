"""Finds what a server does with more streams than its capacity.

A level beyond the capacity is compared with a level that held. The two levels have
different mixes of clips, so each clip is compared with itself. The thresholds lie
between two cases. Within the capacity, latencies change by up to a half from one level
to the next, the numbers of partials and words change by less than a tenth, and only
single sessions are lost. Beyond the capacity, the changes are larger. With 1.5 times as
many streams as the capacity, for example, the server cannot serve a third of the
streams.

The final is late if sessions wait in a queue, and also if recognition is slow. The
first text shows which of the two it is. A session that waits in a queue starts late, so
its first text is as late as its final. A session that is recognised slowly starts on
time and falls behind, so its first text is only a little late.
"""

from __future__ import annotations

import enum
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.level_values import level_values
from pytest_realtime_asr.load.outcome import Outcome, lost_outcome
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.work import (
    amounts_by_clip,
    partials_per_second,
    words_per_final,
)
from pytest_realtime_asr.metrics.levels import recovery

_FINAL = "final_from_commit"
_FIRST = "first_partial_from_speech"
_REFUSED = 0.05  # share of sessions that are refused
_HUNG = 0.05  # share of sessions whose final did not come in time
_BROKEN = 0.2  # share of sessions whose connection broke
_LATER = 1.5  # of the latency of a final at the level that held
_NOTICED = 50.0  # ms; a smaller delay of a final is nothing
_WHOLE = 0.75  # of the delay of the final: that of the first text in a queue
_FEWER = 0.8  # of the partials per second of audio, or of the words per final


class Behaviour(enum.StrEnum):
    """What a server does beyond its capacity.

    `DIES`: it breaks connections, or stops answering permanently. `REFUSES`: it refuses
    sessions with a reason. `HANGS`: finals do not come in time. `LOSES_TEXT`: words are
    missing in finals. `QUEUES`: sessions wait before they are served. `SLOWS`: all
    sessions are recognised more slowly. `SENDS_LESS`: it sends fewer partials, and so
    looks faster than it is. `HOLDS`: none of the other values applies.
    """

    DIES = "dies"
    REFUSES = "refuses"
    HANGS = "hangs"
    LOSES_TEXT = "loses text"
    QUEUES = "queues"
    SLOWS = "slows"
    SENDS_LESS = "sends less"
    HOLDS = "holds"


@dataclass(frozen=True, slots=True)
class Beyond:
    """What a server did at a level beyond its capacity.

    This level is compared with a level at which the budgets held. ``streams`` is the
    number of streams of this level, and ``held`` is the number of the other level. Both
    include the witnesses. The behaviour that harms users most is the first of
    ``behaviours``. ``refused`` is the share of sessions that were refused, and
    ``broken`` is the share of sessions that were lost for another reason.

    Four figures are ``None`` if no clip was measured at both levels:

    - ``later``: the median time in ms by which the finals came later;
    - ``first_later``: the median time in ms by which the first texts came later;
    - ``partials``: the partials per second of audio, divided by those at ``held``;
    - ``words``: the words per final, divided by those at ``held``.

    ``recovery`` is the value in ms of the metric ``recovery`` of the level; ``None``
    without witnesses.
    """

    streams: int
    held: int
    behaviours: tuple[Behaviour, ...]
    refused: float = 0.0
    broken: float = 0.0
    later: float | None = None
    first_later: float | None = None
    partials: float | None = None
    words: float | None = None
    recovery: float | None = None


def compare(level: Level, held: Level) -> Beyond | None:
    """Return what the server did at ``level``, compared with ``held``.

    At the level ``held``, the budgets held. Latencies and texts of ``level`` come from
    all sessions after the ramp. This includes the sessions that ended in the drain,
    since an overloaded server is slow to end sessions. Returns ``None`` if no session
    ended at ``level``.
    """
    rows = [row for row in level.rows if row.lost is not Loss.CANCELLED]
    if not rows:
        return None
    refused = sum(map(_is_refused, rows)) / len(rows)
    broken = sum(bool(row.lost) and not _is_refused(row) for row in rows) / len(rows)
    late = [row for row in rows if row.speech >= level.load.ramp] or rows
    before, after = held.steady, [row for row in late if not row.lost]
    later = _difference(before, after, _FINAL)
    first = _difference(before, after, _FIRST)
    base = _median(before, _FINAL)
    partials = _ratio(amounts_by_clip(before, after, partials_per_second))
    words = _ratio(amounts_by_clip(before, after, words_per_final))
    recovered = recovery(level_values(level, (), {}))
    found = []
    if _dies(rows, broken):
        found.append(Behaviour.DIES)
    if refused >= _REFUSED:
        found.append(Behaviour.REFUSES)
    if sum(row.lost is Loss.HUNG for row in rows) >= _HUNG * len(rows):
        found.append(Behaviour.HANGS)
    if words is not None and words < _FEWER:
        found.append(Behaviour.LOSES_TEXT)
    is_later = later is not None and later > max(_NOTICED, (_LATER - 1) * (base or 0.0))
    if is_later and later is not None:
        waits = first is not None and first >= _WHOLE * later
        found.append(Behaviour.QUEUES if waits else Behaviour.SLOWS)
    elif (
        partials is not None
        and partials < _FEWER
        and Behaviour.LOSES_TEXT not in found  # which makes fewer partials by itself
    ):
        found.append(Behaviour.SENDS_LESS)
    return Beyond(
        streams=level.streams + level.load.witnesses,
        held=held.streams + held.load.witnesses,
        behaviours=tuple(found) or (Behaviour.HOLDS,),
        refused=refused,
        broken=broken,
        later=later,
        first_later=first,
        partials=partials,
        words=words,
        recovery=None if recovered is None else recovered.value,
    )


def _is_refused(row: Row) -> bool:
    return lost_outcome(row) is Outcome.REFUSED


def _dies(rows: Sequence[Row], broken: float) -> bool:
    """Return whether the server broke many connections, or never answered again.

    ``broken`` is the share of the sessions that were lost without a refusal.
    """
    if broken < _BROKEN:
        return False
    finals = [row.ended for row in rows if not row.lost]
    last = max(finals, default=float("-inf"))
    gone = [
        row
        for row in rows
        if row.began > last
        and row.lost
        and not _is_refused(row)
        and row.lost is not Loss.HUNG
    ]
    cut = [row for row in rows if row.lost in (Loss.BROKE, Loss.CLOSED)]
    return bool(gone) or len(cut) >= _BROKEN * len(rows)


def _by_clip(rows: Sequence[Row], metric: str) -> Mapping[str, float]:
    """Return, for each clip, the median of a metric over its sessions with a final."""
    found: dict[str, list[float]] = {}
    for row in rows:
        each = row.measured.metrics.get(metric)
        if not row.lost and each is not None:
            found.setdefault(row.clip, []).append(each)
    return {clip: statistics.median(values) for clip, values in found.items()}


def _difference(
    before: Sequence[Row], after: Sequence[Row], metric: str
) -> float | None:
    """Return the growth of a metric from the level ``before`` to the level ``after``.

    This is the median over the clips that were measured at both levels; ``None`` if
    there is no such clip.
    """
    one, other = _by_clip(before, metric), _by_clip(after, metric)
    both = [clip for clip in one if clip in other]
    return statistics.median(other[clip] - one[clip] for clip in both) if both else None


def _ratio(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the sum of the second values, divided by the sum of the first values.

    Returns ``None`` if the sum of the first values is 0.
    """
    whole = sum(one for one, _ in pairs)
    return sum(two for _, two in pairs) / whole if whole else None


def _median(rows: Sequence[Row], metric: str) -> float | None:
    found = [
        each for row in rows if (each := row.measured.metrics.get(metric)) is not None
    ]
    return statistics.median(found) if found else None
