"""Own and bare streams send the same frames to the server of the benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from benchmarks.clients import Stream, bare_streams, own_streams
from benchmarks.sink import sink
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loop import Loop

QUIET = silence(0.2, rate=16_000)


async def late(streams: Sequence[Stream]) -> list[int]:
    """Run each stream; return the number of its frames that were paced."""

    async def run(stream: Stream) -> int:
        await stream.open()
        await stream.speak(QUIET)
        await stream.close()
        return len(stream.late)

    return list(await asyncio.gather(*map(run, streams)))


def test_each_stream_gets_its_final_from_the_sink() -> None:
    loop = Loop()
    with sink() as url:
        assert loop.run(late(own_streams(url, 3, loop))) == [2] * 3
        assert asyncio.run(late(bare_streams(url, 3))) == [2] * 3
    loop.stop()
