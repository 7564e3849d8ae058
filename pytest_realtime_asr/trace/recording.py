"""A session as it is judged: its frames, the dialect's messages, and their meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Timeline


class Message(Protocol):
    """A frame as its dialect understands it."""

    @property
    def move(self) -> str:
        """The name of the frame in the dialect's table of orders."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A frozen session, read once; requirements and metrics are derived from it.

    ``messages`` holds one message for each record of the ``trace``, in the same order.
    """

    trace: Trace
    messages: tuple[Message, ...]
    timeline: Timeline
