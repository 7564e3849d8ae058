"""The capacity of a fake server: what each mode does beyond it, and not below it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from pytest_realtime_asr.fake.capacity import Capacity, CapacityMode, Place, Workload
from pytest_realtime_asr.fake.process import FakeServer
from tests.support import letters
from tests.support.letters import (
    BRIEF,
    COMMIT,
    FINAL,
    LONG,
    UPDATE,
    Talk,
    audio_of,
    place,
)

SIX = "a b c d e f"
PARTIALS = ["a", " b", " c", " d", " e", " f"]
RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
USAGE = "vllm:kv_cache_usage_perc"
MODES = [mode for mode in CapacityMode if mode is not CapacityMode.DIE]


def workload(number: int, mode: CapacityMode) -> Workload:
    return Workload(Capacity(number, mode))


# The places of a server


def test_a_capacity_is_positive() -> None:
    with pytest.raises(ValueError, match="a capacity of 0 is less than 1"):
        Capacity(0)
    assert Capacity(1).mode is CapacityMode.QUEUE


def test_a_queue_is_served_in_its_order() -> None:
    load = workload(1, CapacityMode.QUEUE)
    first, second, third = [load.begin() for _ in range(3)]
    assert [each.clock.rate for each in (first, second, third)] == [1, 0, 0]
    assert (load.running, load.waiting, load.usage) == (1, 2, 1.0)
    load.end(first)
    load.end(first)
    assert [each.clock.rate for each in (second, third)] == [1, 0]
    load.end(third)  # it leaves while it waits
    load.end(second)
    assert (load.running, load.waiting, load.usage) == (0, 0, 0.0)
    assert load.begin().clock.rate == 1


def test_a_slow_server_divides_its_speed() -> None:
    load = workload(2, CapacityMode.SLOW)
    places = [load.begin() for _ in range(2)]
    assert places[0].clock.rate == 1
    places += [load.begin() for _ in range(3)]
    assert {each.clock.rate for each in places} == {2 / 5}
    for each in places[1:]:
        load.end(each)
    assert places[0].clock.rate == 1


def test_only_a_deadly_server_dies_beyond_its_capacity() -> None:
    for mode in CapacityMode:
        load = workload(1, mode)
        assert not load.is_deadly
        load.begin()
        assert load.is_deadly == (mode is CapacityMode.DIE)


def test_every_third_word_beyond_the_capacity_is_lost() -> None:
    def kept(load: Workload, place: Place) -> list[bool]:
        return [load.keeps_word(place) for _ in range(4)]

    load = workload(1, CapacityMode.TEXT)
    within, beyond = load.begin(), load.begin()
    assert kept(load, within) == [True] * 4
    assert kept(load, beyond) == [True, True, False, True]
    assert kept(load, beyond) == [True, False, True, True]  # the count goes on
    load.end(within)
    assert kept(load, beyond) == [False, True, True, False]  # it began beyond
    other = workload(1, CapacityMode.LESS)
    other.begin()
    assert kept(other, other.begin()) == [True] * 4


def test_an_overload_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    load = workload(1, CapacityMode.TEXT)
    within = load.begin()
    assert load.since_overload == math.inf
    beyond = load.begin()
    assert load.since_overload == 0
    now = 105.0
    load.end(beyond)
    now = 107.0
    assert load.since_overload == 2
    load.end(within)
    assert load.since_overload == 2


def test_a_refusal_is_an_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    load = workload(2, CapacityMode.REFUSE)
    assert not load.refuses(1)
    assert load.since_overload == math.inf
    assert load.refuses(2)
    now = 101.0
    assert load.since_overload == 1
    assert not workload(2, CapacityMode.QUEUE).refuses(5)


def test_a_server_without_a_capacity_has_no_limit() -> None:
    load = Workload()
    places = [load.begin() for _ in range(1000)]
    assert load.running == 1000
    assert (load.waiting, load.usage, load.since_overload) == (0, 0.0, math.inf)
    assert not load.is_deadly
    assert not load.refuses(1000)
    assert all(each.clock.rate == 1 for each in places)
    assert not any(each.is_beyond for each in places)


# The server on a socket


@dataclass(frozen=True)
class Heard:
    """The result of one utterance, ``took`` s after the clients ended all audio."""

    text: str | None
    partials: list[str]
    took: float


async def crowd(number: int, **given: Any) -> list[Heard]:
    """Return the results of utterances that were open at the same time.

    They begin in their order, and end together once all of their audio was sent.
    """
    async with place(**given) as it:
        talks = [await it.open() for _ in range(number)]
        for count, talk in enumerate(talks, start=1):
            await talk.send(COMMIT)
            await talk.send_audio(audio_of(SIX))
            if "capacity" in given:
                await begun(it, count)
        start = time.monotonic()

        async def heard(talk: Talk) -> Heard:
            text = await talk.finish()
            return Heard(text, talk.deltas, time.monotonic() - start)

        return list(await asyncio.gather(*map(heard, talks)))


async def begun(it: letters.Place, number: int) -> None:
    """Wait until the server has begun, or queued, this number of utterances."""
    async with asyncio.timeout(LONG):
        while await it.metric(RUNNING) + await it.metric(WAITING) < number:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("mode", CapacityMode)
def test_within_its_capacity_a_server_is_correct(mode: CapacityMode) -> None:
    delays = {"word_delay": 0.01, "final_delay": 0.05}
    plain = asyncio.run(crowd(2, **delays))
    limited = asyncio.run(crowd(2, capacity=Capacity(2, mode), **delays))
    for each in (*plain, *limited):
        assert (each.text, each.partials) == (
            SIX,
            ["a", *[" b", " c", " d", " e", " f"]],
        )
        assert each.took >= delays["final_delay"]


def test_an_utterance_beyond_the_capacity_waits_for_a_place() -> None:
    delay = 0.15
    first, second, third = asyncio.run(
        crowd(3, capacity=Capacity(1), final_delay=delay)
    )
    assert [each.text for each in (first, second, third)] == [SIX] * 3
    # Each place begins after the final of the utterance before.
    assert first.took >= delay
    assert second.took >= 2 * delay
    assert third.took >= 3 * delay


def test_no_partial_comes_while_an_utterance_waits() -> None:
    async def run() -> tuple[list[str], str | None, list[str]]:
        async with place(capacity=Capacity(1)) as it:
            first, second = [await it.open() for _ in range(2)]
            await first.send(COMMIT)
            await begun(it, 1)
            await second.send(COMMIT)
            await second.send_audio(audio_of(SIX))
            await second.rest()
            assert await it.metric(WAITING) == 1
            before = second.deltas
            await first.finish()
            text = await second.finish()
            return before, text, second.deltas

    before, text, after = asyncio.run(run())
    assert before == []
    assert text == SIX
    assert "".join(after) == SIX


def test_a_client_that_leaves_the_queue_frees_its_place() -> None:
    async def run() -> str | None:
        async with place(capacity=Capacity(1)) as it:
            first, second, third = [await it.open() for _ in range(3)]
            for count, talk in enumerate((first, second, third), start=1):
                await talk.send(COMMIT)
                await begun(it, count)
            await second.link.close()
            letters.reset(first)
            return await third.finish()

    assert asyncio.run(run()) == ""


def test_beyond_the_capacity_all_utterances_are_slow() -> None:
    delay, number = 0.1, 4
    slow = asyncio.run(
        crowd(number, capacity=Capacity(1, CapacityMode.SLOW), final_delay=delay)
    )
    assert [each.text for each in slow] == [SIX] * number
    # They share one place from the end of the audio on, until the first final.
    assert min(each.took for each in slow) >= number * delay


def test_beyond_the_capacity_a_handshake_is_refused() -> None:
    async def run() -> list[int]:
        refused = Capacity(2, CapacityMode.REFUSE)
        async with place(capacity=refused) as it:
            first = await it.open()
            await it.open()
            statuses = []
            for _ in range(2):
                with pytest.raises(InvalidStatus) as caught:
                    await it.open()
                statuses.append(caught.value.response.status_code)
            assert (await it.get("/health"))[0] == 200
            await first.link.close()
            assert await it.utter(SIX) == SIX
            return statuses

    assert asyncio.run(run()) == [503, 503]


def test_beyond_the_capacity_words_are_lost_in_time() -> None:
    delay = 0.05
    lossy = Capacity(1, CapacityMode.TEXT)
    within, beyond, last = asyncio.run(crowd(3, capacity=lossy, final_delay=delay))
    assert within.text == SIX
    for each in (beyond, last):
        assert each.text == "a b d e"
        assert "".join(each.partials) == each.text


def test_beyond_the_capacity_partials_are_fewer_and_faster() -> None:
    delay = 0.4
    sparse = Capacity(1, CapacityMode.LESS)
    within, beyond = asyncio.run(crowd(2, capacity=sparse, final_delay=delay))
    assert [within.text, beyond.text] == [SIX, SIX]
    assert len(within.partials) == 6
    assert beyond.partials == ["a b c", " d e f"]
    assert within.took >= delay
    assert beyond.took < within.took


def test_partials_add_up_whatever_the_number_of_words() -> None:
    async def run() -> tuple[str | None, list[str]]:
        async with place(capacity=Capacity(1, CapacityMode.LESS)) as it:
            await (await it.open()).send(COMMIT)
            await begun(it, 1)
            talk = await it.open()
            return await talk.utter("a b c d"), talk.deltas

    assert asyncio.run(run()) == ("a b c d", ["a b c", " d"])


@pytest.mark.parametrize("mode", MODES)
def test_a_server_is_correct_again_after_an_overload(mode: CapacityMode) -> None:
    async def run() -> tuple[str | None, int]:
        async with place(capacity=Capacity(1, mode)) as it:
            number = 1 if mode is CapacityMode.REFUSE else 3
            talks = [await it.open() for _ in range(number)]
            await asyncio.gather(*(talk.utter(SIX) for talk in talks))
            for talk in talks:
                await talk.link.close()
            talk = await it.open()
            return await talk.utter(SIX), len(talk.deltas)

    assert asyncio.run(run()) == (SIX, 6)


async def leaves(talk: Talk) -> None:
    await talk.link.close()


async def vanishes(talk: Talk) -> None:
    letters.reset(talk)


async def finishes(talk: Talk) -> None:
    await talk.send(FINAL)
    await talk.hear("transcription.done", within=BRIEF)


@pytest.mark.parametrize(
    ("ends", "faults"),
    [
        (leaves, ()),
        (vanishes, ()),
        (finishes, ()),
        (finishes, ("no-final",)),
        (finishes, ("two-finals",)),
    ],
)
@pytest.mark.parametrize("mode", [CapacityMode.QUEUE, CapacityMode.SLOW])
def test_a_place_is_free_however_an_utterance_ends(
    mode: CapacityMode,
    ends: Callable[[Talk], Awaitable[None]],
    faults: tuple[str, ...],
) -> None:
    async def run() -> None:
        async with place(*faults, capacity=Capacity(1, mode)) as it:
            talks = [await it.open() for _ in range(2)]
            for count, talk in enumerate(talks, start=1):
                await talk.send(COMMIT)
                await begun(it, count)
            await asyncio.gather(*map(ends, talks))
            async with asyncio.timeout(LONG):
                while await it.metric(RUNNING) or await it.metric(WAITING):
                    await asyncio.sleep(0.005)

    asyncio.run(run())


# What the server shows


def test_the_metrics_of_a_full_server() -> None:
    async def run() -> list[tuple[float, ...]]:
        names = (RUNNING, WAITING, USAGE)
        async with place(capacity=Capacity(2)) as it:
            found = [tuple([await it.metric(name) for name in names])]
            talks = [await it.open() for _ in range(4)]  # which take no place
            for count, talk in enumerate(talks[:3], start=1):
                await talk.send(COMMIT)
                await begun(it, count)
                found.append(tuple([await it.metric(name) for name in names]))
            await talks[0].finish()
            found.append(tuple([await it.metric(name) for name in names]))
            return found

    expected = [(0, 0, 0), (1, 0, 0.5), (2, 0, 1), (2, 1, 1), (2, 0, 1)]
    assert asyncio.run(run()) == expected


# The process


@pytest.mark.slow
def test_beyond_its_capacity_a_server_dies() -> None:
    update = {**UPDATE, "model": "scripted"}

    async def begin(it: letters.Place) -> None:
        talk = await it.open(configured=False)
        await talk.send(update, COMMIT)
        await talk.rest()

    arguments = ["--capacity", "2", "--capacity-mode", "die"]
    with FakeServer(["--corpus", "bundled:odd", *arguments]) as fake:

        async def run() -> None:
            it = letters.Place(int(fake.url.rpartition(":")[2]))
            for _ in range(2):
                await begin(it)
            assert await it.metric(RUNNING) == 2
            await begin(it)
            await it.leave()

        asyncio.run(run())
        assert fake._process.wait(LONG) == 70
