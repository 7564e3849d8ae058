"""Tests of the times of words that the fake server gives to a dialect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.word_times import WordTimes
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage, WordTime

THE, CAT, SAT = (
    WordTime("the", 0.1, 0.2),
    WordTime("cat", 0.3, 0.5),
    WordTime("sat", 0.6, 0.9),
)


class Dialect:
    """Keeps the words of each call."""

    rate = 16_000

    def __init__(self) -> None:
        self.partials: list[Sequence[WordTime]] = []
        self.finals: list[Sequence[WordTime]] = []

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return (session,)

    def hear(self, frame: Frame) -> Reaction:
        return Reaction(begin=True, replies=(frame,))

    def expire(self) -> Reaction:
        return Reaction(close=1001)

    def partial(
        self, added: str, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[Frame]:
        self.partials.append(tuple(words))
        return (added,)

    def final(
        self, text: str, usage: Usage, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[Frame]:
        self.finals.append(tuple(words))
        return (text,)


@pytest.fixture
def dialect() -> Dialect:
    return Dialect()


@pytest.fixture
def times(dialect: Dialect) -> WordTimes:
    return WordTimes(dialect)


def test_a_partial_has_all_words_so_far(dialect: Dialect, times: WordTimes) -> None:
    for word, added in ((THE, "the"), (CAT, " cat")):
        times.add(word, 0)
        assert times.partial(added, 0) == (added,)
    times.add(SAT, 0)
    assert times.final("the cat sat", Usage(), 0) == ("the cat sat",)
    assert dialect.partials == [(THE,), (THE, CAT)]
    assert dialect.finals == [(THE, CAT, SAT)]


def test_words_of_utterances_do_not_mix(dialect: Dialect, times: WordTimes) -> None:
    times.add(THE, 0)
    times.add(CAT, 1)
    times.partial("cat", 1)
    times.final("the", Usage(), 0)
    assert dialect.partials == [(CAT,)]
    assert dialect.finals == [(THE,)]


def test_a_word_may_come_in_pieces(dialect: Dialect, times: WordTimes) -> None:
    for word in (CAT, SAT):
        times.add(word, 0)
    for piece in ("c", "at s", "", "at"):
        times.partial(piece, 0)
    assert dialect.partials == [
        (WordTime("c", 0.3, 0.5),),
        (CAT, WordTime("s", 0.6, 0.9)),
        (CAT, WordTime("s", 0.6, 0.9)),
        (CAT, SAT),
    ]


def test_a_lost_partial_moves_no_times(dialect: Dialect, times: WordTimes) -> None:
    times.add(THE, 0)
    times.add(CAT, 0)
    times.partial("cat", 0)
    times.add(SAT, 0)
    times.partial(" sat", 0)
    times.final("the cat sat", Usage(), 0)
    assert dialect.partials == [(CAT,), (CAT, SAT)]
    assert dialect.finals == [(THE, CAT, SAT)]


def test_a_late_word_keeps_its_time(dialect: Dialect, times: WordTimes) -> None:
    times.add(THE, 0)
    times.add(CAT, 0)
    times.partial("the", 0)
    times.partial(" cat", 0)
    assert dialect.partials == [(THE,), (THE, CAT)]


def test_another_word_has_the_time_of_the_word_it_replaces(
    dialect: Dialect, times: WordTimes
) -> None:
    times.add(THE, 0)
    times.add(CAT, 0)
    times.partial("the dog", 0)
    times.final("a cat", Usage(), 0)
    assert dialect.partials == [(THE, WordTime("dog", 0.3, 0.5))]
    assert dialect.finals == [(WordTime("a", 0.1, 0.2), CAT)]


def test_an_invented_word_lies_between_its_neighbours(
    dialect: Dialect, times: WordTimes
) -> None:
    for word in (THE, CAT):
        times.add(word, 0)
    times.final("so the big cat", Usage(), 0)
    so, big = WordTime("so", 0.0, 0.0), WordTime("big", 0.2, 0.2)
    assert dialect.finals == [(so, THE, big, CAT)]


def test_all_other_calls_are_passed_on(times: WordTimes) -> None:
    assert times.rate == 16_000
    assert list(times.open("s", 0)) == ["s"]
    assert times.hear("go") == Reaction(begin=True, replies=("go",))
    assert times.expire() == Reaction(close=1001)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("loses-tail", [(THE,), (THE, CAT)]),
        ("loses-head", [(CAT,), (CAT, SAT)]),
        ("lost-delta", [(CAT,), (CAT, SAT)]),
        ("all-at-end", [(THE, CAT, SAT)]),
    ],
)
def test_faults_keep_words_and_times_together(
    dialect: Dialect,
    times: WordTimes,
    fault: str,
    words: Sequence[Sequence[WordTime]],
) -> None:
    server = Faults([fault], ServerState()).wrap(times)
    tuple(server.hear("begin").replies)
    for word, added in ((THE, "the"), (CAT, " cat"), (SAT, " sat")):
        times.add(word, 0)
        tuple(server.partial(added, 0))
    (text,) = list(server.final("the cat sat", Usage(), 0))[-1:]
    assert dialect.partials == words
    assert [word.text for word in dialect.finals[0]] == str(text).split()
    assert set(dialect.finals[0]) <= {THE, CAT, SAT}
