"""The state of one session, computed from its records one by one.

This module uses no socket, no clock and no task. The session passes each record in
order to the `Inbox` and asks the `Inbox` what the server has answered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import greetings
from pytest_realtime_asr.client.transport import MAX_MESSAGE
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Flawed, Message, Recording
from pytest_realtime_asr.trace.records import Record, Sender, Trace
from pytest_realtime_asr.trace.timeline import Commit, Event, Final, Refusal

# A server may send this many events in a session, and more for each second of audio
# sent. The limits allow 5 partials a second that each repeat the text of an hour.
MAX_EVENTS, EVENTS_A_SECOND = 10_000, 100
TEXT_A_SECOND = 2**18  # characters, in addition to the length of the largest event
_LONGEST_REASON = 120  # characters of the reason why a frame is malformed


class Inbox:
    """The messages of one session, and the state that follows from them.

    ``received`` holds the server's messages. ``items`` counts the complete utterances;
    this count is also the index of the next utterance. ``by_hand`` says that a test
    has written a frame by hand. The server may refuse such a frame; such a refusal does
    not end the utterance.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._reader = dialect.reader()
        self._read: list[tuple[Message, Sequence[Event]]] = []  # for each record
        self._flaws: dict[int, Flawed] = {}  # by record
        self.received: list[Message] = []
        self._finals: dict[int, Final] = {}
        self._refusals: list[tuple[int, Refusal]] = []  # (index in received, refusal)
        self._expected = 0  # messages that `expect` has examined
        self._reported = 0  # messages whose refusals were reported
        self._frames = 0  # of the server, see `flood`
        self._size = 0  # of these frames: characters of text, bytes of data
        self.items = 0
        self.by_hand = False

    @property
    def count(self) -> int:
        """The number of records that were added."""
        return len(self._read)

    @property
    def ready(self) -> bool:
        """Return whether the session may begin; true if the dialect has no greeting."""
        greets = dialects.can(self._dialect, Capability.GREETING)
        return not greets or self._reader.ready is not None

    @property
    def session(self) -> str:
        """The id that the server gave the session; "" if there is none yet."""
        return self._reader.session

    def add(self, record: Record) -> None:
        """Update the state from the next record of the session."""
        message = self._dialect.parse(record)
        if isinstance(message, Flawed):
            self._flaws[len(self._read)] = message
            message = message.event
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
        """Count the utterance as complete although no commit was sent for it.

        Return the index of the utterance.
        """
        item, self.items = self.items, self.items + 1
        return item

    def has_final(self, item: int) -> bool:
        """Return whether the final of an utterance has arrived."""
        return item in self._finals

    def answered(self, item: int) -> bool:
        """Return whether the final of an utterance, or a refusal, has arrived."""
        return item in self._finals or self.refusal is not None

    @property
    def refusals(self) -> int:
        """The number of refusals that have arrived in the session."""
        return len(self._refusals)

    @property
    def refusal(self) -> Refusal | None:
        """The first refusal that was neither expected nor reported, or ``None``.

        A refusal of the session's configuration counts too. Once a test has written a
        frame by hand, this is ``None``, since a refusal may answer that frame.
        """
        if self.by_hand:
            return None
        since = max(self._expected, self._reported)
        place = bisect_left(self._refusals, since, key=lambda each: each[0])
        return self._refusals[place][1] if place < len(self._refusals) else None

    def report_refusals(self) -> None:
        """Mark all refusals so far as reported."""
        self._reported = len(self.received)

    def expect(self, kind: str) -> Message | None:
        """Return the next message of this type; ``None`` if none has arrived.

        The search starts after the messages that earlier calls have examined.
        """
        while self._expected < len(self.received):
            message = self.received[self._expected]
            self._expected += 1
            if kind in (message.move, getattr(message, "type", None)):
                return message
        return None

    def other_dialects(self, record: Record) -> tuple[str, ...]:
        """Return the names of the other dialects whose servers begin with this frame.

        The result is empty if a server of this session's dialect begins with it too,
        or if this is not the first frame of the server.
        """
        if self.received or self._dialect.greets(record):
            return ()
        return greetings.greeted(record)

    def flood(self, frame: str | bytes, seconds: float, *, most: int) -> str | None:
        """Count a frame and its size; return why the session is flooded, or ``None``.

        ``seconds`` is the length of the audio sent so far. ``most`` is the limit for
        the length of one event.
        """
        self._frames += 1
        self._size += len(frame)
        return flooded(self._frames, self._size, seconds, most=most)

    @property
    def summary(self) -> str:
        """A text that says how many messages of each type the server has sent."""
        return summary(self.received)

    def recording(self, trace: Trace) -> Recording:
        """Return the recording of this session's trace, from the events read so far.

        If the dialect failed to read a record, the whole trace is read again, so that
        the dialect's exception is raised again.
        """
        read = self._read[: len(trace.records)]
        if len(read) < len(trace.records):
            return dialects.recording(self._dialect, trace)
        events = chain.from_iterable(events for _, events in read)
        timeline = dialects.timeline(self._dialect, trace, self._reader, events)
        messages = tuple(message for message, _ in read)
        flaws = {at: why for at, why in self._flaws.items() if at < len(read)}
        return Recording(trace, messages, timeline, flaws)


def flooded(
    events: int, size: int, seconds: float, *, most: int = MAX_MESSAGE
) -> str | None:
    """Return why a session is flooded; ``None`` if the server keeps within the limits.

    ``events`` is the number of the server's events, and ``size`` is their total length,
    in characters for text and in bytes for binary frames. ``seconds`` is the length of
    the audio sent. ``most`` is the limit for the length of one event. A server may send
    `MAX_EVENTS` events, plus `EVENTS_A_SECOND` for each second of audio. Their total
    length may be ``most``, plus `TEXT_A_SECOND` for each second of audio.
    """
    limit = MAX_EVENTS + int(EVENTS_A_SECOND * seconds)
    longest = most + int(TEXT_A_SECOND * seconds)
    audio = f"for each of the {seconds:.1f} s of audio sent"
    passed = []
    if events > limit:
        passed.append(
            f"more than {limit:,} events (the limit is {MAX_EVENTS:,}, plus "
            f"{EVENTS_A_SECOND} {audio})"
        )
    if size > longest:
        passed.append(
            f"more than {longest / 2**20:.1f} MiB of text (the limit is "
            f"{most / 2**20:g} MiB, plus {TEXT_A_SECOND // 2**10} KiB {audio}; "
            "--realtime-max-message raises this limit)"
        )
    if not passed:
        return None
    return f"the server flooded the session: it sent {' and '.join(passed)}"


def summary(messages: Sequence[Message]) -> str:
    """Return a text that says how many messages of each type have arrived.

    The text also says what is wrong with the first malformed frame, and with the first
    frame of an unknown type.
    """
    counts = Counter(message.move for message in messages)
    if not counts:
        return "no event was received"
    strange = {each.move: each for each in reversed(messages)}
    listed = (
        f"{count} {move}{_description(strange[move])}" for move, count in counts.items()
    )
    return f"events received: {', '.join(listed)}"


def _description(message: Message) -> str:
    """Return what is wrong with a frame that is not an event of the protocol."""
    match message:
        case Malformed(reason=reason):
            return f" ({shortened(reason, _LONGEST_REASON)})"
        case Unknown(type=kind):
            return " (without a type)" if kind is None else f" (type {kind!r})"
    return ""
