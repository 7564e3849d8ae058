"""Metrics of a level: known values of correct and faulty servers, and intervals."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.metrics import CATALOGUE, DECLARED, LEVELS, Better, Unit
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.metrics.level_values import (
    Answer,
    Estimate,
    LevelValues,
    LoadedSession,
    WitnessAnswers,
)
from pytest_realtime_asr.metrics.levels import LEAST_POINTS, LEAST_WINDOWS
from tests.metrics.test_metrics import DOCUMENTED, documented

LOST = math.inf
CLIP = 5.0  # s of audio of each clip
FINALS = st.floats(1.0, 5000.0)


def answer(clip: str, at: float, final: float, prompt: float | None = None) -> Answer:
    return Answer(clip, at, final, final if prompt is None else prompt)


def session(
    final: float = 100.0,
    *,
    clip: str = "one",
    stream: int = 0,
    at: float = CLIP,
    seconds: float = CLIP,
    lasted: float = 2 * CLIP,
    within: bool | None = None,
    wrong: int | None = None,
    prompt: float | None = None,
) -> LoadedSession:
    errors = None if wrong is None else Errors(hits=10 - wrong, substitutions=wrong)
    return LoadedSession(
        answer=answer(clip, at, final, prompt),
        stream=stream,
        seconds=seconds,
        lasted=lasted,
        within=within,
        prompt_within=within,
        errors=errors,
    )


def alone(**finals: float) -> tuple[Answer, ...]:
    return tuple(answer(clip, 0.0, final) for clip, final in finals.items())


def estimate(name: str, values: LevelValues) -> Estimate:
    found = LEVELS[name](values)
    assert found is not None
    return found


def value(name: str, sessions: Iterable[LoadedSession], **more: Any) -> float:
    return estimate(name, replace(LevelValues(tuple(sessions)), **more)).value


# Declarations


@pytest.mark.parametrize("name", LEVELS)
def test_the_docstring_of_a_level_metric_agrees_with_its_declaration(name: str) -> None:
    metric = LEVELS[name]
    fields = documented(metric)
    timed = ("Start", "End") if metric.timed else ()
    assert sorted(fields) == sorted((*DOCUMENTED, *timed))
    assert fields["Unit"] == metric.unit
    assert fields["Better"] == metric.better
    assert metric.summary is not None
    assert re.match(r"Measure .*\.$", metric.summary)


def test_a_level_metric_declares_what_a_verdict_depends_on() -> None:
    assert not LEVELS.keys() & CATALOGUE.keys()
    assert DECLARED == {**CATALOGUE, **LEVELS}
    higher = {name for name, it in LEVELS.items() if it.better is Better.HIGHER}
    assert higher == {"goodput", "keepup_ratio"}
    assert [name for name, it in LEVELS.items() if it.timed] == ["recovery"]
    assert [name for name, it in LEVELS.items() if not it.paced] == ["wer_under_load"]
    assert LEVELS["latency_drift"].unit is Unit.MS_PER_MINUTE
    drops = [name for name, it in LEVELS.items() if not it.counts_lost]
    assert drops == ["latency_drift"]
    assert all(metric.gated and metric.needs for metric in LEVELS.values())


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_without_sessions_has_no_value(name: str) -> None:
    assert LEVELS[name](LevelValues(())) is None


# load_inflation


def test_load_inflation_compares_each_clip_with_itself() -> None:
    before = alone(one=100, two=400, three=100)
    # The load sends the slow clip more often, which is no inflation.
    sound = [session(100)] + [session(400, clip="two")] * 9 + [session(110)]
    assert value("load_inflation", sound, alone=before) == pytest.approx(1.025)
    late = [session(300), session(1200, clip="two"), session(500, clip="three")]
    found = estimate("load_inflation", LevelValues(tuple(late), before))
    assert (found.value, found.n, found.units) == (3.0, 3, "clip")
    assert found.interval is None  # three clips are too few for an interval


def test_load_inflation_counts_a_lost_session_as_infinitely_late() -> None:
    before = alone(one=100)
    assert value("load_inflation", [session(LOST)], alone=before) == math.inf
    some = [session(100), session(100), session(LOST)]
    assert value("load_inflation", some, alone=before) == 1


def test_load_inflation_needs_a_final_after_the_commit() -> None:
    rows = LevelValues((session(100),), alone(one=-20))
    assert LEVELS["load_inflation"](rows) is None
    assert LEVELS["load_inflation"](replace(rows, alone=alone(one=LOST))) is None
    assert LEVELS["load_inflation"](replace(rows, alone=alone(two=100))) is None


def test_the_interval_of_load_inflation_is_over_clips() -> None:
    before = alone(**{f"clip{n}": 100.0 for n in range(20)})
    rows = [session(100.0 + 10 * n, clip=f"clip{n}") for n in range(20)]
    found = estimate("load_inflation", LevelValues(tuple(rows), before))
    assert found.interval is not None
    low, high = found.interval
    assert 1.4 <= low < found.value < high <= 2.5


@given(st.lists(FINALS, min_size=1, max_size=9), st.floats(0.5, 8.0))
def test_load_inflation_is_the_common_factor(finals: list[float], by: float) -> None:
    before = alone(**{f"clip{n}": final for n, final in enumerate(finals)})
    rows = [session(by * f, clip=f"clip{n}") for n, f in enumerate(finals)]
    assert value("load_inflation", rows, alone=before) == pytest.approx(by)


# keepup_ratio


def test_keepup_ratio_of_servers_that_keep_up_and_that_do_not() -> None:
    assert value("keepup_ratio", [session(0.0)] * 3) == 1
    assert value("keepup_ratio", [session(-500.0)] * 3) == 1  # ended by the server
    assert value("keepup_ratio", [session(1000 * CLIP)] * 3) == 0.5
    # A lost session spent 10 s on audio that never came to a final.
    lost = [session(0.0), session(LOST, lasted=10.0)]
    assert value("keepup_ratio", lost) == pytest.approx(5 / 15)
    # A refused session counts at least with the length of its audio.
    refused = [session(0.0), session(LOST, lasted=0.01)]
    assert value("keepup_ratio", refused) == 0.5


@given(st.lists(st.floats(-1000, 60_000) | st.just(LOST), min_size=1, max_size=30))
def test_keepup_ratio_is_a_share(finals: list[float]) -> None:
    rows = [session(final, stream=n) for n, final in enumerate(finals)]
    found = estimate("keepup_ratio", LevelValues(tuple(rows)))
    assert 0 <= found.value <= 1
    if found.interval is not None:
        assert found.interval[0] <= found.value <= found.interval[1] <= 1


def test_the_interval_of_keepup_ratio_resamples_streams() -> None:
    # Each stream has one final time of its own, so its sessions are not independent.
    rows = [session(100.0 * n, stream=n) for n in range(20) for _ in range(10)]
    by_stream = estimate("keepup_ratio", LevelValues(tuple(rows))).interval
    apart = [replace(row, stream=n) for n, row in enumerate(rows)]
    by_session = estimate("keepup_ratio", LevelValues(tuple(apart))).interval
    assert by_stream is not None
    assert by_session is not None
    wide, narrow = (high - low for low, high in (by_stream, by_session))
    assert wide > 2 * narrow


# latency_drift


def steady(final: float = 100.0, *, per_minute: float = 0.0) -> list[LoadedSession]:
    """Twenty streams in a steady part of two minutes, their finals 10 ms apart."""
    drawn = random.Random(3)
    return [
        session(
            final + per_minute * at / 60 + drawn.uniform(-10, 10),
            stream=stream,
            at=at,
        )
        for stream in range(20)
        for at in (CLIP * n + stream * CLIP / 20 for n in range(1, 25))
    ]


def test_a_steady_server_has_no_drift() -> None:
    found = estimate("latency_drift", LevelValues(tuple(steady())))
    assert found.interval is not None
    assert found.interval[0] < 0 < found.interval[1]
    assert abs(found.value) < 3


def test_a_queue_that_grows_has_a_drift() -> None:
    found = estimate("latency_drift", LevelValues(tuple(steady(per_minute=300))))
    assert found.value == pytest.approx(300, abs=3)
    assert found.interval is not None
    low, high = found.interval
    assert 280 < low < 300 < high < 320


def test_a_drift_leaves_lost_sessions_out() -> None:
    rows = steady(per_minute=300)
    lost = [session(LOST, at=row.answer.at) for row in rows[::4]]
    found = estimate("latency_drift", LevelValues((*rows, *lost)))
    assert found.value == pytest.approx(300, abs=3)
    assert found.n == len(rows)


def test_few_or_simultaneous_sessions_have_no_drift() -> None:
    few = tuple(session(100.0, at=5.0 * n) for n in range(LEAST_POINTS - 1))
    assert LEVELS["latency_drift"](LevelValues(few)) is None
    at_once = tuple(session(100.0, at=5.0) for _ in range(20))
    assert LEVELS["latency_drift"](LevelValues(at_once)) is None


def test_a_short_steady_part_has_a_drift_without_an_interval() -> None:
    clips = LEAST_WINDOWS - 2
    rows = [
        session(100.0, stream=n, at=CLIP * k + n / 10)
        for n in range(10)
        for k in range(1, clips + 1)
    ]
    assert estimate("latency_drift", LevelValues(tuple(rows))) == Estimate(
        0.0, len(rows)
    )


def test_the_interval_of_a_drift_is_valid_for_correlated_latencies() -> None:
    """The server's speed varies over seconds, and all streams feel it."""
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(100):
        speed, level = [], 0.0
        for _ in range(1200):  # every 0.1 s; correlated over 2 s
            level = 0.95 * level + rng.normal(0, 10)
            speed.append(level)
        rows = [
            session(
                300 + 100 * at / 60 + speed[int(at * 10)] + rng.exponential(20),
                stream=stream,
                at=at,
            )
            for stream in range(8)
            for at in (CLIP * n + stream * CLIP / 8 for n in range(1, 23))
        ]
        found = estimate("latency_drift", LevelValues(tuple(rows)))
        assert found.interval is not None
        missed += not found.interval[0] <= 100 <= found.interval[1]
    assert missed <= 14  # nominal 5 %: 5; more than 14 of 100 come once in 5,000


