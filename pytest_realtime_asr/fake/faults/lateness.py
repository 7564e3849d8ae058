"""Faults that make words or finals late, for some sessions or at some times."""

from __future__ import annotations

import time
from itertools import count

from pytest_realtime_asr.dialects import Server
from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.fake.server_state import ServerState

STARVED = 2.0  # s by which the starved session of `starves-one` is late
RECOVERY = 10.0  # s that `slow-recovery` needs after an overload
UNRECOVERED = 1.0  # s by which finals are late until then
GROWTH = 0.001  # s by which finals are later for each second of `latency-grows`

_LINE = 20  # sessions, of which one is starved
_LAST = 7  # its place among them, counted from 0


@fault("starves-one", "sends the text late, by 2 s, in one of 20 open sessions")
class StarvesOne(Hooks):
    """Sends words and finals late, by ``STARVED`` seconds, in one of 20 open sessions.

    A new session gets the lowest number, from 0, that no other open session has. The
    sessions with the numbers 7, 27, 47 and so on are late. So the successive sessions
    of one stream may all be late. No session is late if at most 7 sessions are open at
    the same time.
    """

    def __init__(self, state: ServerState) -> None:
        super().__init__(state)
        self._places: dict[int, int] = {}  # by the number of the session

    def wrap(self, server: Server) -> Server:
        still = self._state.open_sessions
        self._places = {s: place for s, place in self._places.items() if s in still}
        taken = set(self._places.values())
        free = next(place for place in count() if place not in taken)
        self._places[self._state.sessions] = free
        return server

    def word_delay(self, seconds: float, *, position: float, session: int) -> float:
        return self._delay(seconds, session)

    def final_delay(self, seconds: float, *, session: int) -> float:
        return self._delay(seconds, session)

    def _delay(self, seconds: float, session: int) -> float:
        starved = self._places[session] % _LINE == _LAST
        return seconds + STARVED if starved else seconds


@fault(
    "slow-recovery",
    "sends finals late during an overload and for 10 s after it",
    needs=Needs.CAPACITY,
)
class SlowRecovery(Hooks):
    """Sends finals late during an overload and for ``RECOVERY`` s after it.

    An overload is a load above the capacity of the server.
    """

    def final_delay(self, seconds: float, *, session: int) -> float:
        late = self._state.workload.since_overload < RECOVERY
        return seconds + UNRECOVERED if late else seconds


@fault(
    "latency-grows",
    "delays each final by 1 ms for each second that the server has run",
)
class LatencyGrows(Hooks):
    """Delays each final by ``GROWTH`` s for each second since the server's start."""

    def __init__(self, state: ServerState) -> None:
        super().__init__(state)
        self._started = time.monotonic()

    def final_delay(self, seconds: float, *, session: int) -> float:
        return seconds + GROWTH * (time.monotonic() - self._started)
