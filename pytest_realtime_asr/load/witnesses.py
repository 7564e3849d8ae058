"""Witness streams: a few streams that run before, through and after a level.

They send the same clips each time, so that each latency under load has its counterpart
without load. They run on the event loop of the run, not in the workers of the load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.load import session
from pytest_realtime_asr.load.clock import Clock
from pytest_realtime_asr.load.evidence import Evidence
from pytest_realtime_asr.load.executor import Clip
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.schedule import Turn
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.variation import Variation
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.metrics.levels import recovery_limit

CLIPS = 3  # clips that a witness sends before and after a level
RECOVERY = 30.0  # s for which the witnesses wait at most until the server has recovered
_LATENCY = "final_from_commit"


@dataclass(slots=True)
class LoneSessions:
    """Runs sessions outside the load, and judges them on another thread.

    ``sink`` is called with each row. Only the traces of failed sessions are kept,
    unless ``every_trace`` is true.
    """

    loop: Loop
    plan: Plan
    sink: Callable[[Row], None]
    every_trace: bool = False
    _evidence: Evidence = field(init=False)

    def __post_init__(self) -> None:
        self._evidence = Evidence(every=self.every_trace)

    async def run(self, turn: Turn, clip: Clip, *, phase: Phase, clock: Clock) -> Row:
        """Wait until the session of ``turn`` is due, run it, and return its row."""
        await clock.until(turn.due)
        id = clip.utterance.id
        if turn.variation is not None:
            clip = await asyncio.to_thread(turn.variation, clip)
        sent = await session.run(
            self.loop, self.plan, turn, clip, phase=phase, clock=clock, pings=True
        )
        return await asyncio.to_thread(self._judged, sent, clip, id)

    def _judged(self, sent: Sent, clip: Clip, id: str) -> Row:
        take = session.transcription(sent, clip, self.plan)
        row = session.row(sent, take, clip=id)
        row = self._evidence.add(row, take.dumps, drawn=False)
        self.sink(row)
        return row


@dataclass(slots=True)
class Witnesses:
    """The witness streams of one level.

    They send only the shortest ``clips``, at most `CLIPS` of them, so that there are
    many sessions.
    """

    sessions: LoneSessions
    load: Load
    clips: Sequence[Clip]
    _sent: int = 0

    def __post_init__(self) -> None:
        by_length = sorted(self.clips, key=lambda clip: clip.audio.samples)
        self.clips = by_length[:CLIPS]

    async def before(self) -> tuple[Row, ...]:
        """Let each witness send its clips once, before the level starts.

        The times of the rows are negative, since the level starts at 0.
        """
        clock = Clock(time.monotonic())
        enough = len(self.clips)
        rows = await self._streams(
            clock, lambda rows: len(rows) >= enough, phase=Phase.RAMP
        )
        over = clock.now
        return tuple(_shifted(row, -over) for row in rows)

    async def through(self, clock: Clock) -> tuple[Row, ...]:
        """Run the witnesses until the steady part ends.

        Return only the sessions that belong to the steady part.
        """
        rows = await self._streams(clock, lambda _: clock.now >= self.load.planned)
        return tuple(row for row in rows if row.phase is Phase.STEADY)

    async def after(self, clock: Clock, before: Sequence[Row]) -> tuple[Row, ...]:
        """Run the witnesses until the server has recovered, for at most `RECOVERY` s.

        The server has recovered when the latencies of the witnesses are about the same
        as in ``before``, the rows from before the level. Each witness sends its clips
        at least once.
        """
        least, limits = len(self.clips), _limits(before)
        deadline = clock.now + RECOVERY

        def recovered(rows: Sequence[Row]) -> bool:
            if len(rows) < least:
                return False
            last = rows[-least:]
            return clock.now >= deadline or all(_within(row, limits) for row in last)

        return await self._streams(clock, recovered, phase=Phase.DRAIN)

    async def _streams(
        self,
        clock: Clock,
        over: Callable[[Sequence[Row]], bool],
        *,
        phase: Phase | None = None,
    ) -> tuple[Row, ...]:
        """Run all witnesses; each ends when ``over`` returns true for its rows.

        The sessions belong to ``phase``. If it is ``None``, the planned times of a
        session decide to which phase it belongs.
        """

        async def stream(number: int) -> list[Row]:
            rows: list[Row] = []
            due = max(0.0, clock.now)
            while not over(rows):
                turn = self._turn(number, len(rows), due)
                clip = self.clips[turn.clip]
                part = phase or turn.phase(self.load)
                row = await self.sessions.run(turn, clip, phase=part, clock=clock)
                rows.append(row)
                due = max(clock.now, turn.planned)
            return rows

        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(stream(number))
                for number in range(self.load.witnesses)
            ]
        rows = [row for each in running for row in each.result()]
        return tuple(sorted(rows, key=lambda row: row.ended))

    def _turn(self, stream: int, number: int, due: float) -> Turn:
        clip = (stream + number) % len(self.clips)
        seconds, variation = self.clips[clip].audio.seconds, None
        self._sent += 1
        if self.load.varied:
            # The lead is always the same, so that the latencies can be compared.
            variation = Variation(0, 1000 * self.load.seed + self._sent)
        return Turn(stream, number, due, clip, seconds, variation)


def _limits(before: Sequence[Row]) -> dict[str, float]:
    """Return, for each clip, the latency in ms up to which the server is recovered."""
    found: dict[str, float] = {}
    for row in before:
        latency = row.measured.metrics.get(_LATENCY)
        if latency is not None:
            limit = recovery_limit(latency)
            found[row.clip] = max(found.get(row.clip, 0.0), limit)
    return found


def _within(row: Row, limits: dict[str, float]) -> bool:
    latency = row.measured.metrics.get(_LATENCY)
    if row.clip not in limits:  # there is nothing to compare with
        return True
    return latency is not None and latency <= limits[row.clip]


def _shifted(row: Row, by: float) -> Row:
    return replace(
        row,
        due=row.due + by,
        began=row.began + by,
        speech=row.speech + by,
        planned=row.planned + by,
        ended=row.ended + by,
    )
