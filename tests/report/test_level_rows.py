"""The rows of levels, and their lines in the report."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.load.correlation import SampleUnit
from pytest_realtime_asr.load.decision import LimitDecision, decided
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.level import Level, Sampled, Witness
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.outcome import Outcome
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.trials import Step
from pytest_realtime_asr.load.workload import Arrivals, Phase
from pytest_realtime_asr.report import jsonl, level_rows
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.level_rows import Figures, GaugeRow, LevelRow, LimitRow
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support import levels
from tests.support.levels import HELD
from tests.support.runs import RUN
from tests.support.servers import plan

PLAN = plan("ws://127.0.0.1:9/v1/realtime")


def row(level: Level, *limits: LimitDecision, streams: int = 4) -> LevelRow:
    """Return the row of a level with the decisions on its limits."""
    decision = decided(streams, limits) if limits else None
    return level_rows.row(LevelRecord(level, decision, step=Step.CONFIRM))


def finals(*values: float | None) -> Sequence[Row]:
    """Return sessions with these finals; ``None`` is a lost session."""
    return [levels.row(number, value) for number, value in enumerate(values)]


def test_a_level_is_a_row_of_numbers() -> None:
    drained = levels.row(9, phase=Phase.DRAIN)
    found = row(levels.level([*finals(100, 200, 300), drained], seconds=12.3456))
    assert (found.streams, found.hold, found.seconds) == (4, 10.0, 12.346)
    assert found.sessions == {"ramp": 0, "steady": 3, "drain": 1}
    assert found.lost == 0
    assert found.metric == "final_from_commit"
    assert found.finals is not None
    assert (found.finals.p50, found.finals.max, found.finals.n) == (200, 300, 3)
    assert (found.arrivals, found.rate) == (None, None)


def test_lost_sessions_are_never_in_time() -> None:
    found = row(levels.level(finals(100, None, None)))
    assert found.lost == 2
    assert found.finals == Figures(None, None, None, 3)


def test_a_session_whose_turns_the_server_detects_has_another_final() -> None:
    one = levels.row(0, None)
    values = {**one.measured.metrics, "final_from_speech_end": 700.0}
    of_turn = levels.row(0, measured=replace(one.measured, metrics=values))
    found = row(levels.level([of_turn]))
    assert found.metric == "final_from_speech_end"
    assert found.finals == Figures(700.0, 700.0, 700.0, 1)


def test_the_client_delay_is_that_of_the_latest_worker() -> None:
    ends = (ShardEnd(0, late=1.0, lag=2.0, cpu=0.3), ShardEnd(1, late=4.0, cpu=0.1))
    gone = ShardLost(2, "killed by signal 9")
    found = row(levels.level([], workers=ends, lost_workers=(gone,)))
    assert found.finals is None
    assert (found.client.late_ms, found.client.lag_ms) == (4.0, 2.0)
    assert (found.client.cpu, found.client.workers) == (0.3, 3)
    assert found.lost_workers == ["worker 2: killed by signal 9"]


def test_the_witness_is_shown_before_through_and_after() -> None:
    seen = Witness(before=tuple(finals(100)), through=tuple(finals(600, 640)))
    found = row(levels.level([], witness=seen)).witness
    assert found.before == Figures(100, 100, 100, 1)
    assert found.through is not None
    assert (found.through.max, found.through.n) == (640, 2)
    assert found.after is None


def test_the_server_is_shown_beside_the_client() -> None:
    values = {"running": ((-1.0, 1.0), (1.0, 4.0), (2.0, 8.0)), "memory": ()}
    sampled = Sampled(values, {"running": "vllm:num_requests_running"}, "1 of 4 failed")
    found = row(levels.level([], server=sampled))
    running = GaugeRow("vllm:num_requests_running", 1.0, 6.0, 8.0, 8.0)
    assert found.server == {
        "running": running,
        "memory": GaugeRow("", None, None, None, None),
    }
    assert found.server_failed == "1 of 4 failed"


def written(folder: Path, level: Level, plan: Plan = PLAN) -> list[dict[str, Any]]:
    """Return the lines of a report with one level."""
    outcomes = {Outcome.DONE: 1, Outcome.HUNG: 1}
    file = ReportFile(folder / "out.jsonl")
    jsonl.Appender(file, RUN).level("test_it", LevelRecord(level, None, outcomes), plan)
    return list(map(json.loads, (folder / "out.jsonl").read_text().splitlines()))


def test_a_level_has_a_line_of_its_own(tmp_path: Path) -> None:
    load = replace(HELD, arrivals=Arrivals.POISSON, rate=2.0)
    made = levels.level(finals(100, None), load, not_begun={"it was full": 3})
    head, line = written(tmp_path, made)
    assert (head["kind"], head["target"]) == ("run", "ws://127.0.0.1:9/v1/realtime")
    assert list(line)[:6] == ["kind", "format", "run", "test", "number", "step"]
    assert (line["kind"], line["format"], line["test"]) == ("level", 3, "test_it")
    assert (line["arrivals"], line["rate"]) == ("poisson", 2.0)
    assert line["outcomes"] == {"done": 1, "hung": 1}
    assert line["lost"] == 1
    assert line["not_begun"] == {"it was full": 3}
    assert line["finals"] == {"p50": 100, "p95": None, "max": None, "n": 2}


def test_a_level_line_has_no_secret(tmp_path: Path) -> None:
    gone = ShardLost(0, "refused the key hush-hush-1")
    redactor = Redactor(["hush-hush-1"])
    made = levels.level([], lost_workers=(gone,))
    written(tmp_path, made, replace(PLAN, redactor=redactor))
    assert "hush-hush-1" not in (tmp_path / "out.jsonl").read_text()


def test_the_binding_limit_is_named() -> None:
    near = LimitDecision(
        "final_from_commit p95", 800.0, Verdict.INCONCLUSIVE, 40, 700.0, 0.5, over=1
    )
    missed = LimitDecision(
        "wer",
        0.12,
        Verdict.FAIL,
        n=40,
        observed=math.inf,
        excess=math.inf,
        over=9,
        lost=2,
        effective=20.04,
        unit=SampleUnit.WINDOW,
    )
    found = row(levels.level([]), near, missed)
    assert (found.decision, found.step) == ("FAIL", "confirm")
    assert found.binding == LimitRow(
        name="wer",
        value=None,
        limit=0.12,
        n=40,
        over=9,
        lost=2,
        effective=20.0,
        counted=SampleUnit.WINDOW.value,
        verdict="FAIL",
    )
    assert row(levels.level([])).decision is None
    assert row(levels.level([]), near, streams=5).streams == 5  # with the witness
