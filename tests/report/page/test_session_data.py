"""The data of a session, from its line and its chart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.page import session_data
from pytest_realtime_asr.report.page.appender import chart
from pytest_realtime_asr.report.session_chart import Mark
from tests.support.pages import RUN
from tests.support.servers import CLIP, took


@pytest.fixture(scope="module")
def take(loop: Loop) -> Transcription:
    return took(loop)


def test_a_row_has_the_numbers_of_its_line(take: Transcription) -> None:
    line = json.loads(jsonl.line("t", take, RUN))
    row = session_data.row(line, take.label)
    names = [each["name"] for each in session_data.metric_columns()]
    assert dict(zip(names, row["metrics"], strict=True)) == line["metrics"]
    assert (row["wer"], row["lost"]) == (line["wer"], line["lost"])
    assert row["label"] == take.label


def test_a_detail_has_the_chart(take: Transcription) -> None:
    line = json.loads(jsonl.line("t", take, RUN))
    drawn = chart(take)
    assert drawn is not None
    found = session_data.detail(line, drawn, take.alignment)
    compact = found["chart"]
    final = drawn.first(Mark.FINAL)
    assert final is not None
    marks = {kind: (at, text) for kind, at, text, _ in compact["marks"]}
    assert marks["final"] == (pytest.approx(final.at, abs=0.1), CLIP.text)
    assert len(compact["frames"]) == len(drawn.frames)
    assert [word for word, *_ in compact["words"]] == [w.text for w in CLIP.words]
    assert [pair[0] for pair in found["pairs"]] == CLIP.text.split()
    assert len(json.dumps(found)) < 12_000


def test_a_private_detail_has_no_text_and_no_audio(take: Transcription) -> None:
    line = json.loads(jsonl.line("t", take, RUN))
    found = session_data.detail(line, chart(take), take.alignment, private=True)
    written = json.dumps(found)
    assert not any(word in written for word in CLIP.text.split())
    assert {"envelope", "words"}.isdisjoint(found["chart"])
    assert {"text", "reference", "pairs"}.isdisjoint(found)


def test_long_texts_and_sessions_are_cut(take: Transcription) -> None:
    line = {**json.loads(jsonl.line("t", take, RUN)), "text": "x" * 100_000}
    assert len(session_data.row(line, "s")["text"]) < 300
    found = session_data.detail(line, None, None)
    assert len(found["text"]) < session_data.LONGEST + 100
    assert "characters left out" in found["text"]


def test_the_worst_session_is_the_first() -> None:
    lines: list[tuple[dict[str, object], bool]] = [
        ({"lost": "", "wer": 0.1}, False),
        ({"lost": "hung", "wer": 1.0}, False),
        ({"lost": "", "wer": 0.5}, True),
        ({"lost": "", "wer": None}, False),
    ]
    assert session_data.ranks(lines) == [1, 2, 0, 3]


def test_style_and_script_are_small() -> None:
    folder = Path(session_data.__file__).parent
    assert sum(path.stat().st_size for path in folder.glob("*.js")) < 60_000
    assert (folder / "page.css").stat().st_size < 12_000
