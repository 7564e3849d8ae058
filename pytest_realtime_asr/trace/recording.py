"""A recorded session: its frames, the dialect's messages, and the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Timeline


class Message(Protocol):
    """A frame, decoded by its dialect."""

    @property
    def move(self) -> str:
        """The name of the frame in the order that the dialect prescribes."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded session, from which requirements are checked and metrics computed.

    ``messages`` holds one message for each record of the ``trace``, in the same order.
    """

    trace: Trace
    messages: tuple[Message, ...]
    timeline: Timeline
