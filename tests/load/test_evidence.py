"""Which traces of a level are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.evidence import WORST, Evidence
from pytest_realtime_asr.load.judge import Judged, judged
from pytest_realtime_asr.load.row import Found, Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Trace
from tests.support.loads import sent, shard
from tests.support.servers import faking


@pytest.fixture(scope="module")
def values(loop: Loop) -> list[Judged]:
    """What a shard gives to its judge: itself, its sessions and its end."""
    with faking() as (url, _):
        return sent(loop, shard(url, Load(1, hold=0.1, witnesses=0)))


@pytest.fixture(scope="module")
def row(values: list[Judged]) -> Row:
    """A row of a steady session without a violation."""
    (row, *_) = judged(iter(values[:2]))
    assert isinstance(row, Row)
    return replace(row, phase=Phase.STEADY, trace=None, found=())


@pytest.fixture(scope="module")
def trace(values: list[Judged]) -> Trace:
    """The trace of the row."""
    session = values[1]
    assert isinstance(session, Sent)
    return session.trace


def test_a_session_without_a_problem_leaves_no_trace(row: Row, trace: Trace) -> None:
    assert Evidence().add(row, trace.dumps, drawn=False).trace is None


def test_the_trace_of_a_randomly_selected_session_can_be_read(
    row: Row, trace: Trace
) -> None:
    kept = Evidence().add(row, trace.dumps, drawn=True).trace
    assert kept is not None
    assert records.loads(kept).records == trace.records


def test_the_traces_of_all_sessions_are_kept(row: Row, trace: Trace) -> None:
    evidence = Evidence(every=True)
    kept = [evidence.add(row, trace.dumps, drawn=False).trace for _ in range(50)]
    assert kept == [trace.dumps()] * 50


def test_a_lost_session_leaves_its_trace_unless_the_client_cut_it_off(
    row: Row, trace: Trace
) -> None:
    evidence = Evidence()
    hung = evidence.add(replace(row, lost=Loss.HUNG), trace.dumps, drawn=False)
    cut = evidence.add(replace(row, lost=Loss.CANCELLED), trace.dumps, drawn=False)
    assert hung.trace is not None
    assert cut.trace is None


def test_a_violation_in_each_session_leaves_a_few_traces(
    row: Row, trace: Trace
) -> None:
    broken = replace(row, found=(Found("any.id", "wrong", 1, None),))
    evidence = Evidence()
    kept = [evidence.add(broken, trace.dumps, drawn=False).trace for _ in range(50)]
    assert [each is not None for each in kept] == [True] * 3 + [False] * 47


def test_the_latest_finals_leave_their_traces(row: Row, trace: Trace) -> None:
    evidence = Evidence()
    for number in range(WORST + 30):
        metrics = {**row.measured.metrics, "final_from_commit": float(number)}
        measured = replace(row.measured, metrics=metrics)
        evidence.add(
            replace(row, number=number, measured=measured), trace.dumps, drawn=False
        )
    worst = [each.number for each in evidence.worst]
    assert worst == list(range(WORST + 29, 29, -1))
    assert all(each.trace is not None for each in evidence.worst)


def test_a_late_final_in_the_ramp_is_not_among_the_worst(
    row: Row, trace: Trace
) -> None:
    evidence = Evidence()
    evidence.add(replace(row, phase=Phase.RAMP), trace.dumps, drawn=False)
    assert evidence.worst == ()
