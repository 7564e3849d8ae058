"""The trend on a page: this run and the earlier ones, as `report trend` shows them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pytest_realtime_asr.report import recorded_runs, trend_page
from pytest_realtime_asr.report.page import history
from pytest_realtime_asr.verdicts.trend import trend
from tests.support.paths import ROOT

NIGHTS = sorted((ROOT / "examples/nightly/trend").glob("*.jsonl"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The report of this run: a copy of the last night."""
    return Path(shutil.copy(NIGHTS[-1], tmp_path / "own.jsonl"))


def block(earlier: list[Path], own: Path, **more: bool) -> str:
    told: list[str] = []
    found = history.block(earlier, own, tell=told.append, **more).decode()
    assert told == []
    return found


def test_the_trend_contains_all_runs(own: Path) -> None:
    runs = recorded_runs.read_all(NIGHTS, tell=lambda text: None)
    part = trend_page.part(trend(runs), level=3)
    expected = part.replace("night-10.jsonl", "this run").replace("\n", " ")
    found = block(NIGHTS[:-1], own)
    assert found == f'<template data-kind="trend">{expected}</template>'
    assert "worse from night-06.jsonl on" in found


def test_this_run_is_not_counted_twice(own: Path) -> None:
    assert block([*NIGHTS[:-1], own], own) == block(NIGHTS[:-1], own)


def test_an_interrupted_run_is_reported(own: Path) -> None:
    found = block(NIGHTS[:-1], own, interrupted=True)
    assert "this run was interrupted" in found
    assert len(re.findall('class="point hollow"', found)) == 5  # one in each drawing


def test_without_an_earlier_report_there_is_no_trend(own: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.jsonl: No such file"):
        block([tmp_path / "gone.jsonl"], own)
    with pytest.raises(ValueError, match="there is no report"):
        block([own], own)
