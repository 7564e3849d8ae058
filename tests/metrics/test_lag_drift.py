"""The drift of the lag: utterances with a known drift, and some without a value."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.emission import emissions
from pytest_realtime_asr.metrics.lag_drift import LEAST_POINTS, MOST_POINTS
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import Event, Final, Heard, Partial, Timeline

RATE, CHUNK, NS = 16_000, 1_600, 1_000_000_000
GAP = 0.4  # s from the end of a word to the end of the next, by default


def drift(
    lag: Callable[[float], float],
    *,
    words: int = 60,
    gap: float = GAP,
    said: int | None = None,
    timed: bool = True,
    late: float = 0.0,
) -> float | None:
    """Return the drift of an utterance whose word that ends at t s comes lag(t) s late.

    The server says the first ``said`` words right and then others. The client sends its
    audio ``late`` s late, which the server is not charged with.
    """
    names = [f"w{number}" for number in range(words)]
    ends = [round((number + 1) * gap, 6) for number in range(words)]
    script = Utterance(
        "it",
        " ".join(names),
        silence(0.1),
        words=tuple(
            Word(name, max(0.0, end - gap), end)
            for name, end in zip(names, ends, strict=True)
        )
        if timed
        else (),
    )
    chunks = round(ends[-1] * RATE / CHUNK) + 1

    def events() -> Iterator[tuple[float, Event]]:
        for number in range(chunks):
            due = round(number * CHUNK / RATE * NS)
            woke = due + round(late * NS)
            samples = CHUNK * (number + 1)
            yield due / NS, Heard(0, samples, due, woke, woke, 2 * CHUNK)
        for number, (name, end) in enumerate(zip(names, ends, strict=True)):
            wrong = said is not None and number >= said
            yield end + lag(end), Partial(0, 0, 10**9, " x" if wrong else f" {name}")

    rows = sorted(events(), key=lambda row: row[0])
    placed = [
        Partial(0, round(at * NS), 10**9, event.added)
        if isinstance(event, Partial)
        else event
        for at, event in rows
    ]
    text = "".join(e.added for e in placed if isinstance(e, Partial))
    final = Final(0, round(rows[-1][0] * NS) + NS, text)
    ended = End(Ending.CLOSED_BY_US, 0)
    timeline = Timeline(RATE, 0, 0, (*placed, final), ended)
    return CATALOGUE["lag_drift"](emissions(timeline, script))


@pytest.mark.parametrize("lag", [0.0, 0.5, 3.0])
def test_a_server_that_keeps_up_does_not_drift_however_late_it_is(lag: float) -> None:
    assert drift(lambda _: lag) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("share", [-0.05, 0.02, 0.05, 0.2, 1.0, 3.0])
def test_the_drift_is_the_share_by_which_a_server_falls_behind(share: float) -> None:
    assert drift(lambda end: 2.0 + share * end) == pytest.approx(share, abs=0.01)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(0, 0.5))
def test_single_late_words_do_not_change_the_drift(seed: int, share: float) -> None:
    source = random.Random(seed)
    late = {round(end * GAP, 6): 5.0 for end in source.sample(range(1, 51), 5)}

    def lag(end: float) -> float:
        return max(0.3 + share * end, late.get(end, 0.0))

    assert drift(lag, words=50) == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("step", [1.0, 2.0, 4.0, 8.0])
def test_text_in_bursts_does_not_drift(step: float) -> None:
    """A server that sends its text each few seconds is late by a saw-tooth."""
    found = drift(lambda end: -end % step, words=90)
    assert found is not None
    assert found <= 0.02


def test_words_after_the_end_of_the_audio_are_left_out() -> None:
    def flushed(end: float) -> float:
        return min(0.5 * end, max(0.0, 60 * GAP + 0.2 - end))

    assert drift(flushed) == pytest.approx(0.5, abs=0.02)


def test_a_late_client_is_not_charged_to_the_server() -> None:
    assert drift(lambda _: 1.0, late=0.5) == pytest.approx(0.0, abs=0.01)


def test_the_drift_of_very_many_words_is_estimated_from_some() -> None:
    many = drift(lambda end: 0.1 * end, words=2 * MOST_POINTS)
    assert many == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize(
    "given",
    [
        {"words": 19},  # less than 8 s
        {"said": LEAST_POINTS - 1},
        {"words": 90, "gap": 0.1, "said": 15},  # over less than 2 s
        {"timed": False},
    ],
)
def test_too_few_words_have_no_drift(given: dict[str, Any]) -> None:
    assert drift(lambda _: 0.1, **given) is None


def test_without_audio_or_words_there_is_no_drift() -> None:
    nothing = Timeline(RATE, 0, 0, (), End(Ending.CLOSED_BY_US, 0))
    assert CATALOGUE["lag_drift"](emissions(nothing, None)) is None
