"""Traces in Chrome's trace event format."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.report.perfetto import LATENESS, LEVEL, document
from pytest_realtime_asr.text.privacy import without_texts
from pytest_realtime_asr.trace.records import Ping, Record, Sender, Trace, read
from tests.support.paths import FIXTURES, ROOT

LATE = read(ROOT / "examples/traces/late.jsonl")
SOUND = read(ROOT / "examples/traces/sound.jsonl")
OLD = read(FIXTURES / "traces" / "vllm-broken.jsonl")
# The metadata events of the format, with the type of their only argument.
METADATA = {
    "process_name": ("name", str),
    "process_sort_index": ("sort_index", int),
    "thread_name": ("name", str),
    "thread_sort_index": ("sort_index", int),
}
Event = dict[str, Any]


def events(*traces: Trace) -> list[Event]:
    """Return the events of a document, after they were checked against the format."""
    found = json.loads(document(traces))
    assert found.keys() == {"traceEvents", "displayTimeUnit", "otherData"}
    assert found["displayTimeUnit"] in ("ms", "ns")
    for event in found["traceEvents"]:
        check(event)
    every: list[Event] = found["traceEvents"]
    used = {(each["pid"], each["tid"]) for each in every if each["ph"] in "Xi"}
    named = {
        (each["pid"], each["tid"]) for each in every if each["name"] == "thread_name"
    }
    assert used <= named
    processes = [each["pid"] for each in every if each["name"] == "process_name"]
    assert processes == sorted({each["pid"] for each in every})
    overlaps(every)
    return every


def check(event: Event) -> None:
    """Check one event against the format."""
    assert isinstance(event["name"], str)
    assert event["name"].isprintable()
    assert event["ph"] in ("X", "i", "C", "M")
    assert isinstance(event["pid"], int)
    assert isinstance(event["tid"], int)
    args = event.get("args", {})
    fields = {"name", "ph", "pid", "tid", "args"}
    if event["ph"] == "M":
        name, kind = METADATA[event["name"]]
        assert args.keys() == {name}
        assert isinstance(args[name], kind)
    else:
        fields |= {"ts"}
        assert event["ts"] >= 0
    if event["ph"] == "X":
        fields |= {"dur"}
        assert event["dur"] >= 0
    if event["ph"] == "i":
        fields |= {"s"}
        assert event["s"] == "t"
    if event["ph"] == "C":
        assert args
        assert all(isinstance(each, int | float) for each in args.values())
    assert event.keys() <= fields


def overlaps(every: list[Event]) -> None:
    """Check that the events of a thread do not overlap."""
    threads: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for event in every:
        if event["ph"] == "X":
            threads[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in threads.values():
        for (_, stop), (start, _) in pairwise(sorted(spans)):
            assert start >= stop - 0.001  # rounding, in us


def track(every: list[Event], name: str) -> list[Event]:
    """Return the events of the threads with a name."""
    tids = {
        each["tid"]
        for each in every
        if each["name"] == "thread_name" and each["args"]["name"] == name
    }
    return [each for each in every if each["tid"] in tids and each["ph"] in "Xi"]


def test_a_session_has_all_of_its_tracks() -> None:
    every = events(LATE)
    frames = track(every, "client frames"), track(every, "server frames")
    senders = [record.sender for record in LATE.records]
    assert [len(each) for each in frames] == [
        senders.count(side) for side in (Sender.CLIENT, Sender.SERVER)
    ]
    words = [each["name"] for each in track(every, "words as spoken")]
    assert words == ["open", "the", "front", "door"]
    texts = [each["name"] for each in track(every, "text shown")]
    assert texts == [" the", " the front", " the front door", "open the front door"]
    (broken,) = track(every, "violations")
    final = frames[1][-1]
    assert (broken["name"], broken["ts"]) == ("deltas-add-up", final["ts"])
    counters = {each["name"] for each in every if each["ph"] == "C"}
    assert counters == {LEVEL, LATENESS}


def test_the_times_are_those_of_the_trace_in_us() -> None:
    frames = track(events(LATE), "client frames")
    records = [each for each in LATE.records if each.sender is Sender.CLIENT]
    for frame, record in zip(frames, records, strict=True):
        assert frame["ts"] == (record.woke or 0) / 1000
        assert frame["args"]["sent_us"] == record.at / 1000
        assert frame["args"]["due_us"] == (record.due or 0) / 1000
    late = [each for each in events(LATE) if each["name"] == LATENESS]
    assert late[0]["args"]["ms"] == (records[0].times[1] - records[0].times[0]) / 1e6
    # The first word is spoken one frame after the first frame of audio began.
    (word, *_) = track(events(LATE), "words as spoken")
    first = next(each for each in records if each.span is not None)
    start = LATE.spoken[0].words[0].start
    assert first.span is not None
    due = (first.due or 0) - first.span.stop / LATE.rate * 1e9
    assert abs(word["ts"] - (due / 1000 + start * 1e6)) < 100  # us


def test_sessions_are_placed_by_their_start() -> None:
    later = replace(SOUND, started=LATE.started + timedelta(seconds=3))
    every = events(LATE, later)
    connects = [each["ts"] for each in every if each["name"] == "connect"]
    assert connects == [0, 3e6]


def test_a_broken_session_without_a_description() -> None:
    every = events(OLD)
    assert track(every, "words as spoken") == []
    assert {"order", "well-formed"} <= {
        each["name"] for each in track(every, "violations")
    }


def test_a_private_trace_has_no_text() -> None:
    records = [
        replace(each, text=without_texts(each.text or ""))
        if each.span is None
        else each
        for each in LATE.records
    ]
    spoken = tuple(each.without_texts for each in LATE.spoken)
    private = replace(LATE, records=tuple(records), spoken=spoken)
    assert b"front door" in document([LATE])
    text = document([private])
    assert b"front" not in text.replace(b"open-door", b"")
    assert track(events(private), "violations") == []


@given(
    st.lists(st.sampled_from(LATE.records), max_size=30),
    st.lists(
        st.builds(Ping, st.integers(0, 10**9), st.none() | st.integers(0, 10**10)),
        max_size=4,
    ),
)
def test_any_session_follows_the_format(
    records: list[Record], pings: list[Ping]
) -> None:
    pings = sorted(pings, key=lambda each: each.sent)
    events(replace(LATE, records=tuple(records), pings=tuple(pings)))
