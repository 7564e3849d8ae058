"""A run of a scenario: in which sessions it sends its utterances."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.dialects import Dialect, HttpRefusal, Reaction, Request
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Satisfied, Violated
from tests.support.packed import PACKED, Packed
from tests.support.random_scripts import SPOKEN, run_config
from tests.support.servers import BRIEF, VLLM, faking

KEY = "the-right-key"
HEADER = "Authorization"


def ran(loop: Loop, dialect: Dialect, name: str, *faults: str) -> Evidence:
    """Return the evidence of a scenario of a dialect on its fake server."""
    with faking(*faults, dialect=dialect) as (url, _):
        run = ScenarioRun(run_config(loop, url, dialect=dialect, settle=0.01), name)

        async def act() -> Evidence:
            await scenarios(dialect)[name].act(run)
            return await run.close()

        return loop.run(act())


@pytest.mark.parametrize(("dialect", "sessions"), [(VLLM, [2]), (PACKED, [1, 1])])
def test_a_session_has_as_many_utterances_as_its_protocol_allows(
    loop: Loop, dialect: Dialect, sessions: list[int]
) -> None:
    found = ran(loop, dialect, "silence").role("silence")
    assert [len(part.spoken) for part in found] == sessions
    texts = [part.text(item) for part in found for item in part.spoken]
    assert texts == ["", SPOKEN.first.text]


@pytest.mark.parametrize("dialect", [VLLM, PACKED])
@pytest.mark.parametrize("role", ["silence", "empty"])
def test_the_utterance_without_speech_is_judged_in_either_case(
    loop: Loop, dialect: Dialect, role: str
) -> None:
    sound = ran(loop, dialect, role)
    assert checks.wordless(role)(sound) == Satisfied()
    assert checks.answers(role)(sound) == Satisfied()
    babbling = ran(loop, dialect, role, "babbles-in-silence")
    assert isinstance(checks.wordless(role)(babbling), Violated)


def test_a_bystander_speaks_in_further_sessions(loop: Loop) -> None:
    with faking(dialect=PACKED) as (url, fake):
        run = ScenarioRun(run_config(loop, url, dialect=PACKED, settle=0.01), "it")

        async def act() -> Evidence:
            async with asyncio.timeout(BRIEF.silence), run.with_bystander():
                while len(fake.traces()) < 3:
                    await asyncio.sleep(0.01)
            return await run.close()

        found = loop.run(act())
    assert len(found.role("bystander")) >= 3
    assert checks.finishes("bystander", "fresh")(found) == Satisfied()


class ClosesWrongKey(Packed):
    """Refuses a wrong key by a close code after the WebSocket is open."""

    def __init__(self, code: int) -> None:
        self._code = code

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        right = request.headers.get("authorization") == self.headers(KEY)[HEADER]
        return None if right else Reaction(close=self._code, reason="wrong key")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(1008, Satisfied), (3000, Satisfied), (4401, Satisfied), (1000, Violated)],
)
def test_a_wrong_key_may_be_refused_by_a_close_code(
    loop: Loop, code: int, outcome: type
) -> None:
    dialect = ClosesWrongKey(code)
    # The fault leaves the decision about the key to the dialect.
    with faking("any-key", dialect=dialect) as (url, _):
        config = run_config(loop, url, dialect=dialect, settle=0.01)
        access = replace(config.plan.access, headers=dialect.headers(KEY))
        config = replace(config, plan=replace(config.plan, access=access))

        async def act(name: str) -> Evidence:
            run = ScenarioRun(config, name)
            await scenarios(dialect)[name].act(run)
            return await run.close()

        parts = [
            part
            for name in ("close", "wrong-key")
            for part in loop.run(act(name)).parts
        ]
    refused = shared.SHARED["wrong-key-refused"].check
    assert refused is not None
    found = refused(Evidence(tuple(parts)))
    assert isinstance(found, outcome), found
