"""The frames of Steno, an invented protocol for one utterance per session.

A session::

    client  GET /steno?model=NAME&language=LANGUAGE&interim=no
    client  binary frame with audio ...      PCM16 mono 16 kHz
    client  {"type": "keepalive"}            if it has sent nothing for 5 s
    server  interim {text} ...               text that replaces the previous interim
    server  segment {text, start, end} ...   text that does not change any more
    client  empty binary frame               the audio is complete
    server  segment {text, start, end} ...
    server  end {text}                       the text of all segments
    server  closes with 1000
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.dialect_api import (
    Malformed,
    Message,
    Record,
    Sender,
    Shapes,
    Table,
    Typed,
)

RATE = 16_000  # Hz


@dataclass(frozen=True, slots=True)
class Audio:
    """Client: a binary frame with this number of samples."""

    samples: int
    move: str = "audio"


@dataclass(frozen=True, slots=True)
class EndOfAudio:
    """Client: an empty binary frame; the audio is complete."""

    move: str = "end-of-audio"


class KeepaliveEvent(Typed, frozen=True, tag="keepalive"):
    """Client: the session is still in use."""


class Interim(Typed, frozen=True, tag="interim"):
    """Server: the text of the open segment so far."""

    text: str


class Segment(Typed, frozen=True, tag="segment"):
    """Server: the whole text of a segment, and its times in the audio in seconds."""

    text: str
    start: float
    end: float


class End(Typed, frozen=True, tag="end"):
    """Server: all audio is recognised; the text of all segments."""

    text: str


class Error(Typed, frozen=True, tag="error"):
    """Server: a frame of the client was refused."""

    code: str
    message: str


SHAPES = Shapes(
    {
        Sender.CLIENT: (KeepaliveEvent,),
        Sender.SERVER: (Interim, Segment, End, Error),
    }
)

START = "ready"
TABLE: Table = {
    Sender.CLIENT: {
        "ready": {
            "audio": ("hearing",),
            "keepalive": ("ready",),
            "end-of-audio": ("ending",),
        },
        "hearing": {
            "audio": ("hearing",),
            "keepalive": ("hearing",),
            "end-of-audio": ("ending",),
        },
        "ending": {"keepalive": ("ending",)},
    },
    Sender.SERVER: {
        "ready": {"error": ("ready",)},
        "hearing": {
            "interim": ("hearing",),
            "segment": ("hearing",),
            "error": ("hearing",),
        },
        "ending": {
            "interim": ("ending",),
            "segment": ("ending",),
            "error": ("ending",),
            "end": ("over",),
        },
    },
}


def audio_message(data: bytes) -> Message:
    """Return the message in a binary frame of the client."""
    if not data:
        return EndOfAudio()
    if len(data) % 2:
        return Malformed("audio that ends in half a sample", json=True)
    return Audio(len(data) // 2)


def parse(record: Record) -> Message:
    """Return the message in a frame of either side."""
    if record.sender is Sender.SERVER or record.data is None:
        return SHAPES.parse(record)
    if record.span is not None:  # the trace has a reference to the audio instead
        return Audio(record.span.stop - record.span.start)
    return audio_message(record.data)
