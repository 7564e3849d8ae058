"""Traces that are judged again have the numbers of their run."""

from __future__ import annotations

import csv
from datetime import datetime
from typing import Any

import msgspec
import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.client import offline
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics import CATALOGUE, Group
from pytest_realtime_asr.metrics.normalizers import NONE
from pytest_realtime_asr.trace.records import read
from tests.support.project import Faking, Project, of_vllm, with_several_utterances
from tests.support.servers import faking

RUN = (
    "--realtime-report=out.jsonl",
    "--realtime-traces=kept",
    "--realtime-trace-keep=all",
    "--realtime-timeout=1s",
)
SINGLE = """
def test_each(realtime, corpus):
    realtime.transcribe([corpus["open-door"], corpus["turn-right"]])
"""
SEVERAL = """
def test_both(realtime, corpus):
    with realtime.connect() as session:
        session.transcribe(corpus["open-door"])
        session.transcribe(corpus["turn-right"])
"""
OF_SESSION = {each.name for each in CATALOGUE.values() if each.group is Group.CLIENT}


def again(project: Project) -> dict[tuple[datetime, str], Transcription]:
    """Return the transcriptions of all traces, by session and utterance."""
    takes = [
        take
        for path in sorted((project.path / "kept").rglob("*.jsonl"))
        for take in offline.transcriptions(read(path))
    ]
    return {(take.trace.started, take.utterance.id): take for take in takes}


def row_and_take(project: Project) -> list[tuple[dict[str, Any], Transcription]]:
    """Return each utterance of the report with its transcription from the trace."""
    takes = again(project)
    rows = project.rows()
    assert len(rows) == len(takes) == 2
    return [
        (row, takes[datetime.fromisoformat(row["started"]), row["utterance"]])
        for row in rows
    ]


def builtin(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


@pytest.mark.parametrize(
    "dialect", ["vllm", "openai", "openai:sglang", "sglang-omni", "vosk", "deepgram"]
)
def test_every_number_equals_the_number_in_the_report(
    project: Project, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    project.write(SINGLE)
    with faking(dialect=dialects.load(dialect), word_delay=0.01) as (url, _):
        project.run(*RUN, f"--realtime-dialect={dialect}", target=url)
    for row, take in row_and_take(project):
        for name in CATALOGUE:
            assert take.metrics[name] == row["metrics"][name], name
        assert builtin(take.premature) == row["premature"]
        assert builtin(take.alignment.errors) == row["errors"]
        assert take.characters.errors.rate == row["cer"]
        assert [str(each) for each in take.violations] == row["violations"]
        assert (take.lost, take.text) == (row["lost"], row["text"])
        assert builtin(take.usage) == row["usage"]
    monkeypatch.chdir(project.path)
    assert main(["trace", "judge", "kept", "--report", "out.jsonl"]) == 0


@pytest.mark.parametrize(
    "fault", ["no-final", pytest.param("lost-delta", marks=of_vllm), "close", "reset"]
)
def test_a_faulty_server_is_judged_as_in_the_run(
    project: Project, faulty: Faking, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    project.write(SINGLE)
    project.run(*RUN, target=faulty(fault))
    for row, take in row_and_take(project):
        assert builtin(take.metrics) == row["metrics"]
        assert (take.lost, take.alignment.errors.rate) == (row["lost"], row["wer"])
        assert [str(each) for each in take.violations] == row["violations"]
        assert row["lost"] or row["violations"]
    monkeypatch.chdir(project.path)
    assert main(["trace", "judge", "kept", "--report", "out.jsonl"]) == 0
    assert main(["trace", "judge", "kept"]) == 1


def test_errors_are_counted_in_the_text_without_the_key(
    project: Project, faulty: Faking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All views count the errors of the text that they show."""
    key = "seven.of.nine-rooms 12345"
    monkeypatch.setenv("REALTIME_API_KEY", key)
    project.write(SINGLE)
    url = faulty("shows-key-in-texts", key=key)
    project.run(*RUN, "--realtime-report=out.csv", target=url)
    table = list(csv.DictReader((project.path / "out.csv").read_text().splitlines()))
    for row, take in row_and_take(project):
        assert row["text"].endswith(" [removed]")
        assert row["errors"]["insertions"] == 1
        assert builtin(take.alignment.errors) == row["errors"]
        assert builtin(take.align(NONE).errors) == row["raw_errors"]
        assert take.characters.errors.rate == row["cer"]
        (cells,) = (each for each in table if each["utterance"] == row["utterance"])
        assert cells["insertions"] == "1"
        assert float(cells["wer"]) == pytest.approx(row["wer"], abs=1e-3)


@with_several_utterances
def test_utterances_of_one_session(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(SEVERAL)
    project.run(*RUN)
    for row, take in row_and_take(project):
        for name in CATALOGUE.keys() - OF_SESSION:
            assert take.metrics[name] == row["metrics"][name], name
    monkeypatch.chdir(project.path)
    assert main(["trace", "judge", "kept", "--report", "out.jsonl"]) == 0


def test_a_number_that_differs_from_the_report_is_shown(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project.write(SINGLE)
    project.run(*RUN)
    report = project.path / "out.jsonl"
    text = report.read_text()
    report.write_text(text.replace('"early_text":0.0', '"early_text":3.0'))
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    assert main(["trace", "judge", "kept", "--report", "out.jsonl"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(
        "metrics.early_text is 0.0, but the report has 3.0" in line for line in lines
    )
