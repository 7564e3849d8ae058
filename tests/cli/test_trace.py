"""The command ``trace`` shows a kept trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from tests.support.paths import ROOT

TRACES = ROOT / "fixtures" / "traces"


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["trace", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_sound_session_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(TRACES / "vllm-sound.jsonl")
    lines = shown(capsys, file)
    assert ", vllm" in lines[0]
    assert lines[1].startswith("session ")
    assert not any("[MUST]" in line for line in lines)
    assert any("..." in line and line.endswith(" frames") for line in lines)
    every = shown(capsys, file, "--all")
    assert len(every) > len(lines)
    assert not any(line.endswith(" frames") for line in every)


def test_the_frames_of_a_violation_are_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(capsys, str(TRACES / "vllm-broken.jsonl"))
    assert any(line.startswith(">") for line in lines)
    assert any(" [MUST]: " in line for line in lines)


def test_what_is_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "other.jsonl"
    assert main(["trace", str(file)]) == 2
    file.write_text("{}")
    assert main(["trace", str(file)]) == 2
    missing, wrong = capsys.readouterr().err.splitlines()
    assert "other.jsonl" in missing
    assert "other.jsonl" in wrong
