"""Schedules: when the sessions of a level are due."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.load import schedule
from pytest_realtime_asr.load.schedule import Stream, Turn
from pytest_realtime_asr.load.workload import Arrivals, Load, Phase

LENGTHS = (2.0, 3.0, 5.0)
CLOSED = Load(4, hold=60.0, ramp=10.0, seed=7)
OPEN = Load(4, hold=60.0, ramp=10.0, arrivals=Arrivals.POISSON, rate=3.0, seed=7)


def turns(
    load: Load,
    number: int,
    *,
    answer: float = 0.0,
    lengths: tuple[float, ...] = LENGTHS,
) -> list[Turn]:
    """The sessions of a stream whose finals come ``answer`` s after the audio."""
    stream = Stream(load, number, lengths, chunk=0.1)
    found = []
    turn = stream.next(stream.start)
    while turn is not None:
        found.append(turn)
        turn = stream.next(stream.after(turn, turn.planned + answer))
    return found


def test_streams_begin_one_after_the_other_within_the_ramp() -> None:
    starts = [turns(CLOSED, number)[0].due for number in range(4)]
    assert [int(start / 2.5) for start in starts] == [0, 1, 2, 3]


def test_streams_do_not_send_in_step() -> None:
    load = replace(CLOSED, streams=50, ramp=0.0)
    starts = [Stream(load, number, LENGTHS, 0.1).start for number in range(50)]
    assert all(0 <= start <= 0.1 for start in starts)
    assert len({round(start, 3) for start in starts}) > 30


def test_a_stream_sends_each_clip_before_it_repeats_one() -> None:
    clips = [turn.clip for turn in turns(CLOSED, 1)]
    for start in range(0, len(clips) - 2, 3):
        assert sorted(clips[start : start + 3]) == [0, 1, 2]
    assert clips[:3] != [turn.clip for turn in turns(CLOSED, 0)][:3]


def test_a_stream_without_pauses_begins_as_soon_as_the_last_session_ends() -> None:
    for before, after in pairwise(turns(CLOSED, 2, answer=0.3)):
        assert after.due == pytest.approx(before.planned + 0.3)


@given(talk=st.floats(0.2, 1.0), seed=st.integers(0, 1000))
def test_a_stream_keeps_its_share_of_talk(talk: float, seed: int) -> None:
    load = replace(CLOSED, hold=2000.0, talk=talk, seed=seed, varied=False)
    found = turns(load, 3, answer=0.0)
    spoken = sum(turn.seconds for turn in found)
    lasted = found[-1].planned + found[-1].pause - found[0].due
    assert spoken / lasted == pytest.approx(talk, rel=0.1)


def test_a_slow_server_shortens_no_pause_below_the_answer() -> None:
    load = replace(CLOSED, talk=0.5)
    for before, after in pairwise(turns(load, 0, answer=0.4)):
        assert after.due == pytest.approx(before.planned + max(0.4, before.pause))


@given(seed=st.integers(0, 1000), answer=st.floats(0, 20))
def test_no_session_begins_after_the_steady_part(seed: int, answer: float) -> None:
    load = replace(CLOSED, seed=seed)
    found = turns(load, 0, answer=answer)
    assert all(turn.due < load.planned for turn in found)
    for turn in found:
        steady = turn.due >= load.ramp and turn.planned <= load.planned
        assert (turn.phase(load) is Phase.STEADY) == steady


def test_the_schedule_depends_on_the_seed_alone() -> None:
    assert turns(CLOSED, 2) == turns(CLOSED, 2)
    assert turns(CLOSED, 2) != turns(replace(CLOSED, seed=8), 2)


def test_each_session_is_varied_in_its_own_way_unless_this_is_turned_off() -> None:
    varied = [turn.variation for number in range(4) for turn in turns(CLOSED, number)]
    assert len(set(varied)) == len(varied)
    turn = turns(CLOSED, 0)[0]
    assert turn.variation is not None
    assert turn.seconds == LENGTHS[turn.clip] + turn.variation.lead / 1000
    plain = turns(replace(CLOSED, varied=False), 0)
    assert {turn.variation for turn in plain} == {None}
    assert all(turn.seconds == LENGTHS[turn.clip] for turn in plain)


def test_about_one_trace_in_a_hundred_is_randomly_selected() -> None:
    load = replace(CLOSED, hold=50_000.0)
    drawn = [turn.drawn for turn in turns(load, 0)]
    assert 0.005 < sum(drawn) / len(drawn) < 0.015


@pytest.mark.parametrize("arrivals", Arrivals)
def test_sessions_arrive_at_the_rate(arrivals: Arrivals) -> None:
    load = replace(OPEN, arrivals=arrivals, hold=1000.0)
    due = [turn.due for turn in schedule.arrivals(load, LENGTHS)]
    assert due == sorted(due)
    assert due[-1] < load.planned
    steady = [at for at in due if at >= load.ramp]
    assert len(steady) / load.hold == pytest.approx(load.rate, rel=0.06)
    ramp = sum(at < load.ramp for at in due)
    assert ramp == pytest.approx(load.rate * load.ramp / 2, abs=12)


def test_constant_arrivals_are_evenly_spaced_and_poisson_arrivals_are_not() -> None:
    spread = {}
    for arrivals in Arrivals:
        load = replace(OPEN, arrivals=arrivals, ramp=0.0, hold=1000.0)
        due = [turn.due for turn in schedule.arrivals(load, LENGTHS)]
        gaps = [later - earlier for earlier, later in pairwise(due)]
        mean = sum(gaps) / len(gaps)
        spread[arrivals] = sum((gap - mean) ** 2 for gap in gaps) / len(gaps) / mean**2
    assert spread[Arrivals.CONSTANT] < 1e-9
    assert spread[Arrivals.POISSON] == pytest.approx(1.0, abs=0.2)


def test_arrivals_are_assigned_to_the_streams_in_turn() -> None:
    found = list(schedule.arrivals(OPEN, LENGTHS))
    assert [turn.stream for turn in found[:6]] == [0, 1, 2, 3, 0, 1]
    numbers = Counter((turn.stream, turn.number) for turn in found)
    assert set(numbers.values()) == {1}


@pytest.mark.parametrize("load", [CLOSED, OPEN])
def test_the_audio_of_a_level_is_estimated_in_advance(load: Load) -> None:
    most = schedule.most_audio(load, LENGTHS)
    if load.arrivals is None:
        sent = sum(t.seconds for n in range(4) for t in turns(load, n, answer=0.2))
        assert sent <= most <= sent * 1.2
    else:
        assert most == sum(t.seconds for t in schedule.arrivals(load, LENGTHS))


@pytest.mark.parametrize("load", [CLOSED, OPEN])
def test_the_clips_of_a_level_are_known_in_advance(load: Load) -> None:
    lengths, brief = (3.0,) * 40, replace(load, hold=7.0, ramp=0.0)
    if load.arrivals is None:
        sent = {t.clip for n in range(4) for t in turns(brief, n, lengths=lengths)}
    else:
        sent = {turn.clip for turn in schedule.arrivals(brief, lengths)}
    found = schedule.possible_clips(brief, lengths)
    assert len(sent) > 4
    assert sent <= set(found)
    assert len(found) <= len(sent) + brief.streams
    assert schedule.possible_clips(replace(load, hold=900.0), LENGTHS) == (0, 1, 2)


def test_at_least_one_clip_is_possible() -> None:
    idle = replace(OPEN, hold=0.0, ramp=0.0)
    assert schedule.possible_clips(idle, LENGTHS) == (0,)
