"""The progress of a level while it runs, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.stats import quantile

LATENCY = "final_from_commit"
_TAIL = 0.95


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a level.

    ``number`` is the number of the level in its test, from 1. ``begun`` is the number
    of streams that have begun. ``done`` is the number of sessions that have ended;
    ``failed`` of them have no final. ``p95`` is the p95 in ms of `LATENCY` over the
    sessions of the steady part so far. ``witness`` is the same p95 over the sessions of
    the witnesses. Each of the two is ``None`` if no such session has ended. ``late`` is
    the largest delay in ms that the client itself has added so far. ``left`` is the
    time in s until the end of the steady part.
    """

    number: int
    streams: int
    begun: int
    done: int
    failed: int
    p95: float | None
    witness: float | None
    late: float
    left: float

    def __str__(self) -> str:
        """Return a line that a narrow terminal may cut off at any comma."""
        opened = f"{self.begun} of " if self.begun < self.streams else ""
        words = [
            f"level {self.number}: {opened}{self.streams} open",
            f"{self.left:.0f} s left",
            f"{self.done} done",
            f"{self.failed} failed",
        ]
        if self.p95 is not None:
            words.append(f"p95 {self.p95:.0f}")
        if self.witness is not None:
            words.append(f"witness {self.witness:.0f}")
        return ", ".join([*words, f"own lag {self.late:.0f} ms"])


@dataclass(frozen=True, slots=True)
class LoneProgress:
    """The progress of the clips that are sent before the load, each of them alone.

    ``done`` of ``clips`` clips were sent. ``left`` is the length in s of the audio of
    the other ones.
    """

    done: int
    clips: int
    left: float

    def __str__(self) -> str:
        """Return a line that a narrow terminal may cut off at any comma."""
        return (
            f"before the load, each clip alone: {self.done} of {self.clips} done, "
            f"{self.left:.0f} s left"
        )


def progress(
    load: Load, number: int, now: float, rows: Sequence[Row], beside: Sequence[Row]
) -> Progress:
    """Return the progress of a level at ``now``, in s since its start.

    ``rows`` are the sessions of the load that have ended, and ``beside`` the sessions
    of the witnesses that have ended.
    """
    started = 1.0 if not load.ramp else min(1.0, max(0.0, now / load.ramp))
    return Progress(
        number=number,
        streams=load.streams,
        begun=round(started * load.streams),
        done=len(rows),
        failed=sum(bool(row.lost) for row in rows),
        p95=_p95([row for row in rows if row.phase is Phase.STEADY]),
        witness=_p95(beside),
        late=max((row.measured.client_state.send for row in rows), default=0.0),
        left=max(0.0, load.planned - now),
    )


def _p95(rows: Sequence[Row]) -> float | None:
    values = [row.measured.metrics.get(LATENCY) for row in rows]
    known = [value for value in values if value is not None]
    return quantile(known, _TAIL) if known else None
