"""Pages that are written while a run measures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.page.appender import Appender, session_line
from pytest_realtime_asr.report.page.clips import Clips
from pytest_realtime_asr.run.results import Results, UnjudgedLoss
from pytest_realtime_asr.text.redaction import Redactor
from tests.support.pages import RUN, blocks, of
from tests.support.servers import CLIP, took

KEY = "sk-hush-4711"


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


def appender(folder: Path) -> Appender:
    return Appender(ReportFile(folder / "out.html", shared=folder), RUN, Clips())


def test_two_processes_make_one_page(
    tmp_path: Path, good: Transcription, hung: Transcription
) -> None:
    first, second = appender(tmp_path), appender(tmp_path)
    first("t1", good)
    second("t2", hung)
    first.end(interrupted=False)
    text = (tmp_path / "out.html").read_bytes()
    assert text.count(b"<!doctype html>") == text.count(b"<style>") == 1
    kinds = [kind for kind, _ in blocks(text)]
    assert kinds == ["run", "metrics", *("row", "session") * 2, "end"]
    assert [row["lost"] for row in of(text, "row")] == ["", "hung"]
    assert of(text, "run")[0]["run"] == RUN.id


def test_a_failed_test_adds_its_verdicts_its_clip_and_its_traces(
    tmp_path: Path, hung: Transcription
) -> None:
    made = appender(tmp_path)
    made("t", hung)
    lost = UnjudgedLoss((hung,), 1)
    results = Results("t", (hung,), failing=(lost,), paths={hung.label: "a/b.jsonl"})
    made.verdicts(results)
    made.traces(results)
    text = (tmp_path / "out.html").read_bytes()
    (verdict,) = of(text, "verdict")
    assert (verdict["subject"], verdict["fails"]) == ("lost sessions", True)
    assert [clip["audio"] for clip in of(text, "clip")] == [CLIP.audio.digest]
    assert of(text, "traces") == [{hung.label: "a/b.jsonl"}]


def test_the_end_of_a_run_is_written_only_to_its_own_page(tmp_path: Path) -> None:
    path = tmp_path / "out.html"
    path.write_text("<!doctype html><!-- run 20200101T000000Z-000000 -->\n")
    earlier = path.read_bytes()
    appender(tmp_path).end(interrupted=True)
    assert path.read_bytes() == earlier


def test_a_key_that_a_server_echoes_is_removed(good: Transcription) -> None:
    records = tuple(
        replace(record, text=record.text.replace("turn", KEY))
        if record.text and record.span is None
        else record
        for record in good.trace.records
    )
    trace = replace(good.trace, records=records, redactor=Redactor([KEY]))
    take = replace(good, recording=replace(good.recording, trace=trace))
    line = session_line(jsonl.line("t", take, RUN), take)
    written = json.dumps(blocks(line))
    assert "[removed]" in written
    assert "hush" not in written


def test_a_private_run_has_no_text_and_no_audio(
    tmp_path: Path, hung: Transcription
) -> None:
    trace = replace(hung.trace, redactor=Redactor(private=True))
    take = replace(hung, recording=replace(hung.recording, trace=trace))
    made = appender(tmp_path)
    made("t", take)
    made.verdicts(
        Results("t", (take,), failing=(UnjudgedLoss((take,), 1),), private=True)
    )
    text = (tmp_path / "out.html").read_bytes()
    data = [value for kind, value in blocks(text) if kind in ("row", "session")]
    for row in data:
        row.pop("utterance", None)  # the plugin gives each utterance another id
    written = json.dumps(data)
    assert not any(f'"{word}' in written for word in CLIP.text.split())
    assert of(text, "clip") == []
    assert "envelope" not in of(text, "session")[0]["chart"]
