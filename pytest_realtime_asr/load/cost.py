"""The largest cost of a load test: streams, audio and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.runner import ALONE
from pytest_realtime_asr.load.schedule import most_audio
from pytest_realtime_asr.load.variation import MOST_LEAD
from pytest_realtime_asr.load.witnesses import CLIPS, RECOVERY
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.text.number_format import about, length, several


@dataclass(frozen=True, slots=True)
class LoadCost:
    """The largest cost that a load test can have.

    ``streams`` is the number of sessions at a time. ``audio`` is the length in s of all
    audio that is sent. ``seconds`` is the duration in s if the server is not slow.
    """

    streams: int
    audio: float
    seconds: float

    def __add__(self, other: LoadCost) -> LoadCost:
        """Return the cost of two tests that run one after the other."""
        return LoadCost(
            max(self.streams, other.streams),
            self.audio + other.audio,
            self.seconds + other.seconds,
        )

    @property
    def text(self) -> str:
        """The cost in one line."""
        return (
            f"at most {several(self.streams, 'stream')} at a time and "
            f"{length(self.audio)} of audio, {about(self.seconds)}"
        )


def level_cost(load: Load, clips: Sequence[float]) -> LoadCost:
    """Return the cost of one level, with its witnesses.

    ``clips`` are the lengths of the clips in s; there is at least one.
    """
    longest = max(clips) + MOST_LEAD / 1000
    through = load.planned + longest
    side = sum(sorted(clips)[:CLIPS]) if load.witnesses else 0.0
    recovering = max(side, RECOVERY + longest)
    return LoadCost(
        streams=load.streams + load.witnesses,
        audio=most_audio(load, clips) + load.witnesses * (side + through + recovering),
        seconds=side + through + side,
    )


def alone_cost(clips: Sequence[float]) -> LoadCost:
    """Return the cost of sending the clips without load, one after the other.

    ``clips`` are the lengths of the clips in s; there is at least one.
    """
    seconds = min(sum(clips), ALONE + max(clips))
    return LoadCost(1, seconds, seconds)


def bounded_cost(streams: int, seconds: float) -> LoadCost:
    """Return the cost of at most ``streams`` streams during ``seconds`` seconds.

    The function is for a search, whose levels are not known in advance.
    """
    return LoadCost(streams, streams * seconds, seconds)
