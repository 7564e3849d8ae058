"""Measures the client's own error in each latency, on this machine at this time.

The fake server runs in a separate process and answers after known delays. The times
that an ideal client would have measured follow from these delays and from the audio's
schedule. Every latency is computed twice, from the measured and from the ideal times.
The difference is the client's own error. The load of the machine is part of the error,
so the error is valid only for one machine at one time.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.target import parse
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.corpus import Utterance, load
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.metrics import CATALOGUE, ONCE, Group, measure
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.trace.timeline import Event, Final, Partial, Timeline

SESSIONS = 24
CONCURRENCY = 8
WORD_DELAY = 300  # ms from the end of a word in the audio until the fake sends it
FINAL_DELAY = 250  # ms from the commit until the fake sends the final
_TAIL = 0.95
_NS_PER_MS = 1_000_000
# Latencies from an instant in the audio; other delays of the fake are not known.
_LATENCIES = [
    name
    for name, metric in CATALOGUE.items()
    if metric.paced
    and metric.group is not Group.CLIENT
    and name not in {*ONCE, "send_blocked"}
]
_MODEL = "scripted"
_CORPUS = "bundled:english"


@dataclass(frozen=True, slots=True)
class Error:
    """The client's error in a latency: the measured minus the ideal value, in ms.

    ``n`` is the number of sessions. ``bias`` is the median of the errors. ``spread`` is
    the 95th percentile of the distances of the errors from ``bias``.
    """

    n: int
    bias: float
    spread: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The client's own errors by metric, measured on one ``machine``.

    ``made`` is the time of the measurement.
    """

    made: datetime
    machine: str
    errors: Mapping[str, Error]

    @property
    def worst(self) -> str:
        """The metric with the largest sum of absolute bias and spread."""
        return max(
            self.errors,
            key=lambda name: abs(self.errors[name].bias) + self.errors[name].spread,
        )


def run(dialect: str, *, progress: Callable[[str], None]) -> Calibration:
    """Run `calibrate` on a new event loop and return its result.

    Raises LookupError for an unknown dialect, and RuntimeError if the fake server does
    not answer.
    """
    loaded = dialects.load(dialect)
    loop = Loop()
    try:
        return calibrate(loop, loaded, progress=progress)
    finally:
        loop.stop()


def calibrate(
    loop: Loop,
    dialect: Dialect,
    *,
    sessions: int = SESSIONS,
    progress: Callable[[str], None] = lambda text: None,
) -> Calibration:
    """Use a fake server to measure the client's own error; this takes about 15 s.

    ``progress`` is called with the number of sessions that have ended. Raises
    RuntimeError if the fake server does not answer.
    """
    measured = converse(loop, dialect, _CORPUS, sessions=sessions, progress=progress)
    return Calibration(
        made=datetime.now(UTC),
        machine=f"{platform.node()}, {platform.machine()}",
        errors=errors(measured),
    )


def converse(
    loop: Loop,
    dialect: Dialect,
    corpus: str,
    *,
    sessions: int,
    progress: Callable[[str], None] = lambda text: None,
) -> list[tuple[Timeline, Utterance]]:
    """Run sessions with a fake server and return each timeline with its utterance.

    Only clips that state the times of their words are sent.
    """
    clips = [clip for clip in load(corpus) if clip.words]
    words = ("--dialect", dialect.name, "--corpus", corpus)
    delays = ("--word-delay", f"{WORD_DELAY}ms", "--final-delay", f"{FINAL_DELAY}ms")
    with FakeServer([*words, *delays]) as server:
        where = parse(server.url, path=dialect.path)
        access = Access(where, headers=dialect.headers(""))
        plan = Plan(dialect, access, _MODEL, {})
        sent = [clips[n % len(clips)] for n in range(sessions)]
        return loop.run(_run_sessions(loop, plan, sent, progress))


def errors(sessions: Iterable[tuple[Timeline, Utterance]]) -> dict[str, Error]:
    """Return the client's own error in each latency, by the name of the latency.

    A latency is left out if no session has both a measured and an ideal value of it.
    """
    found: dict[str, list[float]] = {}
    for timeline, utterance in sessions:
        measured = measure(timeline, utterance)
        expected = measure(ideal(timeline, utterance), utterance)
        for name in _LATENCIES:
            value, right = measured[name], expected[name]
            if value is not None and right is not None:
                found.setdefault(name, []).append(value - right)
    return {name: _error(values) for name, values in found.items()}


def ideal(timeline: Timeline, utterance: Utterance) -> Timeline:
    """Return the timeline that an ideal client would have recorded.

    The final comes `FINAL_DELAY` after the commit was due. Each word comes `WORD_DELAY`
    after the due time of the audio in which the word ends, but never after the final.
    """
    commit = timeline.commit
    assert commit is not None
    final = commit.due + FINAL_DELAY * _NS_PER_MS
    spoken = iter(utterance.words)

    def moved(event: Event) -> Event:
        if isinstance(event, Final):
            return replace(event, at=final)
        if not isinstance(event, Partial):
            return event
        word = next(spoken, None)
        due = None if word is None else timeline.due(word.end)
        if due is None:
            return replace(event, at=final)
        return replace(event, at=min(due + WORD_DELAY * _NS_PER_MS, final))

    return replace(timeline, events=tuple(map(moved, timeline.events)))


async def _run_sessions(
    loop: Loop,
    plan: Plan,
    utterances: Sequence[Utterance],
    progress: Callable[[str], None],
) -> list[tuple[Timeline, Utterance]]:
    """Run a session for each utterance, `CONCURRENCY` sessions at a time.

    The starts are spread evenly over the length of a chunk. Raises RuntimeError if a
    session is lost.
    """
    free = asyncio.Semaphore(CONCURRENCY)
    ended = itertools.count(1)

    async def one(number: int, utterance: Utterance) -> tuple[Timeline, Utterance]:
        async with free:
            await asyncio.sleep(number % CONCURRENCY * plan.chunk / CONCURRENCY)
            take = await run_utterance(Live(loop, plan, pings=True), utterance)
        await asyncio.to_thread(progress, f"{next(ended)}/{len(utterances)} sessions")
        if take.lost:
            raise RuntimeError(f"the fake server did not answer: {take.reason}")
        return take.timeline, utterance

    return await asyncio.gather(*(one(n, it) for n, it in enumerate(utterances)))


def _error(values: Sequence[float]) -> Error:
    bias = statistics.median(values)
    return Error(len(values), bias, quantile((abs(v - bias) for v in values), _TAIL))