# goodput


def test_goodput_counts_lost_and_late_sessions() -> None:
    good = [session(within=True, stream=n) for n in range(97)]
    bad = [session(within=False, stream=n) for n in range(2)]
    lost = [session(LOST, within=False, stream=1)]
    found = estimate("goodput", LevelValues((*good, *bad, *lost)))
    assert (found.value, found.n) == (0.97, 100)
    assert found.interval is not None
    # The exact interval of 97 in 100 is 0.915 to 0.994.
    assert found.interval[0] <= 0.9149
    assert 0.9937 <= found.interval[1] <= 1
    assert value("goodput", good) == 1


def test_goodput_needs_a_latency_budget() -> None:
    assert LEVELS["goodput"](LevelValues((session(),))) is None


def test_the_interval_of_goodput_is_wide_if_single_streams_fail() -> None:
    rows = [session(within=n > 0, stream=n) for n in range(20) for _ in range(50)]
    apart = [replace(row, stream=n) for n, row in enumerate(rows)]
    starved = estimate("goodput", LevelValues(tuple(rows)))
    spread = estimate("goodput", LevelValues(tuple(apart)))
    assert starved.value == spread.value == 0.95
    assert starved.interval is not None
    assert spread.interval is not None
    assert starved.interval[0] < 0.8 < 0.93 < spread.interval[0]


