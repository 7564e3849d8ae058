"""The first difference between two recorded sessions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr import dialects
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Record, Sender, Span, Trace, read
from pytest_realtime_asr.verdicts.divergence import (
    Parting,
    WordTimes,
    parting,
    steps,
    word_times,
)
from tests.support.paths import ROOT

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
SOUND = read(ROOT / "examples/traces/sound.jsonl")
LATE = read(ROOT / "examples/traces/late.jsonl")
DELTA = "transcription.delta"


def recording(trace: Trace) -> Recording:
    return dialects.recording(dialects.load(trace.dialect), trace)


def changed(trace: Trace, change: Callable[[str], str]) -> Recording:
    """Return a session in which the texts of the frames are changed."""
    records = [
        replace(each, text=change(each.text or "")) if each.span is None else each
        for each in trace.records
    ]
    return recording(replace(trace, records=tuple(records)))


def chunked(trace: Trace, sizes: Sequence[int]) -> Recording:
    """Return a session whose audio is divided into other frames."""
    records: list[Record] = []
    for record in trace.records:
        span = record.span
        if span is None:
            records.append(record)
            continue
        start = span.start
        for size in sizes:
            stop = min(span.stop, start + size)
            if stop > start:
                part = Span(span.asset, start, stop)
                records.append(replace(record, span=part))
            start = stop
        if start < span.stop:
            records.append(replace(record, span=Span(span.asset, start, span.stop)))
    return recording(replace(trace, records=tuple(records)))


def first(one: Recording, other: Recording, sender: Sender) -> Parting | None:
    return parting(steps(one, sender), steps(other, sender))


@given(st.lists(st.integers(1, 700), max_size=6))
def test_the_division_of_the_audio_does_not_count(sizes: list[int]) -> None:
    one, other = recording(SOUND), chunked(SOUND, sizes)
    assert first(one, other, CLIENT) is None
    assert first(one, other, SERVER) is None
    audio = [step for step in steps(other, CLIENT) if step.audio]
    assert sum(step.frames for step in audio) == sum(
        record.span is not None for record in other.trace.records
    )


def test_ids_and_times_of_the_server_do_not_count() -> None:
    def other_ids(text: str) -> str:
        value = json.loads(text)
        value |= {key: 7 for key in ("id", "created") if key in value}
        return json.dumps(value)

    assert first(recording(SOUND), changed(SOUND, other_ids), SERVER) is None


@given(st.data())
def test_sessions_diverge_at_a_changed_frame(data: st.DataObject) -> None:
    places = [i for i, each in enumerate(SOUND.records) if DELTA in str(each.text)]
    place = data.draw(st.sampled_from(places))
    records = list(SOUND.records)
    text = (records[place].text or "").replace('"delta":"', '"delta":"x')
    records[place] = replace(records[place], text=text)
    other = recording(replace(SOUND, records=tuple(records)))
    found = first(recording(SOUND), other, SERVER)
    assert found is not None
    assert found.one is not None
    assert found.other is not None
    assert found.one.index == found.other.index == place
    assert first(recording(SOUND), other, CLIENT) is None


def test_a_session_that_ends_early_has_no_further_step() -> None:
    short = recording(replace(SOUND, records=SOUND.records[:-1]))
    found = first(recording(SOUND), short, SERVER)
    assert found is not None
    assert found.other is None
    assert found.one is not None
    assert found.one.move == "transcription.done"


def test_sessions_with_other_audio_of_the_same_name_diverge() -> None:
    (spoken,) = SOUND.spoken
    louder = replace(SOUND, spoken=(replace(spoken, digest="0" * 16),))
    found = first(recording(SOUND), recording(louder), CLIENT)
    assert found is not None
    assert found.one is not None
    assert found.one.audio == "open-door"


@pytest.mark.parametrize("frame", [b"\0\1", "no JSON", "[1]", "[" * 2000])
def test_any_frame_can_be_compared(frame: str | bytes) -> None:
    text, data = (frame, None) if isinstance(frame, str) else (None, frame)
    record = Record(SERVER, 10, text, data)
    one = recording(replace(SOUND, records=(record,)))
    assert first(one, one, SERVER) is None
    assert first(one, recording(SOUND), SERVER) is not None


def test_the_times_of_the_words() -> None:
    one, other = recording(SOUND), recording(LATE)
    same = word_times(one, one, (0, 0), None)
    assert [each.word for each in same] == ["open", "the", "front", "door"]
    assert all(each.one == each.other for each in same)
    final = LATE.records[-1].at  # it replaces the texts before
    found = word_times(one, other, (0, 0), None)
    assert [each.one for each in found] == [each.one for each in same]
    assert {each.other for each in found} == {final}


def test_words_that_only_one_text_has() -> None:
    other = changed(SOUND, lambda text: text.replace(" front", " back"))
    found = word_times(recording(SOUND), other, (0, 0), None)
    alone = [each for each in found if None in (each.one, each.other)]
    assert alone == [
        WordTimes("front", alone[0].one, None),
        WordTimes("back", None, alone[0].one),
    ]
