"""Summaries of runs with chosen results, for the reports that are made of them."""

from __future__ import annotations

from typing import Any

from pytest_realtime_asr.report.run_summary import Failure, RunSummary
from pytest_realtime_asr.report.terminal import Row
from pytest_realtime_asr.report.verdict_rows import VerdictRow
from tests.support.runs import RUN

LATE = VerdictRow(
    subject="budget",
    metric="final_from_commit",
    statistic="p95",
    unit="ms",
    value=912.3456,
    limit=800.0,
    interval=(850.0, None),
    confidence=0.95,
    n=20,
    over=3,
    lost=1,
    fails=True,
)
RIGHT = VerdictRow(
    subject="error rate",
    metric="wer",
    statistic="rate",
    unit="ratio",
    value=0.03125,
    limit=0.1,
    interval=(0.01, 0.0625),
    confidence=0.95,
    n=20,
    verdict="PASS",
)
RECALL = VerdictRow(
    subject="recall",
    metric="keyword_recall",
    statistic="rate",
    unit="ratio",
    value=0.75,
    side=">=",
    limit=0.9,
    n=8,
)


def row(test: str = "tests/test_it.py::test_late", **changes: Any) -> Row:
    """A row of a test that sent 20 utterances, of which one was lost."""
    values: dict[str, Any] = {
        "planned": 20,
        "lost": 1,
        "first": 210.0,
        "final": 400.0,
        "tail": 912.3456,
        "wer": 0.03125,
        "verdict": "FAIL",
        "lines": [],
        "target": "ws://gpu-7/v1/realtime",
        "model": "m",
        "cold": None,
        "note": "",
        "verdicts": [LATE, RIGHT],
        "statistics": {
            "final_from_commit": {"p50": 400.0, "p95": 912.3456, "max": 950.0, "n": 20}
        },
    }
    return Row(test=test, **(values | changes))


def failure(test: str = "tests/test_it.py::test_late", **changes: Any) -> Failure:
    """A failure of a test in line 12 of its file."""
    values: dict[str, Any] = {
        "path": "tests/test_it.py",
        "line": 12,
        "headline": "final_from_commit p95 = 912 ms > 800 ms",
        "text": "final_from_commit p95 = 912 ms > 800 ms\n  audio  .###+|",
    }
    return Failure(test=test, **(values | changes))


def summary(*rows: Row, **fields: Any) -> RunSummary:
    """The summary of a run with these rows."""
    return RunSummary(run=RUN, rows=rows, **fields)
