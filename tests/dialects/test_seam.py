"""What a dialect may define about its protocol, with client and fake server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.further_utterance import NoFurtherUtterance
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.plan import OptionsError, Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.dialects import Request
from pytest_realtime_asr.trace.records import End, Ending, Frame, Sender, Trace
from tests.support.packed import (
    EXPIRED,
    INTERVAL,
    PACKED,
    TIER,
    Error,
    Keep,
    decoded,
    install,
    pack,
)
from tests.support.paths import ROOT
from tests.support.servers import BRIEF, CLIP, faking, plan, serving

FINAL = 0.2  # s after which the fake server sends a final
SLACK = 0.9  # of an interval, since a timer may fire a little early


def packed_plan(url: str, *, query: str = "", **changes: Any) -> Plan:
    """Return the plan of sessions with a server of the dialect at this URL."""
    where = target.parse(f"{url}{PACKED.path}{query}", path=PACKED.path)
    access = Access(where, headers=changes.pop("headers", {}))
    given = {"dialect": PACKED, "access": access, "rules": PACKED.requirements}
    return plan(url, **{**given, **changes})


@contextmanager
def packed(*faults: str, **behaviour: Any) -> Iterator[str]:
    """Run the fake server of the dialect; give its URL."""
    with faking(*faults, dialect=PACKED, **behaviour) as (url, _):
        yield url


def transcribed(loop: Loop, url: str, **changes: Any) -> Transcription:
    live = Live(loop, packed_plan(url, **changes))
    return loop.run(run_utterance(live, CLIP))


def moves(trace: Trace, sender: Sender) -> list[str]:
    """Return the moves of one side of a session."""
    return [PACKED.parse(each).move for each in trace.records if each.sender is sender]


# A session of one utterance, in binary frames


def test_a_session_is_ready_when_it_is_open(loop: Loop) -> None:
    with packed() as url:
        took = transcribed(loop, url)
    assert took.text == CLIP.text
    assert took.timeline.ready == took.timeline.opened
    assert took.metrics["session_ready"] is None
    assert took.metrics["connect"] is not None
    assert took.violations == ()


def test_all_frames_are_binary_and_judged(loop: Loop) -> None:
    with packed() as url:
        took = transcribed(loop, url)
    assert all(each.text is None for each in took.trace.records)
    assert set(moves(took.trace, Sender.CLIENT)) == {"audio", "end"}
    assert set(moves(took.trace, Sender.SERVER)) == {"words", "whole"}
    lengths = [each.length for each in took.timeline.settled]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 0


def test_the_server_closes_after_the_final(loop: Loop) -> None:
    async def wait(live: Live) -> Live:
        await live.open()
        await live.speak(CLIP)
        with pytest.raises(NoFurtherUtterance, match="packed has only one utterance"):
            await live.speak(CLIP)
        with pytest.raises(Lost, match="the server closed with code 1000"):
            await live.expect("more")
        await live.close()
        await live.close()  # quiet, though the session is over
        return live

    with packed(final_delay=FINAL) as url:
        live = loop.run(wait(Live(loop, packed_plan(url))))
    commit, final, end = live.timeline.commit, live.timeline.final, live.trace.end
    assert commit is not None
    assert final is not None
    assert (end.how, end.code) == (Ending.CLOSED_BY_PEER, 1000)
    assert commit.sent < final.at <= end.at
    assert end.at - commit.sent >= SLACK * FINAL * 1e9


# The request


def asked(loop: Loop, **changes: Any) -> Request:
    """Return the request with which a client opens a session."""
    found: list[Request] = []

    async def open_only(url: str) -> None:
        live = Live(loop, packed_plan(url, **changes))
        await live.open()
        await live.close()

    def answer(request: Any) -> None:
        found.append(Request.of(request.path, dict(request.headers.raw_items())))

    with serving(answer=answer) as url:
        loop.run(open_only(url))
    return found[0]


def test_options_are_in_the_query_and_in_the_headers(loop: Loop) -> None:
    request = asked(loop, options={"language": "de", "tier": "gold"})
    assert request.path == PACKED.path
    assert request.query == {"language": ["de"]}
    assert request.headers[TIER] == "gold"


def test_the_query_and_the_headers_of_the_user_win(loop: Loop) -> None:
    request = asked(
        loop,
        query="?language=en&more=1",
        headers={"X-Packed-Tier": "silver"},
        options={"language": "de", "tier": "gold"},
    )
    assert request.query == {"language": ["en"], "more": ["1"]}
    assert request.headers[TIER] == "silver"


def test_a_request_has_its_parts() -> None:
    request = Request.of("/v1/packed?a=1&a=2&b=", {"X-Tier": "gold"})
    assert request == Request(
        "/v1/packed", {"a": ["1", "2"], "b": [""]}, {"x-tier": "gold"}
    )
    assert (request.first("a"), request.first("b"), request.first("c")) == (
        "1",
        "",
        None,
    )
    assert "gold" not in repr(request)  # a header may have a key


def test_an_option_that_the_dialect_does_not_know(loop: Loop) -> None:
    with pytest.raises(OptionsError, match="dialect packed: unknown option 'speed'"):
        Live(loop, packed_plan("http://127.0.0.1:1", options={"speed": 2}))


# How a server refuses a session


def test_a_handshake_is_refused(loop: Loop) -> None:
    with packed() as url:
        took = transcribed(loop, url, options={"language": "fr"})
        assert took.lost is Loss.REFUSED
        assert took.trace.end.code == 400
        assert transcribed(loop, url, options={"language": "de"}).text == CLIP.text


def test_a_session_is_refused_after_it_is_open(loop: Loop) -> None:
    async def wait(live: Live) -> Live:
        await live.open()
        with pytest.raises(Lost, match="the server closed with code 1008"):
            await live.expect("more")
        await live.close()
        return live

    with packed() as url:
        plan = packed_plan(url, options={"tier": "none"})
        live = loop.run(wait(Live(loop, plan)))
    assert live.trace.opened is not None
    assert [each.code for each in live.timeline.refusals] == ["no_tier"]


# Frames that the server refuses, or that a fault changes


def refused(loop: Loop, *faults: str) -> Trace:
    """Return a session in which a frame is text, which the server refuses."""

    async def raw(live: Live) -> Trace:
        await live.open()
        await live.send_raw("text")
        await live.expect("error")
        await live.close()
        return live.trace

    with packed(*faults) as url:
        return loop.run(raw(Live(loop, packed_plan(url))))


@pytest.mark.parametrize(
    ("faults", "code"), [((), "bad_frame"), (("wrong-codes",), "server_error")]
)
def test_an_error_is_binary_and_can_be_changed(
    loop: Loop, faults: tuple[str, ...], code: str
) -> None:
    record = refused(loop, *faults).records[-1]
    assert record.text is None
    error = PACKED.parse(record)
    assert isinstance(error, Error)
    assert error.code == code


def test_a_fault_adds_binary_frames(loop: Loop) -> None:
    with packed("two-finals") as url:
        took = transcribed(loop, url)
    assert moves(took.trace, Sender.SERVER).count("whole") == 2
    assert [each.requirement.id for each in took.violations][:1] == ["order"]


def test_a_session_that_lasts_too_long_is_closed(loop: Loop) -> None:
    async def wait(live: Live) -> End:
        await live.open()
        with pytest.raises(Lost, match="the session lasted too long"):
            await live.expect("whole")
        await live.close()
        return live.trace.end

    with packed(limit=INTERVAL) as url:
        end = loop.run(wait(Live(loop, packed_plan(url))))
    assert (end.how, end.code) == (Ending.CLOSED_BY_PEER, EXPIRED)


@pytest.mark.parametrize("frame", ["", b"", b"\xc1", pack(Keep()) + b"\0"])
def test_a_frame_that_is_no_event_is_refused(frame: Frame) -> None:
    (reply,) = PACKED.server([]).hear(frame).replies
    assert isinstance(decoded(reply, Sender.SERVER), Error)


# Keepalives


def test_an_idle_session_is_kept_open(loop: Loop) -> None:
    async def wait(live: Live) -> Trace:
        await live.open()
        async with asyncio.timeout(BRIEF.silence):
            while moves(live.trace, Sender.CLIENT).count("keep") < 2:
                await asyncio.sleep(INTERVAL / 10)
        await live.speak(CLIP)
        await live.close()
        return live.trace

    with packed() as url:
        trace = loop.run(wait(Live(loop, packed_plan(url))))
    ours = [each for each in trace.records if each.sender is Sender.CLIENT]
    assert trace.opened is not None
    times = [trace.opened, *(each.at for each in ours)]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    kept = [isinstance(PACKED.parse(each), Keep) for each in ours]
    least = SLACK * INTERVAL * 1e9
    assert all(pause >= least for pause, it in zip(pauses, kept, strict=True) if it)


def test_no_keepalives_if_the_plan_has_none(loop: Loop) -> None:
    async def wait(live: Live) -> Trace:
        await live.open()
        await asyncio.sleep(2 * INTERVAL)
        await live.close()
        return live.trace

    with packed() as url:
        trace = loop.run(wait(Live(loop, packed_plan(url, keepalive=False))))
    assert trace.records == ()


# The suite


@pytest.mark.slow
def test_the_shared_requirements_are_proven(tmp_path: Path) -> None:
    install(tmp_path)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "pytest_realtime_asr", "dialect", "check", "packed"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    number = len(PACKED.requirements)
    assert done.stdout.splitlines()[-1] == (
        f"packed: {number} of {number} requirements are satisfied by the correct fake, "
        f"{number} of {number} are violated by the fake with the matching fault"
    )
    assert done.returncode == 0, done.stderr
