"""A recorded session: its frames, the dialect's messages, and the timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Timeline


class Message(Protocol):
    """A frame, decoded by its dialect."""

    @property
    def move(self) -> str:
        """The name of the frame in the order that the dialect prescribes."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A missing or wrong field of an event; ``subject`` names the event and the field.

    ``fault`` says what is wrong with the field; ``wanted`` says what it must be.
    ``fault`` and ``wanted`` are empty if ``subject`` says all that is wrong.
    """

    subject: str
    fault: str = ""
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Flawed:
    """A message with missing or wrong fields; ``reason`` names these fields.

    ``event`` is the message with neutral values in place of these fields. ``flaws`` has
    an entry for each of the fields.
    """

    event: Message
    reason: str
    flaws: tuple[Flaw, ...] = field(default=(), compare=False)

    @property
    def move(self) -> str:
        """The name of the event."""
        return self.event.move


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded session, from which requirements are checked and metrics are computed.

    ``messages`` holds one message for each record of the ``trace``, in the same order.
    A message that is `Flawed` is replaced by its event; ``flaws`` maps the index of the
    record to the flawed message.
    """

    trace: Trace
    messages: tuple[Message, ...]
    timeline: Timeline
    flaws: Mapping[int, Flawed] = field(default_factory=dict)

    @property
    def items(self) -> tuple[int, ...]:
        """The numbers of the items for which the client sent audio, in order."""
        numbers = (each.item for each in self.timeline.heard)
        return tuple(dict.fromkeys(numbers))

    def asset(self, item: int) -> str:
        """Return the name of the audio of an utterance, or "" if no audio was sent."""
        heard = self.timeline.item(item).heard
        if not heard:
            return ""
        spans = (
            record.span.asset
            for record in self.trace.records
            if record.span is not None and record.at >= heard[0].sent
        )
        return next(spans, "")
