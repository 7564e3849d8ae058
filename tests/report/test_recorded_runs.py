"""Reports are read back as runs, with their capacities, limits and machine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pytest_realtime_asr.report.recorded_runs import read, read_all
from pytest_realtime_asr.verdicts.recorded_run import Capacity
from tests.support.paths import ROOT

OLD = ROOT / "fixtures" / "reports" / "format-2.jsonl"


def report(folder: Path, *lines: dict[str, object], name: str = "r.jsonl") -> Path:
    """A report with two utterances and other lines."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    two = OLD.read_text().splitlines()[:2]
    text = "".join(f"{json.dumps({'format': 3, **line})}\n" for line in lines)
    path.write_text("\n".join(two) + "\n" + text)
    return path


def no_message(text: str) -> None:
    raise AssertionError(text)


def test_a_run_has_its_capacity_limits_and_machine(tmp_path: Path) -> None:
    path = report(
        tmp_path,
        {"kind": "run", "host": {"name": "bench", "cpus": 2}},
        {"kind": "verdict", "test": "t", "subject": "budget", "metric": "drain"},
        {
            "kind": "verdict",
            "test": "t",
            "subject": "capacity",
            "metric": "capacity",
            "value": 40,
            "interval": [38, None],
        },
    )
    found = read(path, tell=no_message)
    assert (found.name, found.host, len(found.rows)) == ("r.jsonl", "bench", 2)
    assert found.limited == ("drain",)
    assert found.capacities == {"t": Capacity(40, (38, math.inf))}
    assert not found.interrupted
    assert found.started == min(row.started for row in found.rows)


def test_an_interrupted_run_is_marked(tmp_path: Path) -> None:
    path = report(tmp_path, {"kind": "run", "interrupted": True})
    assert read(path, tell=no_message).interrupted


def test_a_damaged_line_is_reported(tmp_path: Path) -> None:
    path = report(tmp_path)
    with path.open("a") as file:
        file.write("{broken\n")
    texts: list[str] = []
    assert len(read(path, tell=texts.append).rows) == 2
    assert "line 3 is skipped" in texts[0]


def test_reports_of_equal_names_are_named_by_their_paths(tmp_path: Path) -> None:
    paths = [report(tmp_path, name=f"{name}/r.jsonl") for name in "ab"]
    assert [run.name for run in read_all(paths, tell=no_message)] == list(
        map(str, paths)
    )


def test_an_unusable_report_is_left_out_and_reported(tmp_path: Path) -> None:
    texts: list[str] = []
    paths = [report(tmp_path), tmp_path / "absent.jsonl"]
    assert len(read_all(paths, tell=texts.append)) == 1
    assert texts == [f"left out: {paths[1]}: No such file or directory"]


def test_no_usable_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.jsonl: No such file"):
        read_all([tmp_path / "absent.jsonl"], tell=no_message)
