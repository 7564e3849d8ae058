"""The CPU time of a thousand sessions of two seconds that are sent at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from benchmarks.clients import Stream, bare_streams, own_streams
from benchmarks.comparison import Comparison, in_turns
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loop import Loop

AUDIO = silence(2.0, rate=16_000)


async def one_after_another(streams: Sequence[Stream]) -> None:
    """Open, speak and close each stream."""
    for stream in streams:
        await stream.open()
        await stream.speak(AUDIO)
        await stream.close()


def compare(url: str, *, rounds: int, sessions: int = 50) -> Comparison:
    """Compare sessions with the recording of all frames and bare ones, in s."""
    loop = Loop()

    def own() -> float:
        streams = own_streams(url, sessions, loop, pace=False)
        begun = time.process_time()
        loop.run(one_after_another(streams))
        return (time.process_time() - begun) / sessions * 1_000

    def bare() -> float:
        streams = bare_streams(url, sessions, pace=False)
        begun = time.process_time()
        asyncio.run(one_after_another(streams))
        return (time.process_time() - begun) / sessions * 1_000

    try:
        figures = in_turns(own, bare, rounds=rounds)
    finally:
        loop.stop()
    return Comparison("1,000 unpaced sessions, beside bare", "s of CPU", *figures)
