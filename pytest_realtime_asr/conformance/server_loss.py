"""Detects that a server is lost during the suite, and waits until it is back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from pytest_realtime_asr.client.absence import absence, is_cut_off
from pytest_realtime_asr.conformance.scenario_run import RunConfig, read_gauges
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges
from pytest_realtime_asr.trace.records import Trace

PAUSE = 0.5  # s between two health checks of a lost server


@dataclass(frozen=True, slots=True)
class ServerLoss:
    """The time (in Unix seconds), scenario and reason of the loss of a server."""

    at: float
    scenario: str
    why: str

    def __str__(self) -> str:
        when = time.strftime("%H:%M:%S", time.gmtime(self.at))
        where = f"at {when} UTC in the scenario {self.scenario}"
        return f"the server was lost {where}: {self.why}"


class ServerWatch:
    """Detects the loss of a server.

    ``recover`` is the longest time in s to wait until the server is back. If it does
    not come back, ``loss`` is set. `check` appends the server's own metrics to
    ``gauges``.
    """

    def __init__(self, recover: float, gauges: list[Gauges]) -> None:
        self._recover = recover
        self._gauges = gauges
        self._checking = asyncio.Lock()
        self.loss: ServerLoss | None = None

    async def checked(self) -> None:
        """Wait until no check of the server is running."""
        async with self._checking:
            return

    async def check(self, config: RunConfig, scenario: str) -> None:
        """Wait until the server answers; ``scenario`` may have harmed it."""
        async with self._checking:
            if self.loss is None:
                seen = await read_gauges(config, after=scenario)
                self._gauges.append(seen)
                await self._wait(config, seen, time.time())

    async def was_lost(
        self, config: RunConfig, scenario: str, evidence: Evidence
    ) -> bool:
        """Return whether the server was lost while a harmless scenario ran.

        The server is checked only if a session of the scenario was cut off. A server is
        not lost if it answers again within the time ``recover``. A server that was not
        reachable at the start of the run does not count as lost.
        """
        cut = [part.trace for part in evidence.parts if is_cut_off(part.trace)]
        if not cut or absence(self._gauges[0].lost):
            return False
        async with self._checking:
            if self.loss is None:
                seen = await read_gauges(config, after=scenario)
                if absence(seen.lost):
                    ends = [
                        each.started.timestamp() + each.end.at / 1e9 for each in cut
                    ]
                    await self._wait(config, seen, min(ends))
        return self.loss is not None

    async def _wait(self, config: RunConfig, seen: Gauges, since: float) -> None:
        """Wait until a server answers again; record a loss if the time runs out."""
        deadline = time.monotonic() + self._recover
        while seen.lost and time.monotonic() < deadline:
            # Polled here and not in a thread, so that an interrupt ends the wait.
            await asyncio.sleep(PAUSE)
            seen = await read_gauges(config, after=seen.after)
        if seen.lost:
            why = absence(seen.lost) or seen.lost
            self.loss = ServerLoss(since, seen.after, why)


def _ended(trace: Trace) -> float:
    """Return the time at which a session ended, in Unix seconds."""
    return trace.started.timestamp() + trace.end.at / 1e9


def before_loss(evidence: Evidence) -> Evidence:
    """Return the evidence without the parts that the loss of the server caused."""
    return replace(
        evidence,
        parts=tuple(each for each in evidence.parts if not is_cut_off(each.trace)),
        answers=tuple(each for each in evidence.answers if each.status),
        gauges=tuple(each for each in evidence.gauges if not each.lost),
        findings=(),
    )