def test_the_interval_of_goodput_is_valid_if_streams_differ() -> None:
    rng = np.random.default_rng(13)
    missed = 0
    for _ in range(150):
        shares = rng.beta(9.5, 0.5, size=20)  # of each stream; 0.95 in the mean
        rows = tuple(
            session(within=bool(rng.random() < share), stream=stream)
            for stream, share in enumerate(shares)
            for _ in range(10)
        )
        interval = estimate("goodput", LevelValues(rows)).interval
        assert interval is not None
        missed += not interval[0] <= 0.95 <= interval[1]
    assert missed <= 16  # nominal 5 %: 8; more than 16 of 150 come once in 300


# fairness


def test_fairness_finds_one_starved_stream_of_twenty() -> None:
    fair = [session(100.0 + n % 3, stream=n) for n in range(20) for _ in range(5)]
    assert value("fairness", fair) == pytest.approx(1.01, abs=0.01)
    starved = [replace(row, answer=answer("one", 5.0, 900.0)) for row in fair[-5:]]
    assert value("fairness", [*fair[:-5], *starved]) == pytest.approx(8.9, abs=0.1)
    lost = [replace(row, answer=answer("one", 5.0, LOST)) for row in fair[-5:]]
    found = estimate("fairness", LevelValues((*fair[:-5], *lost)))
    assert (found.value, found.n, found.units) == (math.inf, 20, "stream")
    assert found.interval is None


