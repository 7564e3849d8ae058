"""The witnesses of a level: lone streams before, through and after it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.load import witnesses
from pytest_realtime_asr.load.clock import Clock
from pytest_realtime_asr.load.executor import Clip
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.witnesses import LoneSessions, Witnesses
from pytest_realtime_asr.load.workload import Load, Phase
from tests.support.loads import BRIEFLY, bit
from tests.support.servers import CLIP, faking, plan

LOAD = Load(3, hold=0.8, ramp=0.1, witnesses=1)
CLIPS = (bit("one"), bit("two"))


def made(loop: Loop, url: str, load: Load = LOAD) -> tuple[Witnesses, list[Row]]:
    """The witnesses of a level, and the rows that their sink gets."""
    seen: list[Row] = []
    lone = LoneSessions(loop, plan(url, pace=1.0, limits=BRIEFLY), seen.append)
    return Witnesses(lone, load, CLIPS), seen


def test_the_shortest_clips_are_sent() -> None:
    clips = [Clip(CLIP, CLIP.audio), *(bit(f"{n}") for n in range(3))]
    lone = LoneSessions(None, None, None)  # type: ignore[arg-type]
    found = Witnesses(lone, LOAD, clips)
    assert [each.utterance.id for each in found.clips] == ["0", "1", "2"]


@pytest.mark.slow
def test_each_witness_sends_all_clips_before_the_level(loop: Loop) -> None:
    with faking() as (url, _):
        found, seen = made(loop, url, replace(LOAD, witnesses=2))
        before = loop.run(found.before())
    assert sorted((each.stream, each.clip) for each in before) == [
        *((0, "one"), (0, "two"), (1, "one"), (1, "two"))
    ]
    assert len({each.perturbation for each in before}) == 4  # none was sent before
    assert all(each.ended <= 0 for each in before)
    assert {each.phase for each in before} == {Phase.RAMP}
    assert len(seen) == 4


@pytest.mark.slow
def test_only_steady_sessions_count_as_through_the_level(loop: Loop) -> None:
    with faking() as (url, _):
        found, seen = made(loop, url)
        through = loop.run(found.through(Clock(time.monotonic())))
    assert {each.phase for each in through} == {Phase.STEADY}
    assert [each for each in seen if each.phase is Phase.STEADY] == list(through)
    assert seen[0].phase is Phase.RAMP


@pytest.mark.slow
def test_the_witnesses_wait_until_the_server_has_recovered(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnesses, "RECOVERY", 1.2)
    with faking() as (url, _):
        found, _ = made(loop, url)
        before = loop.run(found.before())
        clock = Clock(time.monotonic())
        slow = loop.run(found.after(clock, with_finals(before, -10.0)))
        assert clock.now >= 1.2
        assert len(slow) > len(before)  # no final comes before its commit
        same = loop.run(found.after(clock, with_finals(before, 60_000.0)))
    assert len(same) == len(before)


def with_finals(given: Sequence[Row], latency: float) -> list[Row]:
    """The rows with another latency of the final, in ms."""
    metrics = {"final_from_commit": latency}
    return [
        replace(each, measured=replace(each.measured, metrics=metrics))
        for each in given
    ]
