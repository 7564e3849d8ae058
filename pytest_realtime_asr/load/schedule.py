"""A schedule says when each session of a level is due and which clip it sends.

Nothing here reads a clock or opens a session. All times are in seconds since the start
of the level. The same load has the same schedule on every machine, however many workers
share its streams.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from pytest_realtime_asr.load.variation import MOST_LEAD, Variation
from pytest_realtime_asr.load.workload import Arrivals, Load, Phase

_LEAST_PAUSE, _MOST_PAUSE = 0.5, 1.5  # of the mean pause
_DRAWN = 0.01  # the share of sessions whose trace is kept in any case


@dataclass(frozen=True, slots=True)
class Turn:
    """A session that a stream will begin.

    ``number`` is the number of the session in its stream, from 0. The session is due at
    ``due``. It sends the clip with the index ``clip``, with ``seconds`` seconds of
    audio in total. ``variation`` is ``None`` if the clip is sent unchanged. ``pause``
    is the time from the planned end of the audio to the next session of the stream.
    ``seed`` determines the jitter of the session. ``drawn`` says that the session was
    drawn at random, so that its trace is kept.
    """

    stream: int
    number: int
    due: float
    clip: int
    seconds: float
    variation: Variation | None = None
    pause: float = 0.0
    seed: int = 0
    drawn: bool = False

    @property
    def planned(self) -> float:
        """The planned end of the audio."""
        return self.due + self.seconds

    def phase(self, load: Load) -> Phase:
        """Return the part of the level to which the session belongs."""
        return load.phase(self.due, self.planned)


@dataclass(slots=True)
class Stream:
    """The sessions of one stream of a closed load, one after the other.

    ``lengths`` are the lengths of the clips in s, and ``chunk`` is the length of a
    frame of audio in s. The streams begin one after the other in the ramp. Each start
    is delayed by a random part of a chunk, so that the streams do not all send their
    frames at the same instants. Each stream sends all clips in a random order before it
    repeats a clip.
    """

    load: Load
    number: int
    lengths: Sequence[float]
    chunk: float
    _turns: Iterator[Turn] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._turns = _turns(self.load, self.number, self.lengths)

    @property
    def start(self) -> float:
        """The time at which the first session of the stream is due."""
        load = self.load
        phase = _source(load, self.number, "phase").uniform(0, self.chunk)
        return load.ramp * self.number / load.streams + phase

    def next(self, earliest: float) -> Turn | None:
        """Return the next session, due at ``earliest``.

        Return ``None`` if ``earliest`` is not before the end of the steady part.
        """
        if earliest >= self.load.planned:
            return None
        return replace(next(self._turns), due=earliest)

    @staticmethod
    def after(turn: Turn, ended: float) -> float:
        """Return the earliest time at which the session after ``turn`` may begin.

        The session of ``turn`` ended at ``ended``. The pause counts from the planned
        end of the audio, so that the talk share of the stream is the same whether the
        server answers in 50 ms or in 500 ms.
        """
        return max(ended, turn.planned + turn.pause)


def arrivals(load: Load, lengths: Sequence[float]) -> Iterator[Turn]:
    """Yield the sessions of an open load in the order in which they are due.

    In the ramp, the rate grows in proportion to the time. The n-th session, counted
    from 0, belongs to the stream n modulo the number of streams.
    """
    assert load.arrivals is not None
    gaps = _source(load, 0, "arrivals")
    streams = [_turns(load, stream, lengths) for stream in range(load.streams)]
    expected = gaps.random() if load.arrivals is Arrivals.CONSTANT else 0.0
    for number in count():
        if load.arrivals is Arrivals.POISSON:
            expected += gaps.expovariate(1.0)
        due = _reached(load, expected)
        if due >= load.planned:
            return
        yield replace(next(streams[number % load.streams]), due=due)
        if load.arrivals is Arrivals.CONSTANT:
            expected += 1.0


def most_audio(load: Load, lengths: Sequence[float]) -> float:
    """Return how many seconds of audio a level sends if its server has no delay."""
    return sum(turn.seconds for turn in _most_turns(load, lengths))


def possible_clips(load: Load, lengths: Sequence[float]) -> tuple[int, ...]:
    """Return the indices of the clips that a level can send, in ascending order.

    A server that is slow gets only some of them. There is at least one index.
    """
    found: set[int] = set()
    for turn in _most_turns(load, lengths):
        found.add(turn.clip)
        if len(found) == len(lengths):
            break
    return tuple(sorted(found or {0}))


def _most_turns(load: Load, lengths: Sequence[float]) -> Iterator[Turn]:
    """Yield the sessions of a level whose server has no delay."""
    if load.arrivals is not None:
        yield from arrivals(load, lengths)
        return
    for number in range(load.streams):
        yield from _unhindered(Stream(load, number, lengths, 0.0))


def _unhindered(stream: Stream) -> Iterator[Turn]:
    """Yield the sessions of a stream as if each session ended when its audio ends."""
    turn = stream.next(stream.start)
    while turn is not None:
        yield turn
        turn = stream.next(stream.after(turn, turn.planned))


def _reached(load: Load, expected: float) -> float:
    """Return the time by which, on average, ``expected`` sessions have arrived."""
    in_ramp = load.rate * load.ramp / 2
    if expected < in_ramp:
        return math.sqrt(2 * load.ramp * expected / load.rate)
    return load.ramp + (expected - in_ramp) / load.rate


def _turns(load: Load, stream: int, lengths: Sequence[float]) -> Iterator[Turn]:
    """Yield sessions of a stream endlessly; the caller must set ``due``."""
    order = _source(load, stream, "order")
    others = _source(load, stream, "sessions")
    mean = (1 - load.talk) / load.talk
    clips: list[int] = []
    for number in count():
        clips = clips or order.sample(range(len(lengths)), len(lengths))
        clip = clips.pop()
        seed = others.getrandbits(32)
        lead = others.randrange(MOST_LEAD + 1)
        pause = others.uniform(_LEAST_PAUSE, _MOST_PAUSE) * mean
        drawn = others.random() < _DRAWN
        variation = Variation(lead, seed) if load.varied else None
        seconds = lengths[clip] + (lead / 1000 if load.varied else 0.0)
        yield Turn(
            stream=stream,
            number=number,
            due=0.0,
            clip=clip,
            seconds=seconds,
            variation=variation,
            pause=pause * seconds,
            seed=seed,
            drawn=drawn,
        )


def _source(load: Load, stream: int, what: str) -> random.Random:
    """Return a random generator for the purpose ``what`` in one stream."""
    return random.Random(f"{load.seed} {stream} {what}")
