"""The judge of a shard: rows, evidence, and the report of the worker."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.evidence import WORST, Evidence
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.judge import Judge, judged, read
from pytest_realtime_asr.load.row import Found, Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Trace
from tests.support.loads import sent, shard
from tests.support.servers import faking

LOAD = Load(2, hold=0.3, seed=3, witnesses=0)


@pytest.fixture(scope="module")
def values(loop: Loop) -> list[object]:
    """What a shard gives to its judge: itself, its sessions and its end."""
    with faking() as (url, _):
        return list(sent(loop, shard(url, LOAD)))


def test_the_messages_of_a_shard_are_its_rows_and_its_end(values: list[object]) -> None:
    stream = io.BytesIO(b"".join(map(pickle.dumps, values)))
    *rows, end = judged(read(stream))
    sessions = [each for each in values if isinstance(each, Sent)]
    assert [(row.stream, row.number) for row in rows if isinstance(row, Row)] == [
        (each.turn.stream, each.turn.number) for each in sessions
    ]
    assert isinstance(end, ShardEnd)
    assert end.late > 0
    assert len(end.worst) == sum(each.phase is Phase.STEADY for each in sessions)


def test_a_row_survives_the_way_to_another_process(values: list[object]) -> None:
    (row, *_) = judged(iter(values[:2]))  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(row)) == row


def test_a_stream_that_is_cut_off_ends_with_its_last_whole_value(
    values: list[object],
) -> None:
    whole = pickle.dumps(values[0]) + pickle.dumps(values[1])
    stream = io.BytesIO(whole + pickle.dumps(values[-1])[:-3])
    assert len(list(judged(read(stream)))) == 1


def test_a_loss_passes_unchanged() -> None:
    lost = ShardLost(1, "out of memory", (1, 3))
    assert list(judged(iter([lost]))) == [lost]


class TestEvidence:
    """Which traces are kept."""

    @pytest.fixture
    def row(self, values: list[object]) -> Row:
        """A row of a steady session without a violation."""
        (row, *_) = judged(iter(values[:2]))  # type: ignore[arg-type]
        assert isinstance(row, Row)
        return replace(row, phase=Phase.STEADY, trace=None, found=())

    @pytest.fixture
    def trace(self, values: list[object]) -> Trace:
        """The trace of the row."""
        session = values[1]
        assert isinstance(session, Sent)
        return session.trace

    def test_a_session_that_is_sound_leaves_no_trace(
        self, row: Row, trace: Trace
    ) -> None:
        assert Evidence().add(row, trace, drawn=False).trace is None

    def test_the_trace_of_a_drawn_session_can_be_read(
        self, row: Row, trace: Trace
    ) -> None:
        kept = Evidence().add(row, trace, drawn=True).trace
        assert kept is not None
        assert records.loads(kept).records == trace.records

    def test_a_lost_session_leaves_its_trace_unless_the_client_cut_it_off(
        self, row: Row, trace: Trace
    ) -> None:
        evidence = Evidence()
        hung = evidence.add(replace(row, lost=Loss.HUNG), trace, drawn=False)
        cut = evidence.add(replace(row, lost=Loss.CANCELLED), trace, drawn=False)
        assert hung.trace is not None
        assert cut.trace is None

    def test_a_violation_in_each_session_leaves_a_few_traces(
        self, row: Row, trace: Trace
    ) -> None:
        broken = replace(row, found=(Found("any.id", "wrong", 1, None),))
        evidence = Evidence()
        kept = [evidence.add(broken, trace, drawn=False).trace for _ in range(50)]
        assert [each is not None for each in kept] == [True] * 3 + [False] * 47

    def test_the_latest_finals_leave_their_traces(self, row: Row, trace: Trace) -> None:
        evidence = Evidence()
        for number in range(WORST + 30):
            metrics = {**row.measured.metrics, "final_from_commit": float(number)}
            measured = replace(row.measured, metrics=metrics)
            evidence.add(
                replace(row, number=number, measured=measured), trace, drawn=False
            )
        worst = [each.number for each in evidence.worst]
        assert worst == list(range(WORST + 29, 29, -1))
        assert all(each.trace is not None for each in evidence.worst)

    def test_a_late_final_in_the_ramp_is_not_among_the_worst(
        self, row: Row, trace: Trace
    ) -> None:
        evidence = Evidence()
        evidence.add(replace(row, phase=Phase.RAMP), trace, drawn=False)
        assert evidence.worst == ()


def test_the_judge_removes_secrets_from_the_traces(loop: Loop) -> None:
    with faking(key="a-very-secret-key") as (url, _):
        given = shard(url, replace(LOAD, streams=1))
        secret = replace(given.connection, secrets=("a-very-secret-key",))
        given = replace(given, connection=secret)
        (_, session, *_) = sent(loop, given)
    assert isinstance(session, Sent)
    row = Judge(given).row(session)
    assert row.lost
    assert "a-very-secret-key" not in f"{row}"
