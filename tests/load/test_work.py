"""Whether a server did equal work at two levels, and what differs if it did not."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.work import Amount, unequal_work
from pytest_realtime_asr.load.workload import Phase
from tests.support.load_rows import level, row

TEXT = "one two three four five six seven eight nine ten"


def sessions(
    per_second: float,
    *,
    clips: int = 10,
    each: int = 4,
    text: str = TEXT,
    lost: int = 0,
    seed: int = 1,
    seconds: float = 5.0,
) -> list[Row]:
    """Sessions of some clips with this rate of partials, give or take one partial.

    The first ``lost`` sessions of each clip hang.
    """
    drawn = random.Random(seed)
    return [
        row(
            text,
            clip=f"clip{clip}",
            seconds=seconds,
            partials=round(per_second * seconds) + drawn.choice((-1, 0, 1)),
            lost=Loss.HUNG if number < lost else Loss.NONE,
        )
        for clip in range(clips)
        for number in range(each)
    ]


def at(streams: int, rows: Iterable[Row]) -> Level:
    return level(rows, streams=streams)


def test_equal_work_is_equal() -> None:
    one, other = at(8, sessions(3.0)), at(12, sessions(3.0, seed=2))
    assert unequal_work(one, other) is None


def test_a_blocked_server_sends_fewer_partials() -> None:
    found = unequal_work(at(8, sessions(3.2)), at(12, sessions(1.2, seed=2)))
    assert found is not None
    assert [each.what for each in found.amounts] == ["partials per second of audio"]
    assert str(found).startswith("3.")
    assert str(found).endswith(" at 12")
    assert "partials per second of audio at 8 streams, 1." in str(found)


def test_the_text_of_a_difference() -> None:
    rows = [[row(TEXT, clip=clip, partials=n) for clip in "ab"] for n in (16, 6)]
    found = unequal_work(at(8, rows[0]), at(12, rows[1]))
    assert str(found) == "3.2 partials per second of audio at 8 streams, 1.2 at 12"


def test_a_server_that_drops_words_or_sessions() -> None:
    short = at(12, sessions(3.0, text="one two three"))
    found = unequal_work(at(8, sessions(3.0)), short)
    assert found is not None
    assert found.amounts == (Amount("words per final", 10.0, 3.0),)
    found = unequal_work(at(8, sessions(3.0)), at(12, sessions(3.0, lost=2)))
    assert found is not None
    assert found.amounts == (Amount("finals per session", 1.0, 0.5),)


def test_a_text_without_spaces_is_counted_by_characters() -> None:
    one = at(8, sessions(3.0, text="今日は天気がいいです"))
    other = at(12, sessions(3.0, text="今日は"))
    found = unequal_work(one, other)
    assert found is not None
    assert found.amounts == (Amount("words per final", 10.0, 3.0),)


def test_another_mix_of_clips_is_no_unequal_work() -> None:
    many = [row(TEXT, clip="fast", partials=20) for _ in range(30)]
    slow = [row(TEXT, clip="slow", partials=5) for _ in range(30)]
    one, other = at(8, many + slow[:2]), at(12, many[:2] + slow)
    assert unequal_work(one, other) is None


def test_a_difference_within_its_scatter_is_not_shown() -> None:
    drawn = random.Random(4)
    rows = [
        [row(TEXT, clip=clip, partials=drawn.choice((0, 20))) for clip in "abcd"]
        for _ in range(2)
    ]
    assert unequal_work(at(8, rows[0]), at(12, rows[1])) is None


def test_sessions_outside_the_steady_part_do_not_count() -> None:
    ramp = [row("one", clip=clip, phase=Phase.RAMP) for clip in "abcdefgh"]
    cut = [row(clip=clip, lost=Loss.CANCELLED) for clip in "abcdefgh"]
    rows = [row(TEXT, clip=clip) for clip in "abcdefgh"]
    assert unequal_work(at(8, rows), at(12, [*rows, *ramp, *cut])) is None


def test_a_single_clip_shows_nothing() -> None:
    one, other = at(8, [row(TEXT, partials=20)]), at(12, [row(TEXT, partials=2)])
    assert unequal_work(one, other) is None
    assert unequal_work(at(8, []), at(12, [])) is None


@pytest.mark.parametrize("rate", [1.0, 5.0])
def test_the_scatter_of_a_correct_server_is_no_difference(rate: float) -> None:
    for seed in range(50):
        one = at(8, sessions(rate, seed=2 * seed, each=2))
        other = at(12, sessions(rate, seed=2 * seed + 1, each=2))
        assert unequal_work(one, other) is None


@given(st.integers(0, 10_000), st.floats(0.0, 0.5))
def test_half_of_the_partials_is_a_difference(seed: int, share: float) -> None:
    one = at(8, sessions(4.0, seed=seed))
    other = at(12, sessions(4.0 * share, seed=seed + 1))
    assert unequal_work(one, other) is not None
    assert unequal_work(other, one) is not None
