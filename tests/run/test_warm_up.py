"""The warm-up of a server: the number of its sessions, and its notes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from websockets.http11 import Request, Response

from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.fake.faults import session as faults
from pytest_realtime_asr.run import config, warm_up
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.warm_up import WARMUPS
from tests.support.paths import FIXTURES
from tests.support.runs import (
    MODELS,
    Site,
    Start,
    Talk,
    options,
)
from tests.support.servers import CLIP, VLLM, faking, plain, serving


def warmed(start: Start, talk: Talk, **given: str) -> tuple[int, float | None, str]:
    with serving(talk, answer=Site()) as url:
        run = start(options(None, pace="0", **given))
        host = run.servers.host(url, VLLM, "")
        run.servers.host(url, VLLM, "")
    return talk.sessions, host.cold, host.note


def test_no_warm_up(start: Start) -> None:
    assert warmed(start, Talk(0.0), warmup="0") == (0, None, "")


def test_number_of_warm_ups(start: Start) -> None:
    sessions, cold, note = warmed(start, Talk(0.0), warmup="3")
    assert sessions == 3
    assert cold is not None
    assert note == ""


@pytest.mark.slow
def test_warm_up_ends_in_agreement(start: Start) -> None:
    sessions, cold, _ = warmed(start, Talk(0.7, 0.3), warmup="auto")
    assert 3 <= sessions <= WARMUPS
    assert cold is not None
    assert cold >= 700  # the first is the cold one


@pytest.mark.slow
def test_warm_up_gives_up_on_agreement(start: Start) -> None:
    sessions, _, note = warmed(start, Talk(0.6, 0.0, 0.6, 0.0, 0.6), warmup="auto")
    assert sessions == WARMUPS
    assert note == ""


def test_warm_up_that_fails_is_noted(start: Start) -> None:
    sessions, cold, note = warmed(start, Talk(-1.0), warmup="auto")
    assert (sessions, cold) == (1, None)
    assert note.startswith("the warm-up failed: the server closed with code 1011: no ")


def test_warm_up_with_a_final_from_before_its_commit_is_noted(start: Start) -> None:
    with faking("final-first") as (url, _):
        host = start(options(None, pace="8", warmup="auto")).servers.host(url, VLLM, "")
    assert host.cold is None
    assert host.note == "the warm-up failed: final before its commit"


def test_warm_up_that_is_refused(start: Start) -> None:
    def answer(request: Request) -> Response | None:
        known = {"/health": plain(200), "/v1/models": plain(200, MODELS)}
        return known.get(request.path, plain(404))

    with serving(answer=answer) as url:
        run = start(options(warmup="auto"))
        for _ in range(2):
            with pytest.raises(Unreachable, match="is the path right") as caught:
                run.servers.host(url, VLLM, "")
        assert caught.value.status == 404


def test_no_warm_up_without_words(start: Start) -> None:
    silent = Corpus("silent", (replace(CLIP, text=""),))
    with serving(Talk(0.0), answer=Site()) as url:
        run = Run(options(warmup="auto"), lambda: silent, shared=None)
        host = run.servers.host(url, VLLM, "")
        run.stop()
    assert (host.cold, host.note) == (
        None,
        "no warm-up: no utterance of the corpus has a reference transcript",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("cut-short.flac", "no warm-up: .*cut-short.flac: "), ("tone.flac", "^$")],
)
def test_a_warm_up_with_broken_audio_is_noted(name: str, said: str) -> None:
    clip = replace(CLIP, source=FIXTURES / "audio" / name, words=())
    with serving(Talk(0.0), answer=Site()) as url:
        run = Run(options(warmup="1"), lambda: Corpus("own", (clip,)), shared=None)
        note = run.servers.host(url, VLLM, "").note
        run.stop()
    assert re.search(said, note)
    assert len(note.splitlines()) < 2


def test_a_warm_up_ends_at_the_idle_timeout(start: Start) -> None:
    """The server answers after five times the timeout."""
    sessions, cold, note = warmed(start, Talk(1.5), warmup="auto", timeout="300ms")
    assert (sessions, cold) == (1, None)
    assert re.search(r"the warm-up failed: waited 0\.\d s for the final of utt", note)
    assert "turn-right" in note


@pytest.mark.parametrize(("long", "noted"), [(0.0, True), (60.0, False)])
def test_a_long_warm_up_is_noted(
    start: Start, monkeypatch: pytest.MonkeyPatch, long: float, noted: bool
) -> None:
    monkeypatch.setattr(warm_up, "LONG_WARMUP", long)
    _, cold, note = warmed(start, Talk(0.0), warmup="2")
    assert cold is not None
    assert (
        bool(re.fullmatch(r"the warm-up took \d s: 2 sessions with turn-right", note))
        is noted
    )
    said = r"the warm-up took \d s: 2 sessions with turn-right" if noted else ""
    assert re.fullmatch(said, note)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cold-greeting", "cold-final"])
def test_the_first_session_may_take_as_long_as_the_server_may_take_to_start(
    start: Start, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(faults, "COLD", 0.6)
    monkeypatch.setattr(config, "_OPENING", 0.3)
    given = {"pace": "8", "warmup": "2", "timeout": "0.4"}
    with faking(fault) as (url, _):
        host = start(options(None, **given)).servers.host(url, VLLM, "")
    assert host.failed
    assert host.note.startswith("the warm-up failed: waited ")
    assert host.note.endswith(
        "; --realtime-wait=SECONDS waits longer for a server that is slow to start"
    )
    with faking(fault) as (url, _):
        host = start(options(None, wait="20", **given)).servers.host(url, VLLM, "")
    assert (host.failed, host.note) == (False, "")
    assert host.cold is not None
