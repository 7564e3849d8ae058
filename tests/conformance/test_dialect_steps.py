"""The scenarios that dialects describe as data."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.scenarios import dialect_steps
from pytest_realtime_asr.requirements.shared import BESIDE, TWO_SET_UPS


class Run:
    """Records the sessions that a scenario opens, and what is sent in each."""

    config = SimpleNamespace(
        plan=SimpleNamespace(options={"a": 1}, pace=1.0, keepalive=True), answer=0
    )
    clips = SimpleNamespace(first="first", second="second")

    def __init__(self) -> None:
        self.done: list[object] = []

    async def open(self, role: str, *, options: object, **given: object) -> Any:
        self.done.append((role, options))

        async def send_raw(frame: str) -> None:
            self.done.append((role, "by hand"))

        trace = SimpleNamespace(records=())
        return SimpleNamespace(role=role, send_raw=send_raw, trace=trace, is_open=True)

    async def settle(self) -> None:
        self.done.append("settled")

    async def next(self, live: Any) -> Any:
        return live

    async def transcribe(self, live: Any, utterance: str) -> None:
        self.done.append((live.role, utterance))


@pytest.mark.parametrize(
    ("name", "other", "by_hand"),
    [
        ("vllm", {"language": "de"}, 0),
        ("openai", {"language": "de", "format": "pcmu"}, 1),
        ("openai-beta", {"language": "de", "format": "pcmu"}, 1),
        (
            "openai:sglang",
            {"language": "de", "format": {"type": "audio/pcm", "rate": 16_000}},
            1,
        ),
        ("openai-beta:riva", {"language": "de"}, 1),
    ],
)
def test_a_session_beside_has_its_own_options(
    name: str, other: dict[str, object], by_hand: int
) -> None:
    found = dialect_steps.scenarios(dialects.load(name))
    (scenario,) = (each for each in found if each.name == TWO_SET_UPS)
    assert (scenario.sessions, scenario.streams, scenario.times) == (2, 2, 2)
    run: Any = Run()

    async def act() -> None:
        await scenario.act(run)

    asyncio.run(act())
    assert run.done == [
        (TWO_SET_UPS, {"a": 1}),
        (BESIDE, {"a": 1, **other}),
        "settled",
        *[(TWO_SET_UPS, "by hand")] * by_hand,
        *[(TWO_SET_UPS, "first")] * 2,
    ]
