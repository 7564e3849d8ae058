"""The audio of a run: counted for all that send, and bounded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run import audio_account
from pytest_realtime_asr.run.audio_account import AudioAccount, AudioLimit
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.verdicts.budgets import latency_budget
from tests.support.runs import Start, options, realtime, terms
from tests.support.servers import CLIP, SOUND, faking

BUDGETS = (latency_budget("final_from_commit", p95="10s"),)
LENGTH = SOUND.seconds  # s of the clip that the tests send


def test_sent_and_reserved_audio_is_counted() -> None:
    account = AudioAccount(10.0)
    with account.reserved(6.0, "one") as meter:
        meter.add(2.0)
        with pytest.raises(AudioLimit, match="would exceed --realtime-max-audio=10s"):
            account.reserve(4.1, "two")
        account.release(account.reserve(4.0, "two"))
    assert account.meter.seconds == 2.0
    with account.reserved(8.0, "what was not sent is free again"):
        pass


def test_without_a_limit_all_audio_is_counted() -> None:
    account = AudioAccount()
    with account.reserved(1e9, "one") as meter:
        meter.add(5.0)
    assert account.meter.seconds == 5.0


def test_workers_have_one_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AudioAccount(10.0, tmp_path)
    with account.reserved(6.0, "one") as meter:
        meter.add(3.0)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        other = AudioAccount(10.0, tmp_path)
        with pytest.raises(AudioLimit, match=r"of which 6\.0 s are used"):
            other.reserve(4.5, "two")
        other.meter.add(1.0)
        other.publish()
        monkeypatch.undo()
    assert audio_account.total(tmp_path) == 4.0


def test_a_worker_that_dies_while_it_writes_leaves_its_last_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AudioAccount(10.0, tmp_path)
    account.meter.add(3.0)
    account.publish()

    def die(path: Path, _: bytes) -> None:
        path.open("wb").close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", die)
    account.meter.add(1.0)
    with pytest.raises(KeyboardInterrupt):
        account.publish()
    assert audio_account.total(tmp_path) == 3.0


def each(server: Realtime) -> None:
    server.transcribe([CLIP] * 2)


def session(server: Realtime) -> None:
    with server.connect() as one:
        one.transcribe(CLIP)
        one.transcribe(CLIP)


def awaited(server: Realtime) -> None:
    async def both() -> None:
        clips = [server.aio.transcribe([CLIP]) for _ in range(2)]
        await asyncio.gather(*clips)

    asyncio.run(both())


def parity(server: Realtime) -> None:
    server.parity([CLIP], over="repeat")


@pytest.mark.parametrize(
    ("send", "times"), [(each, 2), (session, 2), (awaited, 2), (parity, 6)]
)
def test_all_audio_of_a_test_is_counted_and_limited(
    start: Start, send: Callable[[Realtime], None], times: int
) -> None:
    with faking() as (url, fake):
        for spare, allowed in ((0.5, True), (-0.5, False)):
            limit = times * LENGTH + spare
            run = start(replace(options(pace="0"), max_audio=limit))
            run.begin("test")
            server = realtime(run, url)
            if allowed:
                send(server)
                assert run.account.meter.seconds == pytest.approx(times * LENGTH)
            else:
                with pytest.raises(AudioLimit, match=r"^not sent: with the "):
                    send(server)
                assert run.account.meter.seconds <= limit
        assert fake.traces()


def test_a_session_takes_what_it_sends_from_its_reservation(start: Start) -> None:
    with faking() as (url, _):
        run = start(replace(options(pace="0"), max_audio=3 * LENGTH))
        used: list[float] = []
        # A sink is called while the audio of the utterance is still reserved.
        run.sinks.append(lambda *_: used.append(run.account.used))
        run.begin("test")
        session(realtime(run, url))
    assert used == pytest.approx([LENGTH, 2 * LENGTH])


def test_the_warm_up_and_the_baseline_are_counted(start: Start) -> None:
    with faking() as (url, _), faking() as (other, _):
        given = replace(options(pace="0", warmup="1"), max_audio=4.5 * LENGTH)
        run = start(given)
        run.begin("test")
        plan = run.servers.plan(url, terms(run), {})
        baseline = run.servers.plan(other, terms(run), {}, baseline=True)
        assert run.account.meter.seconds == pytest.approx(2 * LENGTH)
        server = Realtime(run, plan, terms(run), baseline=baseline)
        server.transcribe([CLIP])
        assert run.account.meter.seconds == pytest.approx(4 * LENGTH)
        with pytest.raises(AudioLimit, match="of audio of 2 utterances"):
            server.transcribe([CLIP])


@pytest.mark.slow
def test_a_decided_call_ends_at_the_limit(start: Start) -> None:
    with faking() as (url, _):
        run = start(replace(options(pace="1"), max_audio=2.5 * LENGTH))
        warned: list[str] = []
        run.warn = warned.append
        run.begin("test")
        plan = run.servers.plan(url, terms(run), {})
        budgeted = replace(terms(run), budgets=BUDGETS)
        server = Realtime(run, plan, budgeted)
        takes = server.transcribe(Corpus("c", (CLIP,)), until="decided")
    assert len(takes) == 2
    assert "not sent: " in warned[0]