def test_fairness_of_a_server_that_loses_most_streams() -> None:
    rows = [session(LOST, stream=n) for n in range(3)] + [session(100.0, stream=4)]
    assert value("fairness", rows) == math.inf


def test_fairness_needs_two_streams() -> None:
    assert LEVELS["fairness"](LevelValues((session(),) * 9)) is None


# recovery


def after(*finals: float, end: float = 60.0, clip: str = "one") -> LevelValues:
    """A witness of 2 s clips whose finals before the load came after 100 ms."""
    return LevelValues(
        (),
        witness=WitnessAnswers(
            before=(answer("one", -9.0, 100.0), answer("two", -4.0, 300.0)),
            after=tuple(
                answer(clip, end + 2.0 * (n + 1), final)
                for n, final in enumerate(finals)
            ),
        ),
        end=end,
    )


def test_recovery_at_once() -> None:
    found = estimate("recovery", after(100.0, 104.0, 99.0))
    assert (found.value, found.interval) == (2000.0, (0.0, 2000.0))


def test_recovery_after_ten_seconds() -> None:
    finals = [900.0, 700.0, 500.0, 300.0, 150.0, 108.0, 100.0]
    for seen in (finals, finals[:-1]):  # the witness may end at the first early final
        found = estimate("recovery", after(*seen))
        assert (found.value, found.interval) == (12_000.0, (10_000.0, 12_000.0))


def test_a_single_early_final_is_no_recovery() -> None:
    found = estimate("recovery", after(900.0, 100.0, 900.0, 100.0, 100.0))
    assert found.value == 8000.0
    assert LEVELS["recovery"](after(900.0, 800.0)) is None
    assert LEVELS["recovery"](after(900.0, LOST, 800.0, LOST)) is None


def test_recovery_compares_a_clip_with_itself() -> None:
    late = after(300.0, 300.0, clip="one")
    assert LEVELS["recovery"](late) is None
    assert estimate("recovery", after(300.0, 300.0, clip="two")).value == 2000.0
    assert LEVELS["recovery"](after(300.0, 300.0, clip="unknown")) is None


def test_the_scatter_of_short_finals_is_no_lack_of_recovery() -> None:
    values = after(18.0, 19.0)
    short = (answer("one", -9.0, 9.0),)
    found = replace(values, witness=replace(values.witness, before=short))
    assert estimate("recovery", found).value == 2000.0


def test_a_lost_session_before_the_load_excuses_no_late_final() -> None:
    values = after(900.0, 800.0)
    lost = (*values.witness.before, answer("one", -20.0, LOST))
    found = replace(values, witness=replace(values.witness, before=lost))
    assert LEVELS["recovery"](found) is None


def test_sessions_that_overlap_the_load_do_not_count_for_recovery() -> None:
    values = after(100.0, 100.0, 100.0, end=60.0)
    found = estimate("recovery", replace(values, end=62.5))
    assert (found.value, found.n) == (1500.0, 2)


# wer_under_load


def errors(wrong: int) -> list[Errors]:
    return [Errors(hits=10 - wrong, substitutions=wrong)]


