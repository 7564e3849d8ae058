"""The search for a random session that fails, and the shrinking of its script.

The fake answers within milliseconds. A search in a faulty server waits half a second
for an answer; a search in a correct server waits five seconds, as in every run.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from websockets.http11 import Request, Response

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.conformance.random_session import (
    ROLE,
)
from pytest_realtime_asr.conformance.results import Status
from pytest_realtime_asr.conformance.results import judge as judge_requirement
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import Bounds, Scheduler
from pytest_realtime_asr.conformance.session_limit import RateLimited
from pytest_realtime_asr.conformance.shrinking import FINDINGS, search
from pytest_realtime_asr.dialects import Dialect, Reaction
from pytest_realtime_asr.fake.faults import registry
from pytest_realtime_asr.fake.faults.registry import FAULTS, fault
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.packed import PACKED
from tests.support.random_scripts import (
    SET_UP,
    SPOKEN,
    generated,
    run_config,
)
from tests.support.servers import VLLM, faking, plain, serving
from tests.support.sessions import (
    BEGIN,
    FINISH,
)

BRIEF = 0.5  # s to wait for what does not arrive
INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 8
"""

pytestmark = pytest.mark.slow


def found(
    loop: Loop,
    url: str,
    *,
    seed: int | str | None = 1,
    sessions: int = 60,
    limit: float = BRIEF,
    shorter: int = 60,
    model: str = "fake",
    dialect: Dialect = VLLM,
) -> Evidence:
    """Return the evidence of a search."""
    there = run_config(loop, url, dialect=dialect, fuzz=sessions, seed=seed)
    there = replace(there, plan=replace(there.plan, model=model))
    return loop.run(search(there, SPOKEN.first, limit=limit, shorter=shorter))


class Lenient(ServerWrapper):
    """Accepts whatever it can understand, and refuses nothing."""

    def hear(self, frame: str | bytes) -> Reaction:
        text = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
        try:
            found = json.loads(text, object_pairs_hook=lambda p: dict(reversed(p)))
        except (ValueError, RecursionError):
            return Reaction()
        if isinstance(found, list) and found:
            found = found[0]
        if not isinstance(found, dict):
            return Reaction()
        match found.get("type"):
            case "input_audio_buffer.commit":
                text = FINISH if found.get("final") else BEGIN
            case "session.update":
                text = str(SET_UP.frame)
        return replace(self._server.hear(text), replies=())


