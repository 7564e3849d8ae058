"""From the frames of a session to its timeline."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.dialect_api import (
    Commit,
    Event,
    Final,
    Heard,
    Message,
    Record,
    Refusal,
    Segments,
)
from steno_dialect.events import Audio, End, EndOfAudio, Error, Interim, Segment

_ITEM = 0  # the number of the only utterance of a session


class Reader:
    """Reads the only utterance of a session; the server gives the session no id."""

    def __init__(self) -> None:
        self.ready: int | None = None
        self.session = ""
        self._samples = 0
        self._segments = Segments()

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        due, woke = record.times
        match message:
            case Audio(samples=samples):
                self._samples += samples
                size = 2 * samples  # bytes
                return (Heard(_ITEM, self._samples, due, woke, record.at, size),)
            case EndOfAudio():
                return (Commit(_ITEM, due, woke, record.at),)
            case Interim(text=text):
                return self._segments.show(text, record.at)
            case Segment(text=text):
                return self._segments.settle(text, record.at)
            case End(text=text):
                return (Final(_ITEM, record.at, text),)
            case Error(code=code, message=reason):
                return (Refusal(record.at, code, reason),)
        return ()
