"""What ``trace show`` prints."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr import corpus
from pytest_realtime_asr.report import trace_show
from pytest_realtime_asr.report.alignment import columns
from pytest_realtime_asr.report.transcript import WIDTH
from pytest_realtime_asr.text.privacy import without_texts
from pytest_realtime_asr.trace.records import Trace, read
from tests.support.paths import FIXTURES, ROOT

LATE = read(ROOT / "examples/traces/late.jsonl")
OLD = read(FIXTURES / "traces" / "vllm-sound.jsonl")


def shown(trace: Trace, item: int | None = None, *, width: int = 80) -> list[str]:
    return list(trace_show.lines(trace, item=item, width=width))


def test_it_shows_the_texts_the_strip_the_frames_and_the_violations() -> None:
    lines = shown(LATE)
    assert lines[2].startswith("utterance: open-door, 1.7 s of audio, final ")
    kinds = ("ref: open the front door", "hyp: open the front door", "  audio ")
    places = [
        next(i for i, line in enumerate(lines) if line.startswith(kind))
        for kind in (*kinds, ">", "deltas-add-up [MUST]: ")
    ]
    assert places == sorted(places)
    assert places[-1] == len(lines) - 1


def test_an_utterance_that_is_not_described_is_shown_without_its_reference() -> None:
    lines = shown(OLD)
    assert "text: 'go forward'" in lines
    assert not any(line.startswith("ref: ") for line in lines)
    english = corpus.load("bundled:english")
    lines = list(trace_show.lines(OLD, corpus=english))
    assert "ref: go forward 10 meters" in lines


def test_an_utterance_that_the_trace_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no utterance 3 .* has the utterances: 1$"):
        shown(LATE, 2)


def test_a_private_trace_shows_no_text_and_no_requirement() -> None:
    records = [
        replace(each, text=without_texts(each.text or ""))
        if each.span is None
        else each
        for each in LATE.records
    ]
    spoken = tuple(each.without_texts for each in LATE.spoken)
    lines = shown(replace(LATE, records=tuple(records), spoken=spoken))
    assert not any("door" in line for line in lines if "open-door" not in line)
    assert lines[-1].startswith("requirements are not checked")
    assert any("*: a partial" in line for line in lines)


@given(
    st.lists(st.sampled_from(LATE.records), max_size=30),
    st.integers(60, 120),
    st.text(max_size=20),
)
def test_any_session_can_be_shown(
    records: list[object], width: int, session: str
) -> None:
    trace = replace(LATE, records=tuple(records), target=session)  # type: ignore[arg-type]
    for line in shown(trace, width=width):
        assert line.isprintable()
        if " [" not in line:  # a violation
            assert columns(line) <= max(width, WIDTH, 200)
