"""How far the instrument is off, on this machine and now.

The fake server speaks after delays that are known, in a process of its own. What a
perfect instrument would have seen of a session follows from them and from the audio's
schedule; every latency is computed twice, from what was seen and from what should have
been seen, and the difference is the instrument's own error. What the machine does
beside it is part of that: it is the error of a machine at a time, not of a program.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live, Plan
from pytest_realtime_asr.client.target import parse
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.corpus import Utterance, load
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.metrics import CATALOGUE, ONCE, Group, Unit, measure
from pytest_realtime_asr.run.utterances import run_utterance
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.trace.timeline import Event, Final, Partial, Timeline

SESSIONS = 24
AT_ONCE = 8
WORD_DELAY = 300  # ms after the audio of its end at which the fake says a word
FINAL_DELAY = 250  # ms after the commit at which it says the final
_TAIL = 0.95
_NS_PER_MS = 1_000_000
# Those whose zero is in the audio; the fake has no known delay in the others.
_LATENCIES = [
    name
    for name, metric in CATALOGUE.items()
    if metric.unit is Unit.MS
    and metric.group is not Group.CLIENT
    and name not in {*ONCE, "send_blocked"}
]
_MODEL = "scripted"
_CORPUS = "bundled:english"


@dataclass(frozen=True, slots=True)
class Error:
    """What was measured less what should have been, in ms, over ``n`` sessions.

    ``bias`` is the median, ``spread`` the 95th percentile of the distance from it.
    """

    n: int
    bias: float
    spread: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The instrument's error by metric, and where and when it was found."""

    made: datetime
    machine: str
    errors: Mapping[str, Error]

    @property
    def worst(self) -> str:
        """The metric that is furthest off."""
        return max(
            self.errors,
            key=lambda name: abs(self.errors[name].bias) + self.errors[name].spread,
        )

    def __str__(self) -> str:
        error = self.errors[self.worst]
        return (
            f"calibrated {self.made:%Y-%m-%d %H:%M} UTC: the worst, {self.worst}, is "
            f"off by {error.bias:+.1f} ms, 95 % within {error.spread:.1f} ms of it"
        )

    @property
    def lines(self) -> list[str]:
        """The table, to be read."""
        head = f"{'':32}{'n':>4} {'bias':>8} {'spread':>8}"
        return [
            f"the instrument's own error on {self.machine}, in ms",
            head,
            *(
                f"{name:32}{it.n:4} {it.bias:+8.2f} {it.spread:8.2f}"
                for name, it in self.errors.items()
            ),
            "bias: the median of measured - known; spread: 95 % are so near to it",
        ]

    def dumps(self) -> str:
        """The calibration as JSON."""
        return msgspec.json.encode(self).decode()


def loads(text: str) -> Calibration:
    """Read what `Calibration.dumps` wrote. Raises ValueError."""
    try:
        return msgspec.json.decode(text, type=Calibration)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a calibration: {error}") from error


def run(dialect: str, *, tell: Callable[[str], None]) -> Calibration:
    """Calibrate with an event loop of its own, as `calibrate`.

    Raises LookupError for an unknown dialect, and RuntimeError.
    """
    loaded = dialects.load(dialect)
    loop = Loop()
    try:
        return calibrate(loop, loaded, tell=tell)
    finally:
        loop.stop()


def calibrate(
    loop: Loop,
    dialect: Dialect,
    *,
    sessions: int = SESSIONS,
    tell: Callable[[str], None] = lambda text: None,
) -> Calibration:
    """Measure the fake on this machine; takes about a quarter of a minute.

    ``tell`` is told how far it is. Raises RuntimeError where the fake does not answer.
    """
    held = converse(loop, dialect, _CORPUS, sessions=sessions, tell=tell)
    return Calibration(
        made=datetime.now(UTC),
        machine=f"{platform.node()}, {platform.machine()}",
        errors=errors(held),
    )


def converse(
    loop: Loop,
    dialect: Dialect,
    corpus: str,
    *,
    sessions: int,
    tell: Callable[[str], None] = lambda text: None,
) -> list[tuple[Timeline, Utterance]]:
    """So many sessions with the fake, over the clips of a corpus that have words."""
    clips = [clip for clip in load(corpus) if clip.words]
    words = ("--dialect", dialect.name, "--corpus", corpus)
    delays = ("--word-delay", f"{WORD_DELAY}ms", "--final-delay", f"{FINAL_DELAY}ms")
    with FakeServer([*words, *delays]) as server:
        where = parse(server.url, path=dialect.path, query=dialect.query(_MODEL))
        access = Access(where, headers=dialect.headers(""))
        plan = Plan(dialect, access, _MODEL, {})
        spoken = [clips[n % len(clips)] for n in range(sessions)]
        return loop.run(_hold(loop, plan, spoken, tell))


def errors(held: Iterable[tuple[Timeline, Utterance]]) -> dict[str, Error]:
    """The error of each latency that has its zero in the audio, over these sessions."""
    found: dict[str, list[float]] = {}
    for timeline, utterance in held:
        seen = measure(timeline, utterance)
        known = measure(ideal(timeline, utterance), utterance)
        for name in _LATENCIES:
            value, right = seen[name], known[name]
            if value is not None and right is not None:
                found.setdefault(name, []).append(value - right)
    return {name: _error(values) for name, values in found.items()}


def ideal(timeline: Timeline, utterance: Utterance) -> Timeline:
    """What a perfect instrument would have seen of a session with the fake.

    Each word comes `WORD_DELAY` after the audio of its end was due, or with the final,
    which comes `FINAL_DELAY` after the commit was due.
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


async def _hold(
    loop: Loop,
    plan: Plan,
    spoken: Sequence[Utterance],
    tell: Callable[[str], None],
) -> list[tuple[Timeline, Utterance]]:
    """Hold the sessions, a few at a time, begun evenly over the length of a chunk."""
    free = asyncio.Semaphore(AT_ONCE)
    ended = itertools.count(1)

    async def one(number: int, utterance: Utterance) -> tuple[Timeline, Utterance]:
        async with free:
            await asyncio.sleep(number % AT_ONCE * plan.chunk / AT_ONCE)
            take = await run_utterance(Live(loop, plan, pings=True), utterance)
        await asyncio.to_thread(tell, f"{next(ended)}/{len(spoken)} sessions")
        if take.lost:
            raise RuntimeError(f"the fake server did not answer: {take.reason}")
        return take.transcription.timeline, utterance

    return await asyncio.gather(*(one(n, it) for n, it in enumerate(spoken)))


def _error(values: Sequence[float]) -> Error:
    bias = statistics.median(values)
    return Error(len(values), bias, quantile((abs(v - bias) for v in values), _TAIL))
