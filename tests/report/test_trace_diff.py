"""What ``trace diff`` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.report.trace_diff import compare
from pytest_realtime_asr.text.privacy import without_texts
from pytest_realtime_asr.trace.records import Trace, read
from tests.support.paths import FIXTURES, ROOT

SOUND, LATE = (ROOT / "examples/traces" / f"{n}.jsonl" for n in ("sound", "late"))


def changed(path: Path, old: str, new: str) -> Trace:
    """Return a trace with another text in all of its frames."""
    trace = read(path)
    records = [
        replace(each, text=each.text.replace(old, new)) if each.text else each
        for each in trace.records
    ]
    return replace(trace, records=tuple(records))


def test_a_session_is_the_same_as_itself() -> None:
    found = compare(SOUND, SOUND)
    assert found.same
    assert "text: the same: 'open the front door'" in found.lines
    (row,) = [line.split() for line in found.lines if line.startswith("final ")]
    assert row == ["final", "1993", "1993", "0"]


def test_sessions_that_differ_are_shown_from_the_first_difference() -> None:
    found = compare(SOUND, LATE)
    assert not found.same
    (client,) = [line for line in found.lines if line.startswith("client: ")]
    assert client.startswith("client: the same 4 steps")
    place = found.lines.index("server: differs after 1 equal step")
    before, here = found.lines[place + 1 : place + 3], found.lines[place + 3 :][:2]
    assert all("session.created" in line for line in before)
    assert [line[:4] for line in here] == [" > A", " > B"]
    assert 'transcription.delta {"delta":"open"}' in here[0]
    assert 'transcription.delta {"delta":" the"}' in here[1]
    (row,) = [line.split() for line in found.lines if "final_from_commit" in line]
    assert row == ["final_from_commit", "252", "ms", "951", "ms", "+699"]


def test_texts_that_differ_are_aligned(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    changed(SOUND, "front", "back").write(other)
    found = compare(SOUND, other)
    assert not found.same
    place = found.lines.index("text:")
    assert found.lines[place + 1] == "A: open the front door"
    assert found.lines[place + 2].rstrip() == "B: open the back  door"
    (front,) = [line.split() for line in found.lines if line.startswith("  front ")]
    assert front[2] == "-"
    changed(SOUND, "front door", "front door.").write(other)
    found = compare(SOUND, other)
    assert "text: differs only in case, punctuation or spelling" in found.lines
    assert not found.same


def test_differences_of_the_client_are_shown_first(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    changed(SOUND, '"model":"scripted"', '"model":"large"').write(other)
    found = compare(SOUND, other)
    assert "client: differs after 0 equal steps" in found.lines
    assert any('"model":"large"' in line for line in found.lines)
    assert any(line.startswith("server: the same ") for line in found.lines)


def test_sessions_that_cannot_be_compared(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    replace(read(SOUND), dialect="vosk").write(other)
    with pytest.raises(ValueError, match=r"different dialects \(vllm, vosk\)"):
        compare(SOUND, other)
    with pytest.raises(ValueError, match="no utterance 2 in the session"):
        compare(SOUND, LATE, item=1)
    replace(read(SOUND), records=read(SOUND).records[:2]).write(other)
    with pytest.raises(ValueError, match=r"other\.jsonl: no audio was sent"):
        compare(SOUND, other)


def test_a_long_text_shows_its_first_words(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    text = " ".join(f"{one}o{other}" for one in "bdfgk" for other in "dgklmnprst")
    changed(SOUND, "open the front door", text).write(other)
    (note,) = [line for line in compare(other, other).lines if "--all" in line]
    assert note == "  30 more words; --all shows them"
    assert not any("--all" in line for line in compare(other, other, whole=True).lines)


def test_a_trace_that_is_not_described_and_a_private_one(tmp_path: Path) -> None:
    old = FIXTURES / "traces" / "vllm-sound.jsonl"
    assert compare(old, old).same
    private = tmp_path / "private.jsonl"
    trace = read(SOUND)
    records = [
        replace(each, text=without_texts(each.text or ""))
        if each.span is None
        else each
        for each in trace.records
    ]
    spoken = tuple(each.without_texts for each in trace.spoken)
    replace(trace, records=tuple(records), spoken=spoken).write(private)
    found = compare(private, private)
    assert not any("front" in line for line in found.lines)
    assert not any(line.startswith("metrics") for line in found.lines)
