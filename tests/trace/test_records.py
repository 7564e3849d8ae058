"""Traces and the timeline that is read from them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.trace.records import (
    FORMAT,
    NO_LAG,
    End,
    Ending,
    Lag,
    Ping,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
    loads,
    read,
    with_code,
)
from tests.support.paths import FIXTURES

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
GOLDEN = FIXTURES / "traces"


def trace_of(*records: Record, end: End | None = None) -> Trace:
    return Trace(
        vantage=Vantage.CLIENT,
        dialect="vllm",
        rate=16_000,
        target="ws://gpu-7:8000/v1/realtime",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        opened=5,
        records=records,
        end=end or End(Ending.CLOSED_BY_US, 9),
    )


# JSON Lines out and in


RECORDS = {
    "text": Record(SERVER, 1, "a"),
    "at zero": Record(CLIENT, 0, "a", due=0, woke=0),
    "empty text": Record(SERVER, 1, ""),
    "binary": Record(SERVER, 1, data=bytes(range(256))),
    "empty binary": Record(SERVER, 1, data=b""),
    "span": Record(CLIENT, 3, "a", due=1, woke=2, span=Span("clip", 0, 1600)),
    "raw": Record(CLIENT, 3, "a", due=1, woke=2, raw=True),
    "malformed": Record(SERVER, 1, '{"type": nothing\r\n\t\0\x7f'),
    "unicode": Record(SERVER, 1, "äñ日本🎤\u2028\u2029\x85\ufeff"),
    "long": Record(SERVER, 2**62, "x" * 100_000),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_each_kind_of_record_is_read_as_it_was_written(kind: str) -> None:
    trace = trace_of(RECORDS[kind])
    assert loads(trace.dumps()) == trace


@pytest.mark.parametrize("how", Ending)
@pytest.mark.parametrize("vantage", Vantage)
def test_head_and_end_are_read_as_they_were_written(
    how: Ending, vantage: Vantage
) -> None:
    end = End(how, 12, 1011, "réason\n")
    trace = replace(trace_of(end=end), vantage=vantage, opened=None)
    trace = replace(trace, lag=Lag(3, (1, 2)), version="0.33.1.dev5+g1a2b3c")
    trace = replace(trace, pings=(Ping(3, 0), Ping(4, 7), Ping(8)))
    assert loads(trace.dumps()) == trace


@pytest.mark.parametrize(
    ("code", "said"),
    [(1000, "with code 1000"), (1005, "without a code"), (None, "without a code")],
)
def test_a_close_code_in_a_sentence(code: int | None, said: str) -> None:
    assert with_code(code) == End(Ending.CLOSED_BY_PEER, 0, code).coded == said


times = st.integers(0, 2**63 - 1)
maybe = st.none() | times
records = st.builds(
    Record,
    st.sampled_from(Sender),
    times,
    text=st.none() | st.text(),
    data=st.none() | st.binary(),
    due=maybe,
    woke=maybe,
    span=st.none() | st.builds(Span, st.text(), times, times),
    raw=st.booleans(),
)


pings = st.lists(st.builds(Ping, times, maybe), max_size=3).map(tuple)


@given(st.lists(records, max_size=5), maybe, st.text(), pings, st.text())
def test_any_trace_is_read_as_it_was_written(
    held: list[Record],
    opened: int | None,
    reason: str,
    pings: tuple[Ping, ...],
    version: str,
) -> None:
    trace = trace_of(*held, end=End(Ending.BROKEN, 0, None, reason))
    trace = replace(trace, opened=opened, pings=pings, version=version)
    assert loads(trace.dumps()) == trace


def test_the_file_is_json_lines_with_its_format_first(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    trace_of(RECORDS["text"], RECORDS["at zero"]).write(path)
    head, first, second, tail = map(json.loads, path.read_text().splitlines())
    assert next(iter(head.items())) == ("format", FORMAT)
    assert first == {"sender": "server", "at": 1, "text": "a"}
    assert second == {"sender": "client", "at": 0, "text": "a", "due": 0, "woke": 0}
    assert "version" not in head
    assert set(tail) == {"end", "lag"}
    assert read(path) == trace_of(RECORDS["text"], RECORDS["at zero"])


def test_the_version_is_in_the_head_and_pings_are_at_the_end() -> None:
    trace = replace(trace_of(), version="0.33.0", pings=(Ping(0, 2), Ping(4)))
    head, tail = map(json.loads, trace.dumps().splitlines())
    assert head["version"] == "0.33.0"
    assert tail["pings"] == [{"sent": 0, "answered": 2}, {"sent": 4, "answered": None}]


def test_the_start_is_kept_for_any_time_zone() -> None:
    zone = timezone(timedelta(hours=-7))
    trace = replace(trace_of(), started=datetime(2026, 3, 4, 5, 6, 7, 89, zone))
    assert loads(trace.dumps()).started == trace.started


# What cannot be read


HEAD, LINE, TAIL = trace_of(RECORDS["text"]).dumps().splitlines()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "not a trace: a trace has a head line and an end line"),
        ([HEAD], "not a trace: a trace has a head line and an end line"),
        ([b"{", TAIL], "not a trace: line 1: "),
        ([b"{}", TAIL], "not a trace: line 1: .*`format`"),
        ([b'{"format":3,"kind":"run"}', TAIL], "not a trace, but a JSON Lines report"),
        ([b'{"format":1}', TAIL], "line 1: .*`vantage`"),
        ([HEAD.replace(b"client", b"moon"), TAIL], "line 1: .*'moon'"),
        (
            [b'{"format":2,"new":0}', TAIL],
            "the trace has format 2, but this version reads format 1 only",
        ),
        ([HEAD, LINE, b"no JSON", TAIL], "line 3: "),
        ([HEAD, b'{"sender":"client"}', TAIL], "line 2: .*`at`"),
        (
            [HEAD, b'{"sender":"server","at":1,"text":"\xff"}', TAIL],
            "line 2: .*(?i:utf-8)",
        ),
        (
            [HEAD, b'{"sender":"server","at":1,"x":' + b"[" * 99_999, TAIL],
            "line 2: .*recursion",
        ),
        ([HEAD, LINE], "line 2: .*`end`.*may be cut off"),
        ([HEAD[:-1] + b',"version":1}', TAIL], "line 1: .*`str`.*version"),
        ([HEAD, TAIL[:-1] + b',"pings":[{}]}'], "line 2: .*`sent`.*pings"),
        ([HEAD, LINE, TAIL, b'{"cut'], "line 3: "),
    ],
)
def test_a_file_that_is_not_a_trace_is_refused_with_file_and_line(
    lines: list[bytes], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=rf"one\.jsonl: {message}"):
        read(path)
    with pytest.raises(ValueError, match=f"^{message}"):
        loads(path.read_bytes())


# Stored traces


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder; give a file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["vllm-sound.jsonl", "vllm-broken.jsonl"])
def test_a_stored_trace_still_reads(name: str) -> None:
    trace = read(GOLDEN / name)
    assert trace.dumps() == (GOLDEN / name).read_bytes()
    assert trace.vantage is Vantage.CLIENT
    assert trace.target == "ws://gpu-7:8000/v1/realtime"
    assert trace.started == datetime(2026, 11, 20, 9, 30, 0, 125_000, tzinfo=UTC)


def test_a_stored_trace_keeps_what_was_recorded() -> None:
    sound, broken = (
        read(GOLDEN / f"vllm-{name}.jsonl") for name in ("sound", "broken")
    )
    assert len(sound.records) == 22
    assert sound.records[1].data == b"\x00\xff"
    assert sound.records[1].raw
    assert sound.records[7].span == Span("go-forward", 0, 1600)
    assert sound.end.how is Ending.CLOSED_BY_US
    assert sound.lag == Lag(60, (1_400_000,))
    assert broken.end.how is Ending.CLOSED_BY_PEER
    assert (broken.end.code, broken.end.reason) == (1011, "unexpected condition")
    assert broken.lag == NO_LAG


def test_a_stored_trace_knows_no_version_and_no_pings() -> None:
    trace = read(GOLDEN / "vllm-sound.jsonl")
    assert (trace.version, trace.pings) == ("", ())
