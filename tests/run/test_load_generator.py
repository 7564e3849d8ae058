"""What a load needs before anything is sent, and when a level is aborted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.preflight import Finding, Subject
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.run import load_preflight
from pytest_realtime_asr.run.audio_account import NotSent
from pytest_realtime_asr.run.config import LoadConfig
from pytest_realtime_asr.run.load_generator import LoadGenerator
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.run import Run
from tests.support.runs import Start, options, terms
from tests.support.servers import CLIP, plan

ELSEWHERE = plan("ws://192.0.2.1:9/v1/realtime")
HERE = plan("ws://127.0.0.1:9/v1/realtime")


def load(run: Run, where: Plan) -> None:
    """Put load on a server that is not there."""
    run.begin("test_it")
    realtime = Realtime(run, where, terms(run))
    realtime.load([CLIP], streams=2, hold="4s", witnesses=0)


@pytest.mark.parametrize(
    ("allowed", "most", "said"),
    [
        ((), None, "add --realtime-allow=heavy and --realtime-max-audio="),
        ((Harm.HEAVY,), None, "may get this load, add --realtime-max-audio="),
        ((), 3600.0, "may get this load, add --realtime-allow=heavy"),
        ((Harm.HEAVY,), 3.0, "limit is --realtime-max-audio=3s; raise this limit"),
    ],
)
def test_a_load_of_a_remote_server_must_be_allowed(
    start: Start, allowed: tuple[Harm, ...], most: float | None, said: str
) -> None:
    config = replace(
        options(), load=LoadConfig(allow=frozenset(allowed)), max_audio=most
    )
    with pytest.raises(NotSent, match=said):
        load(start(config), ELSEWHERE)


@pytest.mark.parametrize(
    "call",
    [
        lambda realtime: realtime.soak([CLIP], streams=2, duration="40s"),
        lambda realtime: realtime.drain([CLIP], streams=2, stop=lambda: None),
    ],
)
def test_a_soak_or_drain_of_a_remote_server_opens_no_session(
    start: Start, call: Callable[[Realtime], object]
) -> None:
    run = start()
    run.begin("test_it")
    realtime = Realtime(run, ELSEWHERE, terms(run))
    with pytest.raises(NotSent, match="may get this load, add --realtime-allow=heavy"):
        call(realtime)
    assert run.ledger.sessions == []


def found(*, hard: bool) -> Finding:
    return Finding(Subject.MEMORY, "1 MiB", "2 MiB needed", "add memory", hard=hard)


def test_a_missing_resource_that_prevents_a_proof_ends_the_load(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = [found(hard=True)]
    monkeypatch.setattr(load_preflight, "findings", lambda *_: lacks)
    with pytest.raises(NotSent, match="memory: 1 MiB; 2 MiB needed; add memory"):
        load(start(), HERE)


class Ran(Exception):
    """Raised instead of running a level."""


class Recorder:
    """A stand-in for the runner of the levels."""

    def run(self, load: Load, **_: object) -> Level:
        raise Ran(load.most_errors)


def test_a_level_is_aborted_at_the_share_of_the_option(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_preflight, "findings", lambda *_: [found(hard=False)])
    monkeypatch.setattr(LoadGenerator, "runner", lambda _: Recorder())
    run = start(replace(options(), load=LoadConfig(most_errors=0.5)))
    warned: list[str] = []
    run.warn = warned.append
    with pytest.raises(Ran, match=r"^0\.5$"):
        load(run, HERE)
    assert warned == ["memory: 1 MiB; 2 MiB needed; add memory"]
