"""Pages that are made of the JSON Lines report and the traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.page import offline
from pytest_realtime_asr.report.page.appender import Appender
from pytest_realtime_asr.report.page.clips import Clips
from tests.support.pages import RUN, of
from tests.support.servers import took


@pytest.fixture(scope="module")
def takes(loop: Loop) -> list[Transcription]:
    return [took(loop), took(loop, "loses-head")]


@pytest.fixture
def report(tmp_path: Path, takes: list[Transcription]) -> Path:
    """A report, the page of the same run, and the trace of the first session."""
    lines = jsonl.Appender(ReportFile(tmp_path / "out.jsonl"), RUN)
    page = Appender(ReportFile(tmp_path / "live.html"), RUN, Clips())
    for take in takes:
        lines("t", take)
        page("t", take)
    folder = tmp_path / offline.FOLDER / "t-01234567"
    folder.mkdir(parents=True)
    (folder / "000-turn-right.jsonl").write_bytes(takes[0].dumps() or b"")
    return tmp_path / "out.jsonl"


def test_the_page_equals_the_page_of_the_run(report: Path) -> None:
    live = (report.parent / "live.html").read_bytes()
    made = b"".join(offline.page(report))
    assert of(made, "run") == of(live, "run")
    first, second = of(made, "session")
    live_first, live_second = of(live, "session")
    assert first == live_first
    assert "chart" not in second  # its trace was not kept
    del live_second["chart"]
    assert second == live_second
    rows = of(made, "row")
    assert rows[0]["trace"].endswith("000-turn-right.jsonl")
    for row, other in zip(rows, of(live, "row"), strict=True):
        assert {**row, "trace": ""} == other


def test_a_corpus_adds_the_audio(report: Path) -> None:
    found = offline.page(report, corpus=corpus.load("bundled:english"))
    (clip,) = of(b"".join(found), "clip")
    assert clip["audio"] == of(b"".join(offline.page(report)), "row")[0]["audio"]


def test_an_incomplete_line_is_left_out(report: Path) -> None:
    with report.open("ab") as file:
        file.write(b'{"kind":"utter')
    assert len(of(b"".join(offline.page(report)), "row")) == 2


def test_a_wrong_report_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(ValueError, match=r"out\.jsonl: No such file"):
        list(offline.page(path))
    path.write_text('{"kind":"run","format":3}\n')
    with pytest.raises(ValueError, match="no completed utterance"):
        list(offline.page(path))
    path.write_text("test,utterance\nt,turn-right\n")
    with pytest.raises(ValueError, match="not a JSON Lines report; give a file"):
        list(offline.page(path))
    path.write_text('{"format":2,"test":"t"}\n')
    with pytest.raises(ValueError, match=r"out\.jsonl:1: the line has format 2"):
        list(offline.page(path))


def test_a_trace_and_a_wrong_folder_are_refused(report: Path) -> None:
    (trace,) = report.parent.rglob("000-*.jsonl")
    with pytest.raises(ValueError, match="not a JSON Lines report, but a trace"):
        list(offline.page(trace))
    with pytest.raises(ValueError, match="nowhere: there is no such folder"):
        list(offline.page(report, traces=report.with_name("nowhere")))


def test_the_page_of_a_killed_run_says_that_its_end_is_not_known(report: Path) -> None:
    (end,) = of(b"".join(offline.page(report)), "end")
    assert (end["unknown"], end["interrupted"]) == (True, False)
    jsonl.Appender(ReportFile(report), RUN).end(interrupted=True)
    (end,) = of(b"".join(offline.page(report)), "end")
    assert (end["unknown"], end["interrupted"]) == (False, True)


def test_a_damaged_trace_is_reported(report: Path) -> None:
    (path,) = report.parent.rglob("000-*.jsonl")
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    first, _ = of(b"".join(offline.page(report)), "session")
    assert "not a trace" in first["failed"]["chart"]


def test_the_command_writes_the_page_beside_the_report(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "html", str(report)]) == 0
    page = report.with_suffix(".html")
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_bytes() == b"".join(offline.page(report))


def test_earlier_reports_add_the_trend(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = report.with_name("earlier.jsonl")
    earlier.write_bytes(report.read_bytes())
    damaged = report.with_name("damaged.jsonl")
    damaged.write_text("x\n")
    names = [str(report), "--history", str(earlier), str(damaged)]
    assert main(["report", "html", *names]) == 0
    page = report.with_suffix(".html").read_text()
    assert page.count('<template data-kind="trend">') == 1
    assert "earlier.jsonl" in page
    assert "left out: " in capsys.readouterr().err
