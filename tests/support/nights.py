"""Runs of many nights, for what follows the results of several runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from pytest_realtime_asr.verdicts.recorded_run import RecordedRun
from tests.support.records import START, Rows, run, slower


def night(
    number: int, share: float = 0.0, *, rows: Rows | None = None, **changes: Any
) -> RecordedRun:
    """Return the run of a night whose finals are later by a share."""
    found = run(seed=100 + number, way=slower(share)) if rows is None else rows
    later = timedelta(days=number)
    made = RecordedRun(
        name=f"{number:02}.jsonl",
        started=START + later,
        rows=tuple(replace(row, started=row.started + later) for row in found),
        host="bench",
    )
    return replace(made, **changes)


# Equal nights whose speed differs by some per cent.
SPREAD = (0.0, 0.03, -0.02, 0.01, -0.03, 0.02, -0.01, 0.03, -0.02, 0.01)


def nights(shift: float = 0.0) -> list[RecordedRun]:
    """Return ten nights, which are slower by a share from the sixth night on."""
    return [
        night(number, (1 + each) * (1 + shift * (number > 5)) - 1)
        for number, each in enumerate(SPREAD, 1)
    ]
