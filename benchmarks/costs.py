"""Costs, each beside those of the plain way to do it: ``python benchmarks/costs.py``.

On a shared machine figures vary; the ratio of two that are measured in turns varies
much less. Each row is the median of several rounds, in which both sides take turns.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from websockets.asyncio.client import connect as plain_connect

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio, silence
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.target import parse
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.corpus import load
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.metrics.pacing import client_state

ROUNDS = 7
DIALECT = dialects.load("vllm")


def main() -> None:
    """Print the table."""
    print(f"{'':44}{'plugin':>10}{'plain':>10}{'ratio':>8}")
    row("a frame of 100 ms (us)", *frames())
    row("pytest with the plugin, unused: CPU (ms)", *start_up())
    with FakeServer(["--recogniser", "scripted"]) as server:
        row("a session of 2 s, unpaced: CPU (ms)", *sessions(server.url))
        scheduling_delays(server.url)


def row(name: str, ours: list[float], plain: list[float]) -> None:
    """Print both medians, and the median of the ratios of the rounds."""
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    left, right = statistics.median(ours), statistics.median(plain)
    print(f"{name:44}{left:10.2f}{right:10.2f}{ratio:8.2f}")


def turns(
    ours: Callable[[], float], plain: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure both sides in turns."""
    rounds = [(ours(), plain()) for _ in range(ROUNDS)]
    return [a for a, _ in rounds], [b for _, b in rounds]


def frames() -> tuple[list[float], list[float]]:
    """Build an append frame: by the template of a dialect, and by a JSON encoder."""
    pcm = os.urandom(3200)

    def encoded(pcm: bytes) -> bytes:
        audio = base64.b64encode(pcm).decode()
        event = {"type": "input_audio_buffer.append", "audio": audio}
        return json.dumps(event).encode()

    def each(build: Callable[[bytes], bytes]) -> float:
        begun = time.process_time()
        for _ in range(5000):
            build(pcm)
        return (time.process_time() - begun) / 5000 * 1e6

    return turns(lambda: each(DIALECT.caller("m", {}).append), lambda: each(encoded))


def start_up() -> tuple[list[float], list[float]]:
    """Run an empty test file with the plugin loaded but unused, and without it."""

    def run(*options: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options, "--co", os.devnull],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return used * 1e3

    return turns(lambda: run("-p", "pytest_realtime_asr.plugin"), run)


def sessions(url: str) -> tuple[list[float], list[float]]:
    """Run a recorded session, and send the same frames by websockets alone."""
    clip = load("bundled:english")["turn-right"]
    access = Access(parse(url, path=DIALECT.path))
    plan = Plan(DIALECT, access, "scripted", {}, pace=0.0)
    loop = Loop()

    async def bare(audio: Audio) -> None:
        path = access.target.websocket
        async with plain_connect(path, compression=None, proxy=None) as socket:
            await socket.recv()
            update = {"type": "session.update", "model": "scripted"}
            await socket.send(json.dumps(update))
            await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            for pcm in audio.chunks(0.1):
                text = base64.b64encode(pcm).decode()
                event = {"type": "input_audio_buffer.append", "audio": text}
                await socket.send(json.dumps(event))
            last = {"type": "input_audio_buffer.commit", "final": True}
            await socket.send(json.dumps(last))
            while json.loads(await socket.recv())["type"] != "transcription.done":
                pass

    def spent(work: Callable[[], object]) -> float:
        begun = time.process_time()
        for _ in range(5):
            work()
        return (time.process_time() - begun) / 5 * 1e3

    audio = clip.audio.resample(DIALECT.rate)
    try:
        return turns(
            lambda: spent(lambda: loop.run(run_utterance(Live(loop, plan), clip))),
            lambda: spent(lambda: asyncio.run(bare(audio))),
        )
    finally:
        loop.stop()


def scheduling_delays(url: str) -> None:
    """Print the scheduling delay with concurrent sessions, and the CPU they take."""
    access = Access(parse(url, path=DIALECT.path))
    plan = Plan(DIALECT, access, "scripted", {})
    quiet = silence(3.0)
    print(f"\n{'paced sessions at a time':44}{'late p99':>10}{'CPU':>10}")
    for count in (1, 10, 50):
        loop = Loop()

        async def one(loop: Loop, begin: float) -> Live:
            await asyncio.sleep(begin)
            live = Live(loop, plan)
            await live.open()
            await live.configure()
            await live.transcribe(quiet, "quiet")
            await live.close()
            return live

        async def all_of(count: int, loop: Loop) -> list[Live]:
            begins = (index * plan.chunk / count for index in range(count))
            return await asyncio.gather(*(one(loop, begin) for begin in begins))

        before, begun = time.process_time(), time.monotonic()
        lives = loop.run(all_of(count, loop))
        cpu = (time.process_time() - before) / (time.monotonic() - begun)
        late = sorted(client_state(live.timeline).send for live in lives)
        print(f"{count:<44}{late[-1]:7.2f} ms{cpu:9.1%}")
        loop.stop()


if __name__ == "__main__":
    main()
