"""The table of all utterances, for the terminal and as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.metrics.accuracy import Languages
from pytest_realtime_asr.report import languages, utterances
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.utterances import COLUMNS, Appender
from tests.support.servers import CLIP, took


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


def cells(line: bytes) -> dict[str, str]:
    (row,) = csv.reader(io.StringIO(line.decode()))
    return dict(zip(COLUMNS, row, strict=True))


def test_the_lines_of_the_terminal(good: Transcription, hung: Transcription) -> None:
    words = len(CLIP.text.split())
    other = replace(good, utterance=replace(CLIP, text=f"hippopotamus {CLIP.text}"))
    found = utterances.lines([good, hung, other, good])
    lost = found[0]
    assert lost.startswith(f"  {CLIP.id}: hung, WER 100.0%, {words} wrong of {words}")
    assert found[1].startswith("    ref: ")
    # The right ones are only counted, below the wrong ones.
    assert found[-1] == "  2 utterances without an error"
    assert sum(line.startswith(f"  {CLIP.id}: ") for line in found) == 2
    assert any("D=1" in line for line in found)
    assert all(len(line) <= 80 for line in found)
    silent = replace(good, utterance=replace(CLIP, text=""))
    (first, *_) = utterances.lines([silent])
    assert first == f"  {CLIP.id}: {words} words recognised where nothing was said"
    assert utterances.lines([]) == []


def test_a_row(good: Transcription, hung: Transcription) -> None:
    found = cells(utterances.row("test_it.py::test_it", good))
    assert (found["wer"], found["errors"], found["lost"]) == ("0.0000", "0", "")
    assert found["text"] == good.text
    assert found["aligned_text"].split("|") == CLIP.text.split()
    lost = cells(utterances.row("test_it.py::test_it", hung))
    assert (lost["wer"], lost["lost"]) == ("1.0000", "hung")
    assert set(lost["aligned_errors"].split("|")) == {"D"}
    silent = replace(good, utterance=replace(CLIP, text=""))
    found = cells(utterances.row("t", silent))
    assert (found["wer"], found["errors"]) == ("", "0")
    assert int(found["unspoken"]) > 0


def test_a_text_stays_in_its_row(good: Transcription) -> None:
    text = 'say "go, on"\r\nand\x00 \ud800\U0001f600 =1+1'
    odd = replace(good, utterance=replace(CLIP, text=text))
    found = cells(utterances.row('a "test", b', odd))
    assert found["test"] == 'a "test", b'
    assert found["reference"] == (r'say "go, on"\r\nand\x00 \ud800' + "\U0001f600 =1+1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("-1 degree", "'-1 degree"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("1 = 1", "1 = 1"),
    ],
)
def test_a_cell_is_not_executed(good: Transcription, text: str, shown: str) -> None:
    odd = replace(good, utterance=replace(CLIP, text=text))
    assert cells(utterances.row("t", odd))["reference"] == shown


def test_the_header_is_written_once(tmp_path: Path, good: Transcription) -> None:
    sinks = [Appender(ReportFile(tmp_path / "out.csv", shared=tmp_path)) for _ in "ab"]
    for sink in sinks:  # as two workers of xdist
        sink("test", good)
        sink("test", replace(good, purpose=Purpose.PARITY))
    lines = (tmp_path / "out.csv").read_bytes().splitlines(keepends=True)
    assert lines[0] == utterances.header()
    assert [cells(line)["utterance"] for line in lines[1:]] == [CLIP.id] * 2


def test_the_notes_about_languages() -> None:
    stated = Languages(of=3)
    assert (languages.short(stated), languages.lines(stated)) == ("", [])
    some = Languages(3, 1, ("basic/2",), ("el", "th"))
    assert languages.short(some) == (
        "no language stated for 1 of 3, "
        "language el, th inferred from the writing system"
    )
    unknown, script = languages.lines(some)
    assert unknown.startswith(
        "WER: no language is stated for 1 of 3 utterances, so the normaliser "
        "basic/2 was used"
    )
    assert "el, th was inferred from the writing system" in script