def test_wer_under_load_is_the_paired_difference() -> None:
    before = {"one": errors(1), "two": errors(3)}
    same = [session(clip="two", wrong=3)] * 9 + [session(wrong=1)]
    found = value("wer_under_load", same, alone_errors=before)
    assert found == pytest.approx(0.0)  # the clip that is hard is not worse
    worse = [session(clip="two", wrong=5), session(wrong=2)]
    found = value("wer_under_load", worse, alone_errors=before)
    assert found == pytest.approx(0.15)


def test_wer_under_load_pairs_with_the_mean_of_several_sessions_alone() -> None:
    before = {"one": [*errors(1), *errors(3)]}
    rows = [session(wrong=2), session(wrong=4)]
    assert value("wer_under_load", rows, alone_errors=before) == pytest.approx(0.1)


def test_wer_under_load_needs_a_reference_on_both_sides() -> None:
    rows = LevelValues((session(wrong=1),))
    assert LEVELS["wer_under_load"](rows) is None
    other = replace(rows, alone_errors={"two": errors(1)})
    assert LEVELS["wer_under_load"](other) is None
    silent = LevelValues((session(),), alone_errors={"one": errors(1)})
    assert LEVELS["wer_under_load"](silent) is None


def test_the_interval_of_wer_under_load_is_over_clips() -> None:
    drawn = random.Random(5)
    before = {f"clip{n}": errors(drawn.randrange(3)) for n in range(26)}
    rows = [
        session(clip=clip, wrong=known[0].substitutions + drawn.choice((0, 0, 2)))
        for clip, known in before.items()
        for _ in range(4)
    ]
    found = estimate("wer_under_load", LevelValues(tuple(rows), alone_errors=before))
    assert found.interval is not None
    low, high = found.interval
    assert 0 < low < found.value < high < 0.15


# witness_inflation


def witness(before: Iterable[float], through: Iterable[float]) -> LevelValues:
    return LevelValues(
        (),
        witness=WitnessAnswers(
            before=tuple(answer("one", 0.0, final) for final in before),
            through=tuple(answer("one", 0.0, final) for final in through),
        ),
    )


def test_witness_inflation_is_the_quotient_of_two_p95() -> None:
    found = estimate("witness_inflation", witness([200.0, 210.0], [600.0, 630.0]))
    assert (found.value, found.n, found.interval) == (3.0, 2, None)
    assert estimate("witness_inflation", witness([200.0], [LOST])).value == math.inf


def test_witness_inflation_needs_finals_on_both_sides() -> None:
    assert LEVELS["witness_inflation"](witness([], [100.0])) is None
    assert LEVELS["witness_inflation"](witness([100.0], [])) is None
    assert LEVELS["witness_inflation"](witness([LOST], [100.0])) is None
    assert LEVELS["witness_inflation"](witness([-5.0], [100.0])) is None


def test_the_interval_of_witness_inflation_needs_many_sessions() -> None:
    drawn = random.Random(7)
    before = [drawn.uniform(95, 105) for _ in range(120)]
    found = estimate("witness_inflation", witness(before, [3 * x for x in before]))
    assert found.interval is not None
    low, high = found.interval
    assert 2.7 < low < 3.0 == pytest.approx(found.value)
    assert 3.0 < high < 3.3


# The client's own delay


def test_values_without_the_delay_of_the_client() -> None:
    rows = (session(900.0, prompt=100.0), session(120.0))
    late = LevelValues(
        rows,
        alone=(answer("one", 0.0, 150.0, 100.0),),
        witness=WitnessAnswers(through=(answer("one", 0.0, 700.0, 90.0),)),
    )
    best, worst = late.best, late.worst
    assert [each.answer.final for each in best.sessions] == [100.0, 120.0]
    assert [each.final for each in best.witness.through] == [90.0]
    assert best.alone == late.alone
    assert [each.final for each in worst.alone] == [100.0]
    assert worst.sessions == late.sessions
    assert worst.witness.through == late.witness.through
    found = [estimate("load_inflation", each).value for each in (best, late, worst)]
    assert found == pytest.approx([110 / 150, 510 / 150, 5.1])
