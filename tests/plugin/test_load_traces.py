"""The traces of sessions under load whose test fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.plugin.judging import Case, Judging
from pytest_realtime_asr.report import messages
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.budgets import latency_budget
from pytest_realtime_asr.verdicts.utterance_record import Conditions
from tests.support.levels import broken, level, row
from tests.support.runs import Start
from tests.support.servers import CLIP, plan
from tests.support.sessions import trace_of

TEST = "test_it.py::test_it"
PLAN = plan("ws://127.0.0.1:9/v1/realtime")
LIMITED = Terms(
    "vllm", "m", 1.0, 0.1, (latency_budget("final_from_commit", max="500ms"),)
)


def take(made: Row) -> Transcription:
    """Return the transcription of a session under load."""
    clips = {CLIP.id: CLIP}
    return made.take(PLAN, clips, purpose=Purpose.TEST, conditions=Conditions())


def judged(start: Start, folder: Path, terms: Terms, *rows: Row) -> Results:
    """Judge a test with these sessions; its traces go into a folder."""
    run = start()
    judging = Judging(run, folder=lambda: folder, origin=folder, given=lambda _: None)
    judging.begin(TEST)
    run.ledger.ended.update(enumerate(map(take, rows)))
    case = Case(TEST, lambda: terms, ())
    found = judging.judge(case, failed=False, pooled=True)
    assert found is not None
    return found


def test_the_traces_that_were_kept_are_written(start: Start, tmp_path: Path) -> None:
    late, hung = (trace_of([], rate=rate).dumps() for rate in (16_000, 8_000))
    rows = [row(0), row(1, 900.0, trace=late), row(2, None, trace=hung)]
    found = judged(start, tmp_path, LIMITED, *rows)
    files = {path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert files == {late, hung}
    shown = messages.failure(found)
    assert shown is not None
    assert shown.count("trace: ") == 2  # of the worst sessions


def test_a_test_that_passes_keeps_none(start: Start, tmp_path: Path) -> None:
    assert not judged(start, tmp_path, LIMITED, row(0, trace=b"drawn\n")).failing
    assert list(tmp_path.rglob("*.jsonl")) == []


@pytest.mark.parametrize("trace", [b"violated\n", None])
def test_a_violated_requirement_names_the_trace(
    start: Start, tmp_path: Path, trace: bytes | None
) -> None:
    rule = "deltas-add-up"
    rows = [row(0, trace=b"sound\n"), row(1, trace=trace, found=broken(rule))]
    found = judged(start, tmp_path, replace(LIMITED, budgets=()), *rows)
    shown = messages.failure(found)
    assert shown is not None
    assert ("trace: " in shown) is (trace is not None)


def test_the_end_of_a_level_names_its_worst_sessions(
    start: Start, tmp_path: Path
) -> None:
    run = start()
    run.begin(TEST)
    sessions = [row(0), row(1, 900.0)]
    run.ledger.ended.update(enumerate(map(take, sessions)))
    told: list[str] = []
    run.level_sinks.append(lambda test, level, plan: told.append(test))
    worst = replace(sessions[1], trace=b"worst\n")
    run.level_ended(run.ledger, LevelRecord(level([sessions[0], worst])), PLAN)
    assert [each.dumps() for each in run.ledger.takes] == [None, b"worst\n"]
    assert [each.streams for each in run.ledger.levels] == [4]
    assert told == [TEST]


def test_a_report_that_cannot_be_written_loses_no_level(start: Start) -> None:
    run = start()
    warned: list[str] = []
    run.warn = warned.append
    run.begin(TEST)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    run.level_sinks.append(fail)
    run.level_ended(run.ledger, LevelRecord(level([])), PLAN)
    assert len(run.ledger.levels) == 1
    (said,) = warned
    assert "No space left on device; levels are missing from this report" in said
