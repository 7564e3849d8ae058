"""The levels of a test under load, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_realtime_asr.load.outcome import Outcome
from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.level_rows import Figures, LevelRow
from pytest_realtime_asr.text.number_format import ms

_HEAD = f"{'streams':>7} {'step':7} {'decision':12} {'over':>9} {'p50 ms':>7}"
_HEAD += f" {'p95 ms':>7} {'witness ms':>12} {'lag ms':>6}"
_LEGEND = (
    "over: sessions that were lost or are over the binding limit, of all sessions of "
    "the steady part; p50 and p95: latency of the final; witness: p95 of the final in "
    "the witness streams, before the level -> through the level; lag: p99 of the "
    "client's own delay"
)


def table(rows: Sequence[LevelRow], *, width: int = USUAL) -> list[str]:
    """Return the lines of the table; an empty list if there are no rows."""
    if not rows:
        return []
    lines = [_HEAD]
    for each in rows:
        lines.append(
            f"{each.streams:7} {each.step or '-':7} {each.decision or '-':12} "
            f"{_over(each):>9} {_time(each.finals, 'p50'):>7} "
            f"{_time(each.finals, 'p95'):>7} {_witness(each):>12} {_lag(each):>6}"
        )
        for note in notes(each):
            lines += wrapped(note, width, first="        ", then="          ")
    return [*lines, *wrapped(_LEGEND, width)]


def notes(row: LevelRow) -> Iterable[str]:
    """Yield a sentence about each thing in a level that was not as planned."""
    if row.aborted:
        yield f"aborted: {row.aborted}"
    elif row.undecided:
        yield row.undecided
    if lost := [f"{n} {how}" for how, n in row.outcomes.items() if how != Outcome.DONE]:
        yield ", ".join(lost)
    for why, count in row.not_begun.items():
        yield f"{count} not begun: {why}"
    yield from row.lost_workers
    if row.server_failed:
        yield f"the server's metrics: {row.server_failed}"


def _over(row: LevelRow) -> str:
    """Return how many sessions of the steady part are over the limit, as in 2/40.

    Without a limit, return how many of these sessions are lost.
    """
    if row.binding is not None:
        return f"{row.binding.over}/{row.binding.n}"
    return f"{row.lost}/{row.sessions[Phase.STEADY]}"


def _time(found: Figures | None, name: str) -> str:
    if found is None:
        return "-"
    value: float | None = getattr(found, name)
    return "never" if value is None else f"{value:.0f}"


def _witness(row: LevelRow) -> str:
    """Return the p95 of the witness before and through a level, as in 210 -> 640."""
    before, through = row.witness.before, row.witness.through
    if before is None and through is None:
        return "-"
    return f"{_time(before, 'p95')} -> {_time(through, 'p95')}"


def _lag(row: LevelRow) -> str:
    return ms(max(row.client.late_ms, row.client.lag_ms))
