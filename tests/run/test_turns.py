"""Turns: workers measure one after another, and not while the suite measures."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.support.runs import (
    Start,
    options,
    realtime,
)
from tests.support.servers import CLIP


@pytest.mark.parametrize("parallel", [False, True])
def test_turns(start: Start, url: str, tmp_path: Path, parallel: bool) -> None:
    given = options(parallel="true" if parallel else "false")
    one, two = (start(given, shared=tmp_path) for _ in range(2))
    events: list[str] = []
    taken = threading.Event()

    def first() -> None:
        one.begin("one")
        server = realtime(one, url)
        server.transcribe(CLIP)
        taken.set()
        time.sleep(0.2)
        server.transcribe(CLIP)
        events.append("one")
        one.finish()

    def second() -> None:
        assert taken.wait(10)
        two.begin("two")
        with realtime(two, url).connect():
            events.append("two")
        two.finish()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert events == (["two", "one"] if parallel else ["one", "two"])


def test_a_test_that_ended_while_it_waited_keeps_no_turn(
    start: Start, tmp_path: Path
) -> None:
    one, two, three = (start(shared=tmp_path) for _ in range(3))
    for name, run in (("one", one), ("two", two), ("three", three)):
        run.begin(name)
    one.take_turn(one.ledger)
    late = two.ledger
    waiting = threading.Thread(target=lambda: two.take_turn(late))
    waiting.start()
    time.sleep(0.1)
    two.finish()
    one.finish()
    waiting.join(20)
    assert late.turn.taken is False
    last = threading.Thread(target=lambda: three.take_turn(three.ledger))
    last.start()
    last.join(20)
    assert not last.is_alive()
    assert three.ledger.turn.taken


def test_no_test_measures_while_another_occupies_the_server(
    start: Start, url: str
) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)
    events: list[str] = []

    def measure() -> None:
        with server.connect():
            events.append("opened")
        server.transcribe(CLIP)
        events.append("spoken")

    run.turns.occupy()
    thread = threading.Thread(target=measure)
    thread.start()
    try:
        time.sleep(0.2)
        events.append("vacated")
    finally:
        run.turns.vacate()
    thread.join(20)
    assert events == ["vacated", "opened", "spoken"]


def test_occupy_waits_for_the_vacate_of_another_caller(start: Start) -> None:
    """Another thread than the one that called `occupy` may call `vacate`."""
    run = start()
    events: list[str] = []

    def second() -> None:
        run.turns.occupy()
        events.append("second")
        run.turns.vacate()

    run.turns.occupy()
    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.1)
    events.append("first")
    other = threading.Thread(target=run.turns.vacate)
    other.start()
    for each in (thread, other):
        each.join(20)
    assert events == ["first", "second"]
    run.turns.occupy()
    run.turns.vacate()
