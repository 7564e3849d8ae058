"""The recorder of a session, and the traces that it writes."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

import pytest

from pytest_realtime_asr.text.redaction import REMOVED, Redactor
from pytest_realtime_asr.trace.recorder import LONGEST, AudioFrames, Recorder
from pytest_realtime_asr.trace.records import (
    HIDDEN,
    End,
    Ending,
    Lag,
    Ping,
    Record,
    Sender,
    Span,
    Vantage,
    loads,
)

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER


def ticks() -> Iterator[int]:
    """Return a clock that is 10 ns later at each call."""
    return itertools.count(1_000, 10)


def recorder(*secrets: str, target: str = "ws://host", version: str = "") -> Recorder:
    return Recorder(
        vantage=Vantage.CLIENT,
        dialect="vllm",
        rate=16_000,
        target=target,
        version=version,
        redactor=Redactor(secrets),
        clock=ticks().__next__,
    )


def test_a_frozen_trace_has_everything_that_was_recorded() -> None:
    made = recorder()
    assert made.now() == 10
    made.open()
    span = Span("clip", 0, 8)
    sent = made.sent(CLIENT, "a", due=3, woke=4, span=span, raw=True)
    received = made.received(SERVER, 35, b"b", span=span)
    made.end(Ending.CLOSED_BY_PEER, code=1000, reason="bye")
    trace = made.freeze(lag=Lag(2))
    assert trace.opened == 20
    assert trace.records == (sent, received) == tuple(made.records)
    assert sent == Record(CLIENT, 30, "a", None, 3, 4, span, True)
    assert received == Record(SERVER, 35, None, b"b", span=span)
    assert trace.end == End(Ending.CLOSED_BY_PEER, 40, 1000, "bye")
    assert trace.lag == Lag(2)
    assert (trace.vantage, trace.dialect, trace.rate) == (
        Vantage.CLIENT,
        "vllm",
        16_000,
    )
    assert trace.started.tzinfo is UTC
    assert loads(trace.dumps()) == trace


def test_frames_of_audio_become_records_in_their_place() -> None:
    made = recorder()
    clip = AudioFrames(CLIENT, "clip", "carrier")
    by_hand = AudioFrames(CLIENT, "hand", b"data", raw=True)
    begin = made.sent(CLIENT, "begin", due=1, woke=2)
    assert made.sent_audio(clip, due=3, woke=4, start=0, stop=8) == 20
    answer = made.received(SERVER, 25, "answer")
    made.sent_audio(by_hand, due=5, woke=6, start=2, stop=9)
    made.sent_audio(clip, due=7, woke=8, start=8, stop=12)
    expected = (
        begin,
        Record(CLIENT, 20, "carrier", None, 3, 4, Span("clip", 0, 8)),
        answer,
        Record(CLIENT, 30, None, b"data", 5, 6, Span("hand", 2, 9), True),
        Record(CLIENT, 40, "carrier", None, 7, 8, Span("clip", 8, 12)),
    )
    assert made.count == 5
    assert made.freeze().records == expected


def test_records_are_made_once_and_in_portions() -> None:
    made = recorder()
    clip = AudioFrames(CLIENT, "clip", "carrier")
    for n in range(5):
        made.sent_audio(clip, due=n, woke=n, start=n, stop=n + 1)
    first = made.since(0, 2)
    assert [record.due for record in first] == [0, 1]
    assert [record.due for record in made.since(1, 3)] == [1, 2, 3]
    assert made.since(5, 9) == []
    made.sent_audio(clip, due=5, woke=5, start=5, stop=6)
    assert [record.due for record in made.records] == list(range(6))
    assert made.records[0] is first[0]


def test_records_are_read_while_another_thread_records() -> None:
    made = Recorder(vantage=Vantage.CLIENT, dialect="vllm", rate=16_000, target="")
    clip = AudioFrames(CLIENT, "clip", "carrier")

    def record() -> None:
        for n in range(20_000):
            made.sent_audio(clip, due=n, woke=n, start=n, stop=n + 1)

    recording = threading.Thread(target=record)
    recording.start()
    seen = 0
    while recording.is_alive():
        seen = max(seen, len(made.records))
    recording.join()
    assert [record.due for record in made.records] == list(range(20_000))
    assert seen <= 20_000


def test_the_first_end_of_a_session_is_kept() -> None:
    made = recorder()
    assert made.ended is None
    made.end(Ending.DEADLINE, reason="waited")
    made.end(Ending.CLOSED_BY_US, code=1000)
    assert made.ended == End(Ending.DEADLINE, 10, None, "waited")
    assert made.freeze().end == made.ended


def test_a_trace_without_an_end_ends_now_and_recording_continues() -> None:
    made = recorder()
    assert made.freeze().end == End(Ending.CLOSED_BY_US, 10)
    assert made.freeze().opened is None
    made.received(SERVER, 20, "a")
    assert len(made.freeze().records) == 1


def test_answered_and_unanswered_pings_are_recorded() -> None:
    made = recorder(version="0.33.0")
    made.pinged(3, 7)
    assert made.freeze().pings == (Ping(3, 7),)
    made.pinged(8, None)
    trace = made.freeze()
    assert trace.pings == (Ping(3, 7), Ping(8))
    assert trace.version == "0.33.0"
    assert trace.records == ()
    assert loads(trace.dumps()) == trace


@pytest.mark.parametrize("frame", ["x" * LONGEST, b"\0" * LONGEST])
def test_a_frame_is_kept_whole_up_to_a_length(frame: str | bytes) -> None:
    record = recorder().sent(CLIENT, frame, due=0, woke=0)
    assert (record.text, record.data).count(frame) == 1


def test_the_start_of_a_long_frame_is_kept_with_the_missing_length() -> None:
    made, long = recorder(), "0123456789" * 200_000
    sent = made.sent(CLIENT, long, due=0, woke=0)
    assert sent.text == long[:100] + "... [1999900 more]"
    heard = made.received(SERVER, 0, long[: LONGEST + 1].encode())
    assert heard.data == long[:100].encode() + b"... [1048477 more]"
    assert heard.begin == long[:100].encode()
    assert (sent.length, heard.length) == (2_000_000, LONGEST + 1)
    trace = made.freeze()
    assert trace.records == (sent, heard)
    assert loads(trace.dumps()) == trace


def test_the_size_of_a_frame_is_known_if_not_all_of_it_is_kept() -> None:
    """Texts are private here, so that no part of a frame is kept."""
    made = recorder()
    frames = ("x" * 2_000_000, bytes(3_000_000), b"12", '{"type":"a"}')
    for frame in frames:
        made.received(SERVER, 0, frame)
    private = replace(made.freeze(), redactor=Redactor(private=True))
    long, binary, short, text = loads(private.dumps()).records
    assert long.text == "[private: 2000000 characters]"
    assert binary.data == b"[private: 3000000 bytes]"
    assert (binary.length, short.length) == (3_000_000, 2)
    assert text == Record(SERVER, 0, '{"type":"a"}')


def test_a_trace_without_sizes_can_be_read() -> None:
    made = recorder()
    made.received(SERVER, 0, bytes(LONGEST + 1))
    lines = made.freeze().dumps()
    assert b',"size":1048577' in lines
    (old,) = loads(lines.replace(b',"size":1048577', b"")).records
    assert old.data == bytes(100) + b"... [1048477 more]"
    assert old.size is None


@pytest.mark.parametrize("before", range(85, 101))
def test_no_frame_is_cut_within_a_secret(before: int) -> None:
    made = recorder("hush-now-hush")
    frame = "x" * before + "hush-now-hush" + "y" * LONGEST
    sent = made.sent(CLIENT, frame, due=0, woke=0)
    heard = made.received(SERVER, 0, frame.encode())
    assert sent.text is not None
    assert heard.data == sent.text.encode()
    assert "h" not in sent.text.removesuffix(HIDDEN)
    assert sent.text.startswith("x" * before)
    assert sent.text.endswith(HIDDEN)


def test_a_long_frame_says_where_a_secret_was_in_the_rest_of_it() -> None:
    made = recorder("hush-now-hush")
    frame = "x" * LONGEST + "hush-now-hush"
    text = made.sent(CLIENT, frame, due=0, woke=0).text
    assert text == "x" * 100 + HIDDEN
    assert made.received(SERVER, 0, frame.encode()).data == text.encode()


SECRET = 's3cr3t/ä"\\key'


def test_secrets_are_kept_in_memory_until_the_trace_is_written() -> None:
    made = recorder(SECRET, target=f"ws://host/{SECRET}/v1")
    made.sent(CLIENT, f"Bearer {SECRET}!", due=0, woke=0)
    made.received(SERVER, 0, SECRET.encode())
    trace = made.freeze()
    assert trace.target == f"ws://host/{SECRET}/v1"
    assert trace.records[0].text == f"Bearer {SECRET}!"
    assert trace.records[1].data == SECRET.encode()


def test_secrets_are_removed_from_everything_that_is_written() -> None:
    made = recorder(SECRET, target=f"ws://host/{SECRET}/v1", version=f"1+{SECRET}")
    frames = [
        f"Bearer {SECRET}!",
        json.dumps({"type": "x", "key": SECRET}),
        json.dumps({"type": "x", SECRET: [SECRET]}, ensure_ascii=False),
    ]
    for frame in frames:
        made.sent(CLIENT, frame, due=0, woke=0)
        made.received(SERVER, 0, frame.encode())
    made.end(Ending.REFUSED, code=401, reason=f"{SECRET} is not known")
    trace = loads(made.freeze().dumps())
    assert trace == made.freeze().redacted()
    assert trace.target == f"ws://host/{REMOVED}/v1"
    assert trace.version == f"1+{REMOVED}"
    assert trace.end.reason == f"{REMOVED} is not known"
    texts = [record.text for record in trace.records if record.text is not None]
    assert texts == [
        f"Bearer {REMOVED}!",
        f'{{"type": "x", "key": "{REMOVED}"}}',
        f'{{"type": "x", "{REMOVED}": ["{REMOVED}"]}}',
    ]
    assert [record.data for record in trace.records[1::2]] == [
        text.encode() for text in texts
    ]


def test_a_secret_split_over_frames_is_removed_from_the_written_trace() -> None:
    made = recorder("correct-horse-battery")
    for part in ("so corr", "ect-horse-bat", "tery it is"):
        made.received(SERVER, 0, json.dumps({"type": "delta", "delta": part}))
    texts = [record.text for record in loads(made.freeze().dumps()).records]
    assert [json.loads(text or "")["delta"] for text in texts] == [
        f"so {REMOVED}",
        REMOVED,
        f"{REMOVED} it is",
    ]


def test_the_default_clock_is_monotonic() -> None:
    made = Recorder(vantage=Vantage.SERVER, dialect="x", rate=8_000, target="")
    assert 0 <= made.now() <= made.freeze().end.at
