"""Recorded sessions for the tests of replay, made without a socket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect, audio_frame
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
    content,
)

MS = 1_000_000  # ns
VLLM = dialects.load("vllm")
CREATED = '{"type":"session.created","id":"sess-%d","created":1}'
UPDATE = '{"type":"session.update","model":"m"}'
COMMIT = '{"type":"input_audio_buffer.commit"}'
_USAGE = '{"prompt_tokens":21,"completion_tokens":4,"total_tokens":25}'
FINISH = '{"type":"input_audio_buffer.commit","final":true}'


@dataclass(frozen=True, slots=True)
class Sent:
    """What the server sent ``delay`` ms after the client had sent ``ms`` of audio.

    If ``ms`` is ``None``, the server sent it ``delay`` ms after the end of the audio
    was declared.
    """

    frame: str
    delay: int
    ms: int | None = None


def delta(text: str) -> str:
    return f'{{"type":"transcription.delta","delta":"{text}"}}'


def done(text: str) -> str:
    return f'{{"type":"transcription.done","text":"{text}","usage":{_USAGE}}}'


def recorded(
    clip: Utterance,
    sent: Iterable[Sent],
    *,
    number: int = 1,
    chunk: int = 100,
    end: End | None = None,
    dialect: Dialect = VLLM,
) -> Trace:
    """The trace of a client that sent a clip in chunks of ``chunk`` ms, at pace 1.

    Sessions with a higher ``number`` started later.
    """
    rows: list[Record] = []

    def add(
        sender: Sender, at: int, frame: str | bytes, span: Span | None = None
    ) -> None:
        rows.append(Record(sender, at * MS, *content(frame), span=span))

    add(Sender.SERVER, 7, CREATED % number)
    add(Sender.CLIENT, 10, UPDATE)
    add(Sender.CLIENT, 11, COMMIT)
    carrier = audio_frame(dialect.caller("", {}), b"")
    audio = clip.audio.resample(dialect.rate)
    step = audio.rate * chunk // 1000
    begin = 11
    for start in range(0, audio.samples, step):
        stop = min(start + step, audio.samples)
        at = begin + stop * 1000 // audio.rate
        add(Sender.CLIENT, at, carrier, Span(clip.id, start, stop))
    over = begin + audio.samples * 1000 // audio.rate
    add(Sender.CLIENT, over, FINISH)
    for each in sent:
        at = over if each.ms is None else begin + each.ms
        add(Sender.SERVER, at + each.delay, each.frame)
    rows.sort(key=lambda row: row.at)
    last = rows[-1].at + 50 * MS
    return Trace(
        vantage=Vantage.CLIENT,
        dialect=dialect.name,
        rate=dialect.rate,
        target="ws://h/",
        started=datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=number),
        opened=5 * MS,
        records=tuple(rows),
        end=end or End(Ending.CLOSED_BY_US, last),
        spoken=(described(clip),),
    )
