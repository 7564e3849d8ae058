"""Metrics of the sender: the client's own scheduling delay, and back-pressure.

The client's scheduling delay can make a result INVALID. Back-pressure is the time for
which the socket did not accept a frame. It is caused by the server or the network path,
and never makes a result INVALID. A model of an ideal sender separates these two delays.
The ideal sender starts to send a frame when the frame is due or, if this is later, when
the socket has accepted the frame before. The socket blocks the ideal sender for as long
as it blocked the client. The time by which the client was later than the ideal sender
is the client's own delay. So if a frame waits only because an earlier frame is blocked,
this wait is not the client's delay. If the client itself is late, its delay counts
until it has caught up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_realtime_asr.metrics.declaration import Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.trace.records import Lag
from pytest_realtime_asr.trace.timeline import Commit, Final, Heard, Timeline

_NS_PER_MS = 1_000_000
_HALF, _TAIL = 0.5, 0.99
_MAX_CPU = 2 / 3  # share of a core; above it, the scheduling delay grows by itself
_CLIENT = "it measures the client, not the server"
_PATH = "it measures the network path, not the server"
_TICKS = "a trace with the delays of the client's clock ticks"


@dataclass(frozen=True, slots=True)
class Counts:
    """The amount of audio that was sent, and the tokens that the server reported.

    ``samples`` and ``seconds`` are the length of the audio; ``bytes`` is the size of
    its PCM data. A number of tokens is ``None`` if the server did not report this
    number.
    """

    samples: int
    seconds: float
    bytes: int
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None


@dataclass(frozen=True, slots=True)
class ClientState:
    """The delays and the load of the client itself during one session.

    ``send`` is the p99 delay of the audio frames, ``loop`` is the p99 delay of the
    clock ticks, and ``pause`` is the longest pause of the garbage collector, all in ms.
    ``cpu`` is the share of a core that the event loop used. A value that is not known
    is 0.
    """

    send: float = 0.0
    loop: float = 0.0
    pause: float = 0.0
    cpu: float = 0.0

    @property
    def overloaded(self) -> bool:
        """Return whether the event loop was too busy for its times to be trusted."""
        return self.cpu > _MAX_CPU

    def disturbed(self, bound: float) -> bool:
        """Return whether the client was overloaded, or more than ``bound`` ms late."""
        return self.overloaded or max(self.send, self.loop) > bound


def client_state(timeline: Timeline) -> ClientState:
    """Return the delays and the load of the client during a session."""
    return ClientState(
        send=_percentile(audio_delays(timeline)) or 0.0,
        loop=tick_delay(timeline.lag) or 0.0,
        pause=_gc_pause(timeline) or 0.0,
        cpu=timeline.lag.load or 0.0,
    )


def counts(timeline: Timeline) -> Counts:
    """Return the amount of audio sent and of tokens reported, summed over all items."""
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


def scheduling_delay(timeline: Timeline) -> float | None:
    """Return the largest part (ms) of a latency that the client can have caused.

    The result is the sum of two delays: the largest delay of a frame (audio or commit),
    and the largest delay of a clock tick. Because of the first, the server may have
    received the frame later. Because of the second, the client may have timestamped the
    answer later. A latency over its limit is attributed to the server only if it is
    over the limit even without this sum. Returns ``None`` if nothing was sent and no
    tick was due.
    """
    own = [delay for _, delay in _delays(timeline)]
    if not own and not timeline.lag.ticks:
        return None
    delay = max(own, default=0) + max(timeline.lag.late, default=0)
    return delay / _NS_PER_MS


@metric(group=Group.CLIENT, unit=Unit.MS, needs="audio", no_budget=_CLIENT)
def sender_lateness(item: Emissions) -> float | None:
    """Measure the p99 of the client's delay in sending an audio frame.

    Formula: p99 (nearest rank) of (start of sending - due - wait) over the audio
        frames; wait is the time for which the frame waited until the socket had
        accepted the frames before it
    Unit: ms
    Start: the instant at which a frame was due
    End: the instant at which the client began to send the frame
    Better: lower
    Source: wrk2's rule to count from the planned time, applied to the client: after
        10 s of 20 ms chunks, a client that calls sleep(chunk) was 160 ms late, and a
        client with an absolute schedule was about 1 ms late
    """
    return _percentile(audio_delays(item.timeline))


@metric(group=Group.CLIENT, unit=Unit.MS, needs="audio", no_budget=_CLIENT)
def sender_lateness_max(item: Emissions) -> float | None:
    """Measure the largest delay of the client in sending an audio frame.

    Formula: maximum of (start of sending - due - wait) over the audio frames; wait is
        defined as for sender_lateness
    Unit: ms
    Start: the instant at which a frame was due
    End: the instant at which the client began to send the frame
    Better: lower
    Source: as for sender_lateness; a long pause of the client delays only a few frames,
        which a p99 hides
    """
    own = audio_delays(item.timeline)
    return max(own) / _NS_PER_MS if own else None


@metric(group=Group.END, unit=Unit.MS, needs="audio")
def send_blocked(item: Emissions) -> float | None:
    """Measure the longest time for which the socket did not accept an audio frame.

    The time is attributed to the server, even if the network path is the cause.

    Formula: maximum of (sent - start of sending) over the audio frames
    Unit: ms
    Start: the instant at which the client began to send the frame
    End: the instant at which the socket had accepted the frame
    Better: lower
    Source: back-pressure delays the chunks of a stream; a latency that is counted from
        the actual time of sending does not include this delay
    """
    heard = item.timeline.heard
    if not heard:
        return None
    return max(frame.sent - frame.woke for frame in heard) / _NS_PER_MS


@metric(group=Group.CLIENT, unit=Unit.MS, needs=_TICKS, no_budget=_CLIENT)
def loop_lag(item: Emissions) -> float | None:
    """Measure the p99 of the delay of the event loop's clock ticks.

    A tick that is at most 1 ms late counts as punctual.

    Formula: p99 (nearest rank) of (came - due) over the ticks
    Unit: ms
    Start: the instant at which a tick was due
    End: the instant at which the tick came
    Better: lower
    Source: the usual probe of an event loop: schedule a tick, and measure how late the
        tick comes
    """
    return tick_delay(item.timeline.lag)


@metric(group=Group.CLIENT, unit=Unit.MS, needs=_TICKS, no_budget=_CLIENT)
def gc_pause(item: Emissions) -> float | None:
    """Measure the longest pause by the garbage collector in the client's process.

    Formula: maximum of (end - start) over the collections
    Unit: ms
    Start: the start of a collection
    End: the end of that collection
    Better: lower
    Source: Python's callbacks before and after each collection; a collection stops
        every thread of the process
    """
    return _gc_pause(item.timeline)


@metric(
    group=Group.CLIENT,
    unit=Unit.RATIO,
    needs="a trace with the client's CPU time",
    no_budget=_CLIENT,
)
def own_cpu(item: Emissions) -> float | None:
    """Measure the share of a core that the client's event loop used.

    Formula: CPU time of the loop's thread / elapsed time
    Unit: ratio
    Better: lower
    Source: measurements with a growing number of paced streams: above about two thirds
        of a core, the same load was punctual in one run and 100 ms late in the next
    """
    return item.timeline.lag.load or None  # 0 means that it was not measured


@metric(
    group=Group.CLIENT,
    unit=Unit.MS,
    needs="a server that answers pings",
    no_budget=_PATH,
)
def path_round_trip(item: Emissions) -> float | None:
    """Measure the median round-trip time of the WebSocket pings of a session.

    The round-trip time is never subtracted from a latency. The client waits for the
    answer to a ping before it sends the next ping, so a busy server answers few pings.

    Formula: p50 (nearest rank) of (answered - sent) over the pings
    Unit: ms
    Start: the instant at which a ping was sent
    End: the arrival of the pong that answers the ping
    Better: lower
    Source: RFC 6455, section 5.5.2: a ping is answered as soon as is practical
    """
    trips = [
        ping.answered - ping.sent
        for ping in item.timeline.pings
        if ping.answered is not None
    ]
    return quantile(trips, _HALF) / _NS_PER_MS if trips else None


@metric(
    group=Group.CLIENT,
    unit=Unit.RATIO,
    needs="two audio frames or more",
    no_budget=_CLIENT,
)
def pacing_error(item: Emissions) -> float | None:
    """Measure how much slower than real time the audio was sent; below 0 if faster.

    Formula: (start of sending of the last audio frame - start of sending of the first
        audio frame) / (length of the audio from the end of the first frame to the end
        of the last frame) - 1
    Unit: ratio
    Better: lower
    Source: a validity check of paced clients; a value from -0.5 % to 0.5 % is correct
    """
    return pace_deviation(item.timeline)


def pace_deviation(timeline: Timeline) -> float | None:
    """Return the value of `pacing_error` for a timeline."""
    heard = timeline.heard
    samples = heard[-1].samples - heard[0].samples if heard else 0
    if samples <= 0:
        return None
    spent = (heard[-1].woke - heard[0].woke) / 1e9
    return spent / (samples / timeline.rate) - 1


def _percentile(delays: list[int]) -> float | None:
    return quantile(delays, _TAIL) / _NS_PER_MS if delays else None


def tick_delay(lag: Lag) -> float | None:
    """Return the p99 of the delays of the clock ticks in ms; ``None`` without ticks."""
    late = lag.late
    punctual = max(lag.ticks - len(late), 0)
    return _percentile([*late, *(0,) * punctual])


def _gc_pause(timeline: Timeline) -> float | None:
    return timeline.lag.paused / _NS_PER_MS if timeline.lag.ticks else None


def audio_delays(timeline: Timeline) -> list[int]:
    """Return the client's own delay in ns in sending each frame of audio."""
    return [own for event, own in _delays(timeline) if isinstance(event, Heard)]


def _delays(timeline: Timeline) -> Iterator[tuple[Heard | Commit, int]]:
    """Yield each audio frame and commit, with the client's own delay (ns)."""
    accepted: int | None = None  # when the socket accepted the model's previous frame
    for event in timeline.events:
        if isinstance(event, (Heard, Commit)):  # a union would be created each time
            woke = event.due if accepted is None or accepted < event.due else accepted
            accepted = woke + (event.sent - event.woke)
            yield event, event.woke - woke


def _sum(numbers: list[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
