"""What texts lose: the tests of single losses, and runs of a simulated server."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_realtime_asr.requirements import text_losses
from pytest_realtime_asr.requirements.checks.lost_words import (
    CHUNKS,
    CUT,
    JITTERED,
    Loss,
    judged,
)
from pytest_realtime_asr.requirements.requirement import Violated
from pytest_realtime_asr.requirements.text_losses import LongTake, Take
from tests.support.lossy_texts import Run, Server

BY_20, BY_40, BY_80 = CHUNKS
# What a server loses, and the tests of which one has to find it
LOSSES: dict[str, tuple[dict[str, Any], set[Loss]]] = {
    "head-200ms": ({"head": 1, "share": 1 / 3}, {Loss.HEAD}),
    "head-400ms": ({"head": 1}, {Loss.HEAD}),
    "head-800ms": ({"head": 3}, {Loss.HEAD}),
    "tail-200ms": ({"tail": 1, "share": 1 / 3}, {Loss.TAIL}),
    "tail-400ms": ({"tail": 1}, {Loss.TAIL}),
    "tail-800ms": ({"tail": 3}, {Loss.TAIL}),
    "rest-20ms": ({"rest": {JITTERED: 1 / 3}}, {Loss.JITTER}),
    "rest-40ms": (
        {"rest": {CUT: 0.2, BY_20: 1.0, JITTERED: 1.0}},
        {Loss.CHUNKS, Loss.OWN_CHUNKS},
    ),
    "rest-80ms": (
        {"rest": {CUT: 0.2, BY_20: 1.0, BY_40: 1.0, JITTERED: 1.0}},
        {Loss.CHUNKS, Loss.OWN_CHUNKS},
    ),
    "stop-5s": ({"stop": 5.0}, {Loss.END}),
    "stop-10s": ({"stop": 10.0}, {Loss.END}),
    "stop-30s": ({"stop": 30.0}, {Loss.END}),
    "hole-2s": ({"hole": (4.0, 6.0)}, {Loss.HOLE}),
}


def take(kept: str, clip: str = "a") -> Take:
    """A take whose words are kept (``+``) or missing (``-``)."""
    flags = tuple(each == "+" for each in kept)
    return Take(clip, flags, flags.count(False))


def long(*kept: str) -> LongTake:
    """A long take of clips with a word per second."""
    takes, times, at = [], [], 0.0
    for number, each in enumerate(kept):
        takes.append(take(each, str(number)))
        times.append(tuple(at + place for place in range(len(each))))
        at += len(each)
    return LongTake(tuple(takes), tuple(times))


def found(server: Server, seed: int) -> set[Loss]:
    """The losses that the tests of one run of a simulated server find."""
    results = judged(Run(server, seed).takes())
    return {e.test.loss for e in results if isinstance(e.outcome, Violated)}


def test_a_word_that_is_missing_more_often_than_the_others() -> None:
    tails = [take("+++-", str(clip)) for clip in range(5)]
    tested = text_losses.at_word(tails, -1)
    assert tested.p == pytest.approx(0.25**5)
    assert (tested.lost, tested.of) == (5, 5)
    assert text_losses.at_word(tails, 0).p == 1.0
    # Two takes of a clip count together: each of four words may lose both.
    twice = [take("+++-"), take("+++-"), take("++-+", "b")]
    assert text_losses.at_word(twice, -1).p == pytest.approx(0.25)


def test_a_text_without_any_word_shows_no_place() -> None:
    assert text_losses.at_word([take("----")], -1).p == 1.0
    assert text_losses.at_word([take("")], -1).of == 0


def test_the_end_of_long_texts() -> None:
    cut = long("++", "++", "--", "--", "--")
    tested = text_losses.after_a_time([cut])
    assert tested.p == pytest.approx(1 / math.comb(5, 3))
    assert (tested.lost, tested.of, tested.times) == (3, 5, (3.0,))
    assert text_losses.after_a_time([cut, cut]).p == pytest.approx(0.01)
    inner = long("++", "--", "--", "--", "++")
    assert text_losses.after_a_time([inner]).p == 1.0


def test_words_at_the_edges_of_segments() -> None:
    # Words at 5 and 10 s are missing.
    longs = [long("++++", "+-++", "++-+", "++++")]
    tested = text_losses.at_multiples(longs, 5.0)
    assert (tested.lost, tested.of, tested.times) == (2, 3, (5.0, 10.0))
    assert tested.p == pytest.approx(1 / 16)


def test_a_hole_is_compared_with_other_texts_of_the_clip() -> None:
    others = [take("++++", str(clip)) for clip in range(3) for _ in range(4)]
    longs = [long("++++", "+--+", "++++")]
    tested = text_losses.holes(longs, others)
    assert (tested.lost, tested.of, tested.times) == (1, 3, (5.0, 6.0))
    assert tested.p == pytest.approx(1 / 5)
    usual = [take("+--+", str(clip)) for clip in range(3) for _ in range(4)]
    assert text_losses.holes(longs, usual).p == 1.0
    # A single missing word is no hole, and neither is the end of the text.
    assert text_losses.holes([long("++-+", "----", "----")], others).lost == 0


def test_two_conditions_of_the_same_clips() -> None:
    worse = [take("--++", str(clip)) for clip in range(6)]
    better = [take("+-++", str(clip)) for clip in range(6)] + [take("++", "other")]
    tested = text_losses.compared(worse, better)
    assert (tested.lost, tested.gained, tested.of) == (6, 0, 6)
    assert tested.p == pytest.approx(0.5**6)
    assert text_losses.compared(better, worse).p == 1.0
    assert text_losses.compared(worse, worse).p == 1.0


# Runs of a simulated server


def missed(runs: Iterable[set[Loss]], losses: set[Loss]) -> int:
    return sum(not found & losses for found in runs)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_found(loss: str) -> None:
    what, losses = LOSSES[loss]
    server = Server(0.05, **what)
    assert not missed((found(server, seed) for seed in range(8)), losses)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_found_in_475_of_500_runs(loss: str) -> None:
    what, losses = LOSSES[loss]
    server = Server(0.1, **what)
    assert missed((found(server, seed) for seed in range(500)), losses) <= 25


@pytest.mark.parametrize("clustered", [False, True])
def test_errors_alone_are_no_loss(clustered: bool) -> None:
    runs = [found(Server(0.1, clustered), seed) for seed in range(40)]
    assert sum(map(bool, runs)) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("wer", [0.05, 0.1, 0.2])
def test_at_most_16_of_1000_runs_are_false_alarms(wer: float, clustered: bool) -> None:
    runs = [found(Server(wer, clustered), seed) for seed in range(1000)]
    assert sum(map(bool, runs)) <= 16
