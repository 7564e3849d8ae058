"""Faults that misread the audio: at another rate, or with its bytes swapped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_realtime_asr.audio import Resampler
from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper, Wrap


class _MisreadsRate(ServerWrapper):
    """Takes the audio as if it had ``share`` of its rate."""

    def __init__(self, server: Server, state: ServerState, share: float) -> None:
        super().__init__(server, state)
        self._resampler = Resampler(round(self.rate * share), self.rate)

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        if not reaction.audio:
            return reaction
        return replace(reaction, audio=self._resampler.feed(reaction.audio))


def misreading(share: float) -> Wrap:
    """Return a wrapper that takes the audio as of this share of its rate."""
    return lambda server, state: _MisreadsRate(server, state, share)


for _name, _share in (("fast", 24 / 16), ("slow", 16 / 24)):
    _rates = "24/16" if _share > 1 else "16/24"
    fault(
        f"reads-too-{_name}",
        f"takes the audio as of {_rates} of its rate",
        by=misreading,
    )(_share)


@fault("swaps-bytes", "takes the bytes of each sample in the other order")
class SwapsBytes(ServerWrapper):
    """Swaps the two bytes of each sample."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        if not reaction.audio:
            return reaction
        swapped = np.frombuffer(reaction.audio, "<i2").byteswap().tobytes()
        return replace(reaction, audio=swapped)
