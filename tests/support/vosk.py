"""Sessions of vosk-server's protocol by hand, for the tests of this dialect."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.vosk.events import EOF_TEXT, RESET_TEXT
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Frame,
    Record,
    Sender,
    Trace,
    Vantage,
    content,
)
from pytest_realtime_asr.trace.timeline import Event
from tests.support.sessions import MS, STARTED

VOSK = dialects.load("vosk")
RESETTING = dialects.load("vosk:vosk-reset")
EOF, RESET = EOF_TEXT, RESET_TEXT
CONFIG = '{"config":{"words":true,"sample_rate":16000}}'
SECOND = bytes(2 * 16_000)  # 1 s of audio


@dataclass(frozen=True)
class Server:
    """A frame of the server."""

    frame: Frame


@dataclass(frozen=True)
class Raw:
    """A frame of the client that the test writes by hand."""

    frame: Frame


Sent = Frame | Server | Raw
"""A frame of a session; a frame alone is the client's."""


def word(text: str, start: float, end: float, conf: float = 1.0) -> dict[str, object]:
    return {"word": text, "start": start, "end": end, "conf": conf}


def partial(text: str) -> Server:
    return Server(json.dumps({"partial": text}))


def result(text: str, *words: dict[str, object]) -> Server:
    return Server(json.dumps({"text": text, **({"result": words} if words else {})}))


def trace_of(
    sent: Iterable[Sent],
    *,
    how: Ending = Ending.CLOSED_BY_PEER,
    code: int | None = 1000,
    reason: str = "",
) -> Trace:
    """Return the trace of a session, with a frame each ms."""
    records = []
    for place, each in enumerate(sent, 1):
        sender = Sender.SERVER if isinstance(each, Server) else Sender.CLIENT
        frame = each.frame if isinstance(each, Server | Raw) else each
        raw = isinstance(each, Raw)
        records.append(Record(sender, place * MS, *content(frame), raw=raw))
    end = End(how, (len(records) + 1) * MS, code, reason)
    kept = tuple(records)
    return Trace(Vantage.CLIENT, "vosk", 16_000, "ws://test/", STARTED, 0, kept, end)


def recorded(*sent: Sent, dialect: dialects.Dialect = VOSK, **end: object) -> Recording:
    """Return the recording of a session; ``end`` is as in `trace_of`."""
    return dialects.recording(dialect, trace_of(sent, **end))  # type: ignore[arg-type]


def events(*sent: Sent, dialect: dialects.Dialect = VOSK) -> list[Event]:
    """Return the events of the timeline of a session."""
    return list(recorded(*sent, dialect=dialect).timeline.events)
