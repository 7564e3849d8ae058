"""The capacity of a fake server with 12 places, found in each of its modes.

``python -m benchmarks.fake_capacity [MODE ...]`` searches with real sockets and prints
what each search found: the interval, the limit that was missed, and what the server
does beyond its capacity. A mode takes two to six minutes. The exit status is 1 if 12 is
outside an interval or a behaviour has the wrong name.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytest_realtime_asr import corpus
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.load.behaviour import Behaviour
from pytest_realtime_asr.load.capacity import Capacity
from pytest_realtime_asr.load.work import unequal_work
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.budgets import Budget, Limit, Stat, WerThreshold

PLACES = 12
CLIPS = (
    "nearest-station",
    "order-coffee",
    "light-off",
    "digits-seven",
    "digits-room",
)
HOLD, CONFIRM, MOST_TIME = "10s", "40s", "15min"
CHUNK = 0.1  # s
# The fake server answers 250 ms after the commit. With one stream more than it has
# places, a session waits for about a twelfth of a clip of 2.4 s, so 200 ms on average.
# The median is limited, since a busy machine delays a few finals by as much.
ON_TIME = Budget("final_from_commit", (Limit(Stat.P50, 350.0),))
ANSWERED = Budget("final_from_commit", (Limit(Stat.P95, 2000.0),))
RIGHT = WerThreshold(0.1)  # one word in three is lost beyond the capacity


@dataclass(frozen=True, slots=True)
class Mode:
    """What is expected of a mode, and by which limits it is searched.

    ``behaviours`` are the names that what the server does may have; empty if latency
    and text do not show it, so that only the work of the levels differs.
    """

    name: str
    behaviours: frozenset[Behaviour]
    budgets: tuple[Budget, ...] = (ON_TIME,)
    thresholds: tuple[WerThreshold, ...] = ()
    between: tuple[int, int] = (6, 24)


MODES: Mapping[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode("queue", frozenset({Behaviour.QUEUES})),
        Mode("slow", frozenset({Behaviour.SLOWS})),
        Mode("refuse", frozenset({Behaviour.REFUSES}), (ANSWERED,)),
        Mode("die", frozenset({Behaviour.DIES}), (ANSWERED,)),
        Mode("text", frozenset({Behaviour.LOSES_TEXT}), (), (RIGHT,)),
        Mode("less", frozenset(), between=(6, 16)),
    )
}


@dataclass(slots=True)
class Restarting:
    """A fake server on a fixed port that is started again whenever it has ended."""

    arguments: Sequence[str]
    port: int
    starts: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start the server, and start it again, until `stop`."""
        command = ["-m", "pytest_realtime_asr", "fake", "--port", str(self.port)]
        while not self._stopped.is_set():
            self._process = subprocess.Popen(
                [sys.executable, *command, "--lifeline", *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
            self.starts += 1
            self._process.wait()

    def stop(self) -> None:
        """End the server."""
        self._stopped.set()
        if self._process is not None:
            self._process.kill()


@contextmanager
def serving(mode: str) -> Iterator[str]:
    """Run a fake server of a mode; yields its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = ["--corpus", "bundled:english", "--capacity", str(PLACES)]
    server = Restarting([*given, "--capacity-mode", mode], port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        thread.join(10)


def search(mode: Mode) -> Capacity:
    """Return the capacity that a search finds in a mode."""
    given = {"pace": "1", "warmup": "0", "wait": "60s", "recover": "30s"}
    config = settings(
        lambda option: given.get(option.name.replace("-", "_")),
        lambda option: None,
        {},
    ).run
    english = corpus.load("bundled:english")
    clips = Corpus("short", tuple(english[name] for name in CLIPS))
    run = Run(config, lambda: clips, shared=None)
    try:
        with serving(mode.name) as url:
            terms = Terms("vllm", "", 1.0, CHUNK, mode.budgets, mode.thresholds)
            run.begin(mode.name)
            plan = run.servers.plan(url, terms, {})
            return Realtime(run, plan, terms).capacity(
                clips,
                between=mode.between,
                hold=HOLD,
                confirm=CONFIRM,
                max_time=MOST_TIME,
                varied=False,  # what is repeated costs the fake server little
            )
    finally:
        run.stop()


def report(mode: Mode, found: Capacity) -> Iterator[str]:
    """Yield the lines that say what a search found."""
    low, high = found.interval
    binding = "none" if found.binding is None else found.binding.name
    verdict = found.verdict.value
    yield (
        f"{mode.name}: {found.streams} streams ({low} to {high}), {verdict}, "
        f"limited by {found.limited_by}, binding {binding}, edge {found.edge}, "
        f"{found.seconds:.0f} s"
    )
    for each in found.levels:
        limit, level = each.decision.binding, each.level
        shown = ""
        if limit is not None:
            shown = f"{limit.observed:.6g} of {limit.limit:g} ({limit.over}/{limit.n})"
        late = 0.0 if level is None else level.client_late
        yield (
            f"  {each.step.value:8}{each.streams:4} {each.decision.verdict.value:13} "
            f"proves {each.decision.proof.value:8} {shown}, client late {late:.0f} ms"
            f" {each.decision.reason}"
        )
    yield f"  beyond: {found.beyond}"
    if found.ended:
        yield f"  ended: {found.ended}"


def wrong(mode: Mode, found: Capacity) -> str:
    """Return what a search found wrongly; "" if all is right."""
    if not mode.behaviours:
        levels = [each.level for each in found.levels if each.level is not None]
        few = min(levels, key=lambda level: level.streams)
        many = max(levels, key=lambda level: level.streams)
        unequal = unequal_work(few, many)
        return "" if unequal is not None else "the work of the levels is equal"
    low, high = found.interval
    if not low <= PLACES or (high is not None and high <= PLACES) or not low:
        return f"{PLACES} is not within {low} to {high}"
    seen = frozenset() if found.beyond is None else set(found.beyond.behaviours)
    if not seen & mode.behaviours:
        return f"the behaviour is {', '.join(seen) or 'not seen'}"
    return ""


def main() -> int:
    """Search in each mode, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fake_capacity",
        description="find the capacity of a fake server in each of its modes",
    )
    parser.add_argument("modes", nargs="*", choices=[[], *MODES], metavar="MODE")
    modes = parser.parse_args().modes or list(MODES)
    failed = False
    for name in modes:
        began = time.monotonic()
        found = search(MODES[name])
        for line in report(MODES[name], found):
            print(line, flush=True)
        fault = wrong(MODES[name], found)
        failed |= bool(fault)
        load = os.getloadavg()[0]
        print(
            f"  {fault or 'right'}; {time.monotonic() - began:.0f} s, load average "
            f"{load:.1f}",
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
