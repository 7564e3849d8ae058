"""How late, how busy and how large a process is that holds paced streams.

``python -m benchmarks.streams own|bare URL [fast]`` reads a number of streams and a
number of seconds from each line of its input, and answers with the level as JSON. It is
a process of its own, so that CPU time and memory are those of the streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from benchmarks.clients import CHUNK, Stream, bare_streams, own_streams
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.garbage_collection import quiet_gc
from pytest_realtime_asr.client.loop import Loop

Kind = Literal["own", "bare"]
AT_ONCE = 16  # connects
LEAD = 0.2  # s until the streams begin


@dataclass(frozen=True)
class Level:
    """What a number of streams costs.

    ``late_p50`` and ``late_p99`` are how late frames were sent, in ms, without the
    first and the last frame of each stream: the others were sent while all streams ran.
    ``cpu`` is in percent of a core for each stream, up to its final; ``memory`` is in
    KiB for each stream, at the end of the audio.
    """

    streams: int
    late_p50: float
    late_p99: float
    cpu: float
    memory: float


def _memory() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def hold(streams: Sequence[Stream], seconds: float) -> Level:
    """Run all streams at a time, each at a random phase, for ``seconds`` s."""
    phases = random.Random(len(streams))
    slots = asyncio.Semaphore(AT_ONCE)
    audio = silence(seconds, rate=16_000)
    gc.collect()
    before = _memory()

    async def opened(stream: Stream) -> None:
        async with slots:
            await stream.open()

    async def begun(stream: Stream) -> None:
        await asyncio.sleep(LEAD + phases.random() * CHUNK)
        await stream.speak(audio)

    async def memory() -> int:
        await asyncio.sleep(LEAD + seconds - CHUNK)
        return _memory()

    await asyncio.gather(*map(opened, streams))
    gc.collect()  # what the connects have left
    with quiet_gc():
        spent = time.process_time()
        measuring = asyncio.create_task(memory())
        await asyncio.gather(*map(begun, streams))
        spent = time.process_time() - spent
        after = await measuring
    await asyncio.gather(*(stream.close() for stream in streams))
    late = sorted(ns for stream in streams for ns in list(stream.late)[1:-1])
    return Level(
        streams=len(streams),
        late_p50=late[len(late) // 2] / 1e6,
        late_p99=late[len(late) * 99 // 100] / 1e6,
        cpu=100 * spent / seconds / len(streams),
        memory=(after - before) / 1024 / len(streams),
    )


class Client:
    """A process that holds the streams which it is asked for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def level(self, streams: int, seconds: float) -> Level:
        """Hold ``streams`` streams for ``seconds`` s."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{streams} {seconds}\n")
        self._process.stdin.flush()
        return Level(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def client(kind: Kind, url: str, *, fast: bool) -> Iterator[Client]:
    """Start a process that holds streams with a server."""
    command = [sys.executable, "-m", "benchmarks.streams", kind, url]
    with subprocess.Popen(
        command + ["fast"] * fast,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Client(process)
        process.communicate()


def main() -> None:
    """Answer each line of the input."""
    kind, url, *fast = sys.argv[1:]
    with contextlib.ExitStack() as stack:
        holds = (_own if kind == "own" else _bare)(url, bool(fast), stack)
        holds(2, 0.3)  # what is done once must not count
        for line in sys.stdin:
            streams, seconds = line.split()
            level = holds(int(streams), float(seconds))
            print(json.dumps(asdict(level)), flush=True)


Holds = Callable[[int, float], Level]


def _own(url: str, fast: bool, stack: contextlib.ExitStack) -> Holds:
    loop = Loop(fast=fast)
    stack.callback(loop.stop)
    return lambda count, seconds: loop.run(hold(own_streams(url, count, loop), seconds))


def _bare(url: str, fast: bool, stack: contextlib.ExitStack) -> Holds:
    factory = None
    if fast:
        import uvloop

        factory = uvloop.new_event_loop
    runner = stack.enter_context(asyncio.Runner(loop_factory=factory))
    return lambda count, seconds: runner.run(hold(bare_streams(url, count), seconds))


if __name__ == "__main__":
    main()