@pytest.fixture
def own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the faults that a test declares from the other tests."""
    monkeypatch.setattr(registry, "FAULTS", dict(FAULTS))


@pytest.mark.parametrize(
    ("seed", "names", "variety"),
    [
        (1, (), None),
        (2, (), 2),
        (3, (), 3),
        (4, ("tolerant",), None),
        (5, ("lenient",), None),
        (6, ("closes-on-error",), None),
    ],
)
@pytest.mark.usefixtures("own_faults")
def test_a_correct_server_passes(
    loop: Loop,
    seed: int,
    names: tuple[str, ...],
    variety: int | None,
) -> None:
    fault("lenient", "takes what it can")(Lenient)
    with faking(*names, final_delay=0.005, variety=variety) as (url, fake):
        evidence = found(loop, url, seed=seed, sessions=8, limit=5.0)
        assert evidence.findings == ()
        (it,) = evidence.role(ROLE)
        assert all(r.raw for r in it.trace.records if r.sender is Sender.CLIENT)
        assert len(fake.traces()) == 2 * len(generated(seed, 8))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_correct_server_of_a_binary_protocol_passes(loop: Loop, seed: int) -> None:
    with faking(dialect=PACKED, final_delay=0.005) as (url, fake):
        evidence = found(loop, url, seed=seed, sessions=8, limit=5.0, dialect=PACKED)
        assert evidence.findings == ()
        assert len(fake.traces()) == 2 * 8


def test_a_fault_of_a_binary_protocol_is_shrunk(loop: Loop) -> None:
    with faking("no-final-empty", dialect=PACKED, final_delay=0.005) as (url, _):
        evidence = found(loop, url, dialect=PACKED)
    (finding,) = evidence.findings
    assert finding.what.startswith(
        "an utterance was not completed: the server closed with code 1000; the script "
        "sends 1 frame; "
    )
    assert "session.send_raw(b'\\x81\\xa4type\\xa3end')" in finding.script
    assert "base64" not in finding.script


# A faulty server


Found = Callable[[str], tuple[Evidence, int]]


@pytest.fixture(scope="module")
def fault_found(loop: Loop) -> Found:
    """Return the evidence for a fault, and the number of sessions, once each."""

    @cache
    def once(fault: str) -> tuple[Evidence, int]:
        with faking(fault, final_delay=0.005) as (url, fake):
            return found(loop, url, seed=6), len(fake.traces())

    return once


def program_of(evidence: Evidence) -> str:
    (finding,) = evidence.findings
    return finding.script


@pytest.mark.parametrize(
    ("fault", "what", "most"),
    [
        ("no-final-empty", "an utterance was not completed within 0.5 s", 3),
        ("no-final-short", "an utterance was not completed within 0.5 s", 4),
        ("reset", "the next session failed: the connection broke", 0),
        ("mute", " s for the server to be ready", 0),
    ],
)
def test_a_fault_is_found_and_shrunk(
    fault_found: Found, fault: str, what: str, most: int
) -> None:
    evidence, _ = fault_found(fault)
    (finding,) = evidence.findings
    assert what in finding.what
    assert not finding.flaky
    assert finding.what.endswith("--realtime-fuzz-seed=6")
    assert finding.script.count("session.send_raw(") <= most
    (it,) = evidence.role(ROLE)
    sent = [r for r in it.trace.records if r.sender is Sender.CLIENT]
    assert len(sent) == finding.script.count("session.send_raw(")


@pytest.mark.parametrize("fault", ["no-final-empty", "reset"])
def test_the_program_reproduces_the_failure(
    fault_found: Found, pytester: pytest.Pytester, fault: str
) -> None:
    pytester.makefile(".ini", pytest=INI)

    def run(url: str, *options: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", f"--realtime-target={url}", *options, timeout=60
        )

    pytester.makepyfile(test_found=program_of(fault_found(fault)[0]))
    with faking(fault, final_delay=0.005) as (url, _):
        run(url, "--realtime-timeout=1s").assert_outcomes(failed=1)
    if fault == "no-final-empty":
        with faking(final_delay=0.005) as (url, _):
            run(url).assert_outcomes(passed=1)


def test_a_server_that_dies_is_reported_with_its_last_frames(loop: Loop) -> None:
    words = ["--corpus", "bundled:english", "--final-delay", "5ms"]
    words += ["--word-delay", "0ms"]
    with FakeServer([*words, "--fault", "dies-of-empty"]) as server:
        evidence = found(loop, server.url, model="scripted")
    (finding,) = evidence.findings
    assert "the server is unreachable" in finding.what
    assert "the script was not shrunk, since the server is unreachable" in finding.what
    assert not finding.flaky
    # The empty utterance that killed it is in the program, with what was sent until the
    # client saw it, and the end of the program shows that the server is unreachable.
    *taken, clip = (
        line.strip() for line in finding.script.splitlines() if "sleep" not in line
    )
    begin, finish = f"session.send_raw('{BEGIN}')", f"session.send_raw('{FINISH}')"
    assert (begin, finish) in pairwise(taken)
    assert clip == f'realtime.transcribe(corpus["{SPOKEN.first.id}"])'


def test_shrinking_ends_in_time(loop: Loop, fault_found: Found) -> None:
    evidence, tried = fault_found("no-final-empty")
    with faking("no-final-empty", final_delay=0.005) as (url, fake):
        at_once = found(loop, url, seed=6, shorter=0)
    assert not at_once.findings[0].flaky
    assert len(fake.traces()) + 2 < tried  # each try is two sessions
    assert len(program_of(at_once)) > len(program_of(evidence))


@pytest.mark.usefixtures("own_faults")
def test_a_failure_that_does_not_repeat_is_flaky(loop: Loop) -> None:
    finals = iter(range(1000))

    @fault("once", "loses one final of a fresh session")
    class Once(ServerWrapper):
        def final(self, text: str, usage: Usage, item: int) -> Iterable[str | bytes]:
            frames = self._server.final(text, usage, item)
            seconds = usage.seconds or 0.0
            if abs(seconds - SPOKEN.first.duration) > 0.01:
                return frames  # of a random session, where its loss may not show
            return () if next(finals) == 4 else frames

    with faking("once", final_delay=0.005) as (url, _):
        evidence = found(loop, url, shorter=5)
    (finding,) = evidence.findings
    assert finding.flaky
    assert finding.what.startswith("flaky: ")
    assert finding.what.endswith("; not every repetition failed")
    assert "session.send_raw(" in finding.script
    assert evidence.role(ROLE)[0].trace.records


@pytest.mark.usefixtures("own_faults")
def test_the_search_goes_on_without_the_illegal_move_that_failed(loop: Loop) -> None:
    @fault("breaks", "breaks the connection at a final commit outside an utterance")
    class Breaks(ServerWrapper):
        def hear(self, frame: str | bytes) -> Reaction:
            reaction = self._server.hear(frame)
            stray = frame == FINISH and not reaction.finish
            return Reaction(close=0) if stray else reaction

    with faking("breaks", final_delay=0.005) as (url, _):
        evidence = found(loop, url, shorter=20)
    assert 1 < len(evidence.findings) <= FINDINGS
    assert len(evidence.role(ROLE)) == len(evidence.findings)
    for each in evidence.findings:
        assert "input_audio_buffer.commit final" in {move for _, move in each.moves}


def test_a_new_seed_is_reported(loop: Loop) -> None:
    with faking("reset", final_delay=0.005) as (url, _):
        messages = [found(loop, url, seed=None).findings[0].what for _ in range(2)]
    seeds = {int(what.rpartition("--realtime-fuzz-seed=")[2]) for what in messages}
    assert len(seeds) == 2


def test_a_server_that_limits_its_clients_raises(loop: Loop) -> None:
    busy: dict[str, Any] = {"Retry-After": "0"}
    with (
        serving(answer=lambda request: plain(429, **busy)) as url,
        pytest.raises(RateLimited),
    ):
        found(loop, url)


def test_a_failure_that_cannot_be_repeated_is_reported(loop: Loop) -> None:
    asked = iter(range(1000))

    def answer(request: Request) -> Response | None:
        if "Upgrade" not in request.headers:
            return plain(200)
        busy: dict[str, Any] = {"Retry-After": "0"}
        return plain(429, **busy) if next(asked) > 1 else None

    with serving(answer=answer) as url:
        evidence = found(loop, url)
    (finding,) = evidence.findings
    assert " s for the server to be ready" in finding.what
    assert "the failure could not be repeated: " in finding.what
    assert not finding.flaky


def test_nothing_is_printed(loop: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    with faking("reset", final_delay=0.005) as (url, _):
        assert found(loop, url, shorter=0).findings
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("names", "sessions", "status"),
    [
        ((), 3, Status.SATISFIED),
        ((), 0, Status.NOT_RUN),
        (("reset",), 3, Status.VIOLATED),
    ],
)
def test_the_requirement_on_random_sessions_is_judged(
    loop: Loop, names: tuple[str, ...], sessions: int, status: Status
) -> None:
    requirement = next(r for r in VLLM.requirements if r.id == "random-sessions")
    bounds = Bounds(frozenset(Harm), 16, math.inf)
    with faking(*names, final_delay=0.005) as (url, _):
        there = run_config(loop, url, fuzz=sessions, seed=1)
        scheduler = Scheduler(there, scenarios(VLLM), bounds)
        over = threading.Event()
        scheduler.start([ROLE], over=over.set)
        judgement = judge_requirement(requirement, scheduler, VLLM)
        assert over.wait(10)  # it checks the server once more
    assert judgement.status is status, judgement.reason
