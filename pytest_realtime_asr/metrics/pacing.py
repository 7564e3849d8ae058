"""How punctually the audio was handed over: the instrument's part and the server's.

Our own lateness can make a number invalid; the time for which the socket would not
take a frame is the server's and never can. The two are kept apart by a perfect
sender: one that wakes when a frame is due, or when the frame before it was taken, and
is held up by the socket for exactly as long as ours was. What ours came later than
that one is ours. So neither a frame that waits behind a blocked one is charged to us,
nor is a delay of ours forgotten while the backlog behind it is worked off.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_realtime_asr.metrics.latency import Spoken
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.trace.timeline import Commit, Final, Heard, Timeline

_NS_PER_MS = 1_000_000
_HALF, _TAIL = 0.5, 0.99
_MOST_CPU = 2 / 3  # of a core; beyond it, being late feeds on itself


@dataclass(frozen=True, slots=True)
class Counts:
    """What went over the wire, and what the server says it counted (``None``: nothing).

    ``samples`` and ``seconds`` are of audio, ``bytes`` of PCM.
    """

    samples: int
    seconds: float
    bytes: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


@dataclass(frozen=True, slots=True)
class Instrument:
    """What the instrument knows of its own state in one session.

    ``send`` and ``loop`` are the p99 of what frames and clock ticks came late, and
    ``pause`` is the longest pause of the garbage collector, in ms; ``cpu`` is the share
    of a core that the loop used. What is not known is 0.
    """

    send: float = 0.0
    loop: float = 0.0
    pause: float = 0.0
    cpu: float = 0.0

    @property
    def overloaded(self) -> bool:
        """Whether the loop used so much of a core that no time of it is sound."""
        return self.cpu > _MOST_CPU

    def disturbed(self, bound: float) -> bool:
        """Whether it was overloaded, or later than ``bound`` ms."""
        return self.overloaded or max(self.send, self.loop) > bound

    def __str__(self) -> str:
        return (
            f"send lateness p99 {self.send:.1f} ms, loop lag p99 {self.loop:.1f} ms, "
            f"collector pause {self.pause:.1f} ms, own CPU {self.cpu:.0%} of a core"
        )


def instrument(timeline: Timeline) -> Instrument:
    """The state of the instrument in this session."""
    return Instrument(
        send=sender_lateness(timeline) or 0.0,
        loop=loop_lag(timeline) or 0.0,
        pause=gc_pause(timeline) or 0.0,
        cpu=own_cpu(timeline) or 0.0,
    )


def counts(timeline: Timeline) -> Counts:
    """Audio that was handed over and tokens that were counted, over all items."""
    heard = timeline.heard
    last = {frame.item: frame.samples for frame in heard}
    samples = sum(last.values())
    finals = [event for event in timeline.events if isinstance(event, Final)]
    usages = [final.usage for final in finals if final.usage is not None]
    return Counts(
        samples=samples,
        seconds=samples / timeline.rate,
        bytes=sum(frame.size for frame in heard),
        prompt_tokens=_sum([usage.prompt for usage in usages]),
        completion_tokens=_sum([usage.completion for usage in usages]),
        total_tokens=_sum([usage.total for usage in usages]),
    )


def lateness(timeline: Timeline) -> float | None:
    """The most by which our own lateness can have enlarged a latency, in milliseconds.

    The largest lateness of a frame of ours (audio or commit), by which the server may
    have heard it later, plus that of a clock tick, by which we may have stamped the
    answer later. This is what decides whether a latency that is over its limit can be
    held against the server; `None` where nothing was sent and no tick was due.
    """
    own = [own for _, own in _own(timeline)]
    if not own and not timeline.lag.ticks:
        return None
    late = max(own, default=0) + max(timeline.lag.late, default=0)
    return late / _NS_PER_MS


def sender_lateness(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How late we came to send audio, in 99 of 100 frames.

    Formula: p99 (nearest rank) over audio frames of woke - due, less what waiting for
        the socket to take the frames before it had cost
    Unit: ms
    Zero: the instant at which a frame was due
    Needs: audio
    Better: down
    Source: wrk2's rule to count from the planned time, turned on ourselves: pacing by
        sleep(chunk) was measured 160 ms late after 10 s of 20 ms chunks, pacing by an
        absolute schedule about 1 ms
    """
    own = _audio_lateness(timeline)
    return quantile(own, _TAIL) / _NS_PER_MS if own else None


