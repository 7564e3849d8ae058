"""Faults that misread the audio: at another rate, or with its bytes swapped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_realtime_asr.audio import Resampler
from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper, Wrap
from pytest_realtime_asr.trace.records import Frame


class _MisreadsRate(ServerWrapper):
    """Treats the audio as if its sample rate were ``share`` times the true rate."""

    def __init__(self, server: Server, state: ServerState, share: float) -> None:
        super().__init__(server, state)
        self._resampler = Resampler(round(self.rate * share), self.rate)

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if not reaction.audio:
            return reaction
        return replace(reaction, audio=self._resampler.feed(reaction.audio))


def misreading(share: float) -> Wrap:
    """Return a wrapper that reads audio at ``share`` times its true sample rate."""
    return lambda server, state: _MisreadsRate(server, state, share)


for _name, _share in (("fast", 24 / 16), ("slow", 16 / 24)):
    _rates = "24/16" if _share > 1 else "16/24"
    fault(
        f"reads-too-{_name}",
        f"treats the audio as if its rate were {_rates} of the true rate",
        by=misreading,
    )(_share)


@fault("swaps-bytes", "swaps the two bytes of each sample")
class SwapsBytes(ServerWrapper):
    """Swaps the two bytes of each sample."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if not reaction.audio:
            return reaction
        swapped = np.frombuffer(reaction.audio, "<i2").byteswap().tobytes()
        return replace(reaction, audio=swapped)


@fault("reads-at-16000hz", "treats all audio as if its rate were 16,000 Hz")
class ReadsAt16000Hz(ServerWrapper):
    """Reads all audio at 16,000 Hz, whatever sample rate the client sets."""

    @property
    def rate(self) -> int:
        return 16_000
