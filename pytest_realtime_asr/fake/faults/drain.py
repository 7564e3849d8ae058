"""Faults in how the server ends its open sessions in a shutdown."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.fake.drain import SERVICE_RESTART, Drain
from pytest_realtime_asr.fake.faults.registry import Hooks, fault

HANGING = 5.0  # s that `drain-hangs` waits after the last final


@fault("drain-drops-finals", "sends no finals of open utterances in a shutdown")
class DrainDropsFinals(Hooks):
    """Closes all sessions at once, without the finals of their open utterances."""

    def drain(self, drain: Drain) -> Drain:
        return replace(drain, grace=0.0)


@fault("drain-hangs", "closes sessions 5 s late in a shutdown")
class DrainHangs(Hooks):
    """Closes each session 5 s after its last final."""

    def drain(self, drain: Drain) -> Drain:
        return replace(drain, linger=HANGING)


@fault("drain-1012", "closes with 1012 (service restart) in a shutdown")
class DrainRestarts(Hooks):
    """Closes with 1012, which is a valid code for a server that will come back."""

    def drain(self, drain: Drain) -> Drain:
        return replace(drain, code=SERVICE_RESTART)
