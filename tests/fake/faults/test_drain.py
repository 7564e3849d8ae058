"""The faults of the shutdown of a fake server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest

from pytest_realtime_asr.fake.faults import drain
from tests.support.letters import COMMIT, FINAL, LONG, audio_of, place

NAMES = ("drain-drops-finals", "drain-hangs", "drain-1012")


@dataclass(frozen=True)
class Drained:
    """What a session got; the shutdown began ``took`` s before its close."""

    text: str | None
    code: int | None
    took: float


def drained(*faults: str, final_delay: float = 0.1) -> Drained:
    async def run() -> Drained:
        async with place(*faults, final_delay=final_delay) as it:
            talk = await it.open()
            await talk.send(COMMIT)
            await talk.send_audio(audio_of("a b"))
            await talk.hear("transcription.delta")
            await talk.send(FINAL)
            begun = time.monotonic()
            stopping = asyncio.create_task(it.stop())
            done = await talk.hear("transcription.done")
            await talk.hear("no such event")  # until the connection is closed
            took = time.monotonic() - begun
            await stopping
            return Drained(None if done is None else done["text"], talk.closed, took)

    return asyncio.run(run())


def test_a_correct_server_sends_its_finals_first() -> None:
    found = drained()
    assert (found.text, found.code) == ("a b", 1001)


def test_the_finals_are_dropped() -> None:
    found = drained("drain-drops-finals", final_delay=LONG)
    assert (found.text, found.code) == (None, 1001)


def test_the_end_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = 0.5
    monkeypatch.setattr(drain, "HANGING", hanging)
    found = drained("drain-hangs")
    assert (found.text, found.code) == ("a b", 1001)
    assert found.took >= hanging
    assert min(drained().took for _ in range(2)) < hanging


def test_the_server_restarts() -> None:
    found = drained("drain-1012")
    assert (found.text, found.code) == ("a b", 1012)


def test_faults_can_be_combined() -> None:
    found = drained("drain-1012", "drain-drops-finals", final_delay=LONG)
    assert (found.text, found.code) == (None, 1012)
