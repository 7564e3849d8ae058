"""The judge of a shard: rows, evidence, and the report of the worker."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.judge import Judge, Judged, judged, read
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.workload import Load, Phase
from tests.support.loads import sent, shard
from tests.support.servers import faking

LOAD = Load(2, hold=0.3, seed=3, witnesses=0)


@pytest.fixture(scope="module")
def values(loop: Loop) -> list[Judged]:
    """What a shard gives to its judge: itself, its sessions and its end."""
    with faking() as (url, _):
        return list(sent(loop, shard(url, LOAD)))


def test_the_messages_of_a_shard_are_its_rows_and_its_end(values: list[Judged]) -> None:
    stream = io.BytesIO(b"".join(map(pickle.dumps, values)))
    *rows, end = judged(read(stream))
    sessions = [each for each in values if isinstance(each, Sent)]
    assert [(row.stream, row.number) for row in rows if isinstance(row, Row)] == [
        (each.turn.stream, each.turn.number) for each in sessions
    ]
    assert isinstance(end, ShardEnd)
    assert end.late > 0
    assert len(end.worst) == sum(each.phase is Phase.STEADY for each in sessions)


def test_a_row_can_be_sent_to_another_process(values: list[Judged]) -> None:
    (row, *_) = judged(iter(values[:2]))
    assert pickle.loads(pickle.dumps(row)) == row


def test_a_stream_that_is_cut_off_ends_with_its_last_whole_value(
    values: list[Judged],
) -> None:
    whole = pickle.dumps(values[0]) + pickle.dumps(values[1])
    stream = io.BytesIO(whole + pickle.dumps(values[-1])[:-3])
    assert len(list(judged(read(stream)))) == 1


def test_a_lost_shard_is_passed_on_unchanged() -> None:
    lost = ShardLost(1, "out of memory", (1, 3))
    assert list(judged(iter([lost]))) == [lost]


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
