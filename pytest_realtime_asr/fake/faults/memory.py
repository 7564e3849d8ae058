"""Faults that change the memory size on the metrics page, but take no memory."""

from __future__ import annotations

import time

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import Hooks, fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.trace.records import Frame

LEAK = 2**20  # bytes that `memory-grows` keeps of each session
HELD = 2**20  # bytes that `idle-holds-memory` takes for each second without a frame
IDLE = 1.0  # s without a frame after which a session is idle


@fault(
    "memory-grows",
    "keeps 1 MiB of memory for each session, even when the session has ended",
)
class MemoryGrows(Hooks):
    """Adds ``LEAK`` bytes to the shown memory for each session that was opened."""

    def resident_memory(self, size: int) -> int:
        return size + LEAK * self._state.sessions


@fault(
    "idle-holds-memory",
    "takes 1 MiB more memory for each second in which a session is idle",
)
class IdleHoldsMemory(Hooks):
    """Adds ``HELD`` bytes to the shown memory for each second of an idle session.

    A session is idle after ``IDLE`` s without a frame. The bytes are subtracted again
    when the client sends its next frame, or when the session ends.
    """

    def __init__(self, state: ServerState) -> None:
        super().__init__(state)
        # Time of the last frame (monotonic s), by session.
        self._frames: dict[int, float] = {}

    def wrap(self, server: Server) -> Server:
        return _FrameClock(server, self._state, self._frames)

    def resident_memory(self, size: int) -> int:
        for session in self._frames.keys() - self._state.open_sessions:
            del self._frames[session]
        now = time.monotonic()
        idle = sum(max(0.0, now - at - IDLE) for at in self._frames.values())
        return size + round(HELD * idle)


class _FrameClock(ServerWrapper):
    """Records the time at which the latest frame of a session came."""

    def __init__(
        self, server: Server, state: ServerState, frames: dict[int, float]
    ) -> None:
        super().__init__(server, state)
        self._frames = frames
        self._note()

    def hear(self, frame: Frame) -> Reaction:
        self._note()
        return self._server.hear(frame)

    def _note(self) -> None:
        self._frames[self.session] = time.monotonic()
