"""What a dialect reads in the frames of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.trace.records import Trace


class Message(Protocol):
    """A frame as its dialect understands it."""

    @property
    def move(self) -> str:
        """The name under which the table of orders knows it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trace and, for each of its records, what the dialect reads in it."""

    trace: Trace
    messages: tuple[Message, ...]