def sender_lateness_max(
    timeline: Timeline, spoken: Spoken | None = None
) -> float | None:
    """How late we came to send audio, in the worst frame.

    Formula: maximum over audio frames of woke - due, less what waiting for the socket
        to take the frames before it had cost
    Unit: ms
    Zero: the instant at which a frame was due
    Needs: audio
    Better: down
    Source: as sender_lateness; one long pause of ours is one frame, and p99 hides it
    """
    own = _audio_lateness(timeline)
    return max(own) / _NS_PER_MS if own else None


def send_blocked(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """The longest time for which the socket would not take an audio frame.

    It counts against the server: it, or the path to it, did not read.

    Formula: maximum over audio frames of sent - woke
    Unit: ms
    Zero: the instant at which we came to send the frame
    Needs: audio
    Better: down
    Source: the second schedule of a stream, that of its chunks: back-pressure makes
        sends slip, and a latency counted from the actual send shrinks with it
    """
    heard = timeline.heard
    if not heard:
        return None
    return max(frame.sent - frame.woke for frame in heard) / _NS_PER_MS


def loop_lag(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How late the recorder's clock ticks came, in 99 of 100 ticks of the session.

    Ticks up to 1 ms late count as punctual.

    Formula: p99 (nearest rank) over ticks of came - due
    Unit: ms
    Zero: the instant at which a tick was due
    Needs: a recorder that ticked
    Better: down
    Source: the probe of an event loop: schedule a tick, measure how far it overshoots
    """
    late = timeline.lag.late
    punctual = max(timeline.lag.ticks - len(late), 0)
    if not (late or punctual):
        return None
    return quantile((*late, *(0,) * punctual), _TAIL) / _NS_PER_MS


def gc_pause(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How long the garbage collector of the recorder's process held it up at most.

    Formula: maximum over collections of ended - begun
    Unit: ms
    Zero: the begin of a collection
    Needs: a recorder that ticked
    Better: down
    Source: what Python calls before and after each collection, which holds up every
        thread of the process
    """
    return timeline.lag.paused / _NS_PER_MS if timeline.lag.ticks else None


def own_cpu(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """Which share of a core the recorder's loop used.

    Formula: CPU time of the loop's thread / time
    Unit: ratio
    Zero: a loop that does nothing
    Needs: a recorder that ticked for two looks at its CPU time
    Better: down
    Source: sweeps over the number of paced streams: from about two thirds of a core
        on, the same load was punctual in one run and 100 ms late in the next
    """
    return timeline.lag.load or None  # who looked has used some


def path_round_trip(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How long a ping took to the server and back, in half of the session's pings.

    It is never taken off a latency. One ping is under way at a time, so that a server
    that is busy for long has few of them.

    Formula: p50 (nearest rank) over pings of answered - sent
    Unit: ms
    Zero: the instant at which a ping was sent
    Needs: a server that answers pings
    Better: down
    Source: RFC 6455, section 5.5.2: a ping is answered as soon as is practical
    """
    trips = [
        ping.answered - ping.sent
        for ping in timeline.pings
        if ping.answered is not None
    ]
    return quantile(trips, _HALF) / _NS_PER_MS if trips else None


def pacing_error(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How much slower (above zero) or faster than real time the audio was handed over.

    Formula: (woke of the last audio frame - woke of the first) / audio between their
        ends - 1
    Unit: ratio
    Zero: real time
    Needs: two audio frames or more
    Better: down
    Source: validity check of paced clients; less than 0.5 % either way is sound
    """
    heard = timeline.heard
    samples = heard[-1].samples - heard[0].samples if heard else 0
    if samples <= 0:
        return None
    spent = (heard[-1].woke - heard[0].woke) / 1e9
    return spent / (samples / timeline.rate) - 1


def _audio_lateness(timeline: Timeline) -> list[int]:
    return [own for event, own in _own(timeline) if isinstance(event, Heard)]


def _own(timeline: Timeline) -> Iterator[tuple[Heard | Commit, int]]:
    """Each frame of ours with its lateness against the perfect sender, in ns."""
    taken: int | None = None  # when the perfect sender's frame before had been taken
    for event in timeline.events:
        if isinstance(event, (Heard, Commit)):  # a union is made anew for each event
            woke = event.due if taken is None or taken < event.due else taken
            taken = woke + (event.sent - event.woke)
            yield event, event.woke - woke


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
