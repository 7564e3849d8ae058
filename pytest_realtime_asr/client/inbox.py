"""The state of one session, as a fold of its records.

It has no socket, no clock and no task: the session feeds it each record in order, and
asks it what the server has answered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.transport import MAX_MESSAGE
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Record, Sender, Trace
from pytest_realtime_asr.trace.timeline import Commit, Event, Final, Refusal

# What a server may send in a session: so much, and more for each second of audio sent.
# It is enough for 5 partials a second that each repeat the whole text of an hour.
MAX_EVENTS, EVENTS_A_SECOND = 10_000, 100
TEXT_A_SECOND = 2**18  # bytes, beyond the largest event that the client reads


class Inbox:
    """What the server of a session has sent, and what it means.

    ``received`` holds the server's messages. ``items`` counts the utterances that are
    complete, so that it is the number of the next one. ``by_hand`` says that a frame
    was written by hand: the server may refuse it, and the utterance goes on.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._reader = dialect.reader()
        self._read: list[tuple[Message, Sequence[Event]]] = []  # for each record
        self.received: list[Message] = []
        self._finals: dict[int, Final] = {}
        self._refusals: list[tuple[int, Refusal]] = []  # (index in received, refusal)
        self._expected = 0  # messages that `expect` has passed
        self._reported = 0  # messages whose refusals were reported
        self._size = 0  # of the server's frames: characters of text, bytes of data
        self.items = 0
        self.by_hand = False

    @property
    def ready(self) -> bool:
        """Whether the server has said that the session may begin."""
        return self._reader.ready is not None

    @property
    def session(self) -> str:
        """The id that the server gave the session, "" before it did."""
        return self._reader.session

    def add(self, record: Record) -> None:
        """Read the next record of the session."""
        message = self._dialect.parse(record)
        if record.sender is Sender.SERVER:
            self.received.append(message)
        events = self._reader.step(record, message)
        for event in events:
            if isinstance(event, Commit):
                self.items = max(self.items, event.item + 1)
            elif isinstance(event, Final):
                self._finals.setdefault(event.item, event)
            elif isinstance(event, Refusal):
                self._refusals.append((len(self.received) - 1, event))
        self._read.append((message, events))

    def complete(self) -> int:
        """Count an utterance as complete that no commit ends, and return its number."""
        item, self.items = self.items, self.items + 1
        return item

    def has_final(self, item: int) -> bool:
        """Whether the final of an utterance has come."""
        return item in self._finals

    def answered(self, item: int) -> bool:
        """Whether the final of an utterance has come, or a refusal in its place."""
        return item in self._finals or self.refusal is not None

    @property
    def refusals(self) -> int:
        """How many refusals have come in the session."""
        return len(self._refusals)

    @property
    def refusal(self) -> Refusal | None:
        """The first refusal that was neither expected nor reported.

        It may answer the set-up of the session. After a frame that was written by hand
        there is none, since it may answer that frame.
        """
        if self.by_hand:
            return None
        since = max(self._expected, self._reported)
        place = bisect_left(self._refusals, since, key=lambda each: each[0])
        return self._refusals[place][1] if place < len(self._refusals) else None

    def report_refusals(self) -> None:
        """Count what has been refused so far as reported."""
        self._reported = len(self.received)

    def expect(self, kind: str) -> Message | None:
        """Return the next message of this type after the last one that was expected."""
        while self._expected < len(self.received):
            message = self.received[self._expected]
            self._expected += 1
            if kind in (message.move, getattr(message, "type", None)):
                return message
        return None

    def other_dialects(self, record: Record) -> tuple[str, ...]:
        """Name the dialects whose greeting this is, where it is not this dialect's.

        Only the first frame of the server is a greeting.
        """
        if self.received or self._dialect.greets(record):
            return ()
        return dialects.greeted(record)

    def flood(self, frame: str | bytes, seconds: float, *, most: int) -> str | None:
        """Count a frame of the server; say why the session is flooded, or ``None``.

        ``seconds`` of audio were sent; ``most`` bytes is the limit for one event.
        """
        self._size += len(frame)
        return flooded(len(self.received), self._size, seconds, most=most)

    @property
    def summary(self) -> str:
        """The server's messages, counted by type."""
        return summary(self.received)

    def recording(self, trace: Trace) -> Recording:
        """Return the recording of this session's trace, without reading it again.

        A trace with a record that could not be read is read anew, which raises what
        the dialect raised.
        """
        read = self._read[: len(trace.records)]
        if len(read) < len(trace.records):
            return dialects.recording(self._dialect, trace)
        events = chain.from_iterable(events for _, events in read)
        timeline = dialects.timeline(trace, self._reader, events)
        return Recording(trace, tuple(message for message, _ in read), timeline)


def flooded(
    events: int, size: int, seconds: float, *, most: int = MAX_MESSAGE
) -> str | None:
    """Say why a session with so many events is flooded, or ``None``.

    ``size`` is the length of all events in bytes, ``seconds`` the audio that was sent,
    ``most`` the limit in bytes for one event. A server may send `MAX_EVENTS` and
    `EVENTS_A_SECOND` for each second of audio, and ``most`` and `TEXT_A_SECOND` for
    each second.
    """
    limit = MAX_EVENTS + int(EVENTS_A_SECOND * seconds)
    longest = most + int(TEXT_A_SECOND * seconds)
    if events <= limit and size <= longest:
        return None
    return (
        f"the server flooded the session: more than {limit:,} events or "
        f"{longest / 2**20:.1f} MiB of text (the limit is {MAX_EVENTS:,} events and "
        f"{most / 2**20:g} MiB, which --realtime-max-message raises, and for each of "
        f"the {seconds:.1f} s of audio sent {EVENTS_A_SECOND} events and "
        f"{TEXT_A_SECOND // 2**10} KiB more)"
    )


def summary(messages: Iterable[Message]) -> str:
    """Count messages by type, for an error that says what has arrived."""
    counts = Counter(message.move for message in messages)
    if not counts:
        return "nothing had arrived"
    listed = ", ".join(f"{count} {move}" for move, count in counts.items())
    return f"had arrived: {listed}"
