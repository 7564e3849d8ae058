"""The timeline: what happened in a session, whatever its dialect."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest

from pytest_realtime_asr.trace.records import NO_LAG, End, Ending
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Edit,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Timeline,
    Usage,
)

END = End(Ending.CLOSED_BY_US, 99)


def timeline(*events: Event) -> Timeline:
    return Timeline(rate=1_000, opened=1, ready=2, events=events, end=END)


HEARD = [
    Heard(0, samples, due, due, due, 200)
    for samples, due in ((100, 10), (200, 20), (250, 25))
]
FIRST: tuple[Event, ...] = (
    *HEARD,
    Partial(0, 30, 0, "go"),
    Partial(0, 31, 2, " for"),
    Partial(0, 32, 3, "forward"),
    Commit(0, 40, 41, 42),
    Final(0, 50, "Go forward.", Usage(3, 2, 5)),
)
SECOND: tuple[Event, ...] = (
    Heard(1, 80, 60, 60, 60, 160),
    Refusal(61, "x", "why", 1),
    Partial(1, 62, 0, "turn"),
)
NOBODYS = Refusal(55, "y", "why not")
WHOLE = timeline(*FIRST, NOBODYS, *SECOND)


def test_an_item_is_the_session_with_only_its_own_events() -> None:
    assert WHOLE.item(0) == timeline(*FIRST)
    assert WHOLE.item(1) == timeline(*SECOND)
    assert WHOLE.item(2) == timeline()


def test_the_events_by_their_kind() -> None:
    assert WHOLE.heard == (*HEARD, SECOND[0])
    assert WHOLE.commit == Commit(0, 40, 41, 42)
    assert WHOLE.final == FIRST[-1]
    assert WHOLE.refusals == (NOBODYS, SECOND[1])


def test_events_that_did_not_happen_are_none() -> None:
    empty = timeline()
    assert empty.heard == ()
    assert empty.refusals == ()
    assert empty.commit is None
    assert empty.final is None
    assert empty.text == ""
    assert list(empty.hypotheses()) == []
    assert empty.lag is NO_LAG
    assert empty.session == ""


def test_a_hypothesis_is_the_full_text_after_each_event() -> None:
    assert list(WHOLE.item(0).hypotheses()) == [
        (30, "go"),
        (31, "go for"),
        (32, "go forward"),
        (50, "Go forward."),
    ]


def test_the_text_is_the_final_one_or_the_last_hypothesis() -> None:
    assert WHOLE.item(0).text == "Go forward."
    assert WHOLE.item(1).text == "turn"


@pytest.mark.parametrize(
    ("seconds", "due"),
    [(0, 10), (0.1, 10), (0.101, 20), (0.2, 20), (0.25, 25), (0.251, None)],
)
def test_audio_is_due_with_the_first_frame_that_reaches_it(
    seconds: float, due: int | None
) -> None:
    assert WHOLE.item(0).due(seconds) == due


def test_without_audio_nothing_was_due() -> None:
    assert timeline().due(0) is None


def test_an_edit_contains_only_the_changed_text() -> None:
    found = timeline(
        Partial(0, 1, 0, " "),
        Partial(0, 2, 0, " go four"),
        Partial(0, 3, 4, "for ten"),
        Partial(0, 4, 99, ""),
        Final(0, 5, " go forward"),
    ).edits
    assert found == (
        Edit(1, 0, "", " ", blank=True, final=False),
        Edit(2, 1, "", "go four", blank=False, final=False),
        Edit(3, 6, "ur", "r ten", blank=False, final=False),
        Edit(4, 11, "", "", blank=False, final=False),
        Edit(5, 7, " ten", "ward", blank=False, final=True),
    )


def grown(count: int, seed: int = 0) -> Timeline:
    rng = random.Random(seed)
    events, text = [], ""
    for at in range(count):
        kept = rng.randrange(len(text) + 1) if rng.random() < 0.2 else len(text)
        added = "".join(rng.choices("ab \u00e9\u5f80", k=rng.randrange(4)))
        events.append(Partial(0, at, kept, added))
        text = text[:kept] + added
    return timeline(*events, Final(0, count, text))


def test_texts_are_a_sequence_like_a_tuple_of_them() -> None:
    for seed in range(50):
        session = grown(20, seed)
        known = tuple(text for _, text in session.hypotheses())
        texts = session.texts
        places = [*range(-21, 21), *random.Random(seed).choices(range(21), k=40)]
        assert [texts[n] for n in places] == [known[n] for n in places]
        assert texts == known == texts
        assert texts == list(known)
        assert texts != known[:-1]
        assert texts != (*known[:-1], "x")
        assert texts[3:-2:4] == known[3:-2:4]
        assert texts[::-1] == known[::-1]
        assert tuple(texts) == known
        assert len(texts) == len(known)
        assert known[7] in texts
        assert "x" not in texts
        assert session.text == known[-1]
    with pytest.raises(IndexError):
        texts[21]


def test_texts_are_shown_in_a_line() -> None:
    assert repr(timeline().texts) == "<0 texts>"
    assert repr(timeline(*FIRST).texts) == "<4 texts, the last one 'Go forward.'>"
    long = timeline(Partial(0, 1, 0, "a" * 10**6))
    assert len(repr(long.texts)) < 80


def test_texts_need_no_more_memory_than_the_received_text() -> None:
    texts = timeline(
        *(Partial(0, at, 10 * at, "0123456789") for at in range(5000))
    ).texts
    tracemalloc.start()
    assert sum(map(len, texts)) == 10 * sum(range(1, 5001))  # 125 MB of texts
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(texts[-1])


def test_the_items_of_a_session_are_found_in_one_pass() -> None:
    class Counted(tuple[Event, ...]):
        passes = 0

        def __iter__(self) -> Iterator[Event]:
            Counted.passes += 1
            return super().__iter__()

    events = Counted(Partial(item, item, 0, "a") for item in range(50))
    session = Timeline(rate=1_000, opened=1, ready=2, events=events, end=END)
    assert [session.item(n).text for n in range(50)] == ["a"] * 50
    assert Counted.passes == 1
