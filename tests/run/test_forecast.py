"""How long sessions will take: before they begin, and while they run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.run import forecast
from pytest_realtime_asr.run.forecast import BESIDE_AUDIO, CallProgress, expected
from tests.support.servers import CLIP, SOUND

CLIPS = list(corpus.load("bundled:english"))


def test_the_time_of_a_clip_includes_its_audio_and_its_session() -> None:
    one = SOUND.seconds
    found = expected([CLIP], pace=1.0, servers=1)
    assert found == pytest.approx([one + BESIDE_AUDIO])
    found = expected([CLIP] * 2, pace=2.0, servers=2)
    assert found == pytest.approx([one + 2 * BESIDE_AUDIO] * 2)
    assert expected([CLIP], pace=0.0, servers=1) == [BESIDE_AUDIO]
    assert expected([], pace=1.0, servers=1) == []


def test_only_some_of_many_clips_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = forecast.audio_seconds(CLIPS)
    assert whole == pytest.approx(sum(each.duration for each in CLIPS))
    monkeypatch.setattr(forecast, "_MEASURED", 2)
    mean = (CLIPS[0].duration + CLIPS[1].duration) / 2
    assert forecast.audio_seconds(CLIPS) == pytest.approx(mean * len(CLIPS))
    found = expected(CLIPS, pace=1.0, servers=1)
    assert found is not None
    assert found[-1] == pytest.approx(mean + BESIDE_AUDIO)


def test_a_clip_that_cannot_be_read_has_no_time(tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"no audio")
    bad = replace(CLIP, source=tmp_path / "no.wav")
    assert expected([CLIP, bad], pace=1.0, servers=1) is None
    assert str(CallProgress(2, None)) == "0 of 2 utterances"


def test_the_time_left_follows_the_time_taken() -> None:
    now = [0.0]
    call = CallProgress(4, [2.0, 2.0, 4.0, 2.0], clock=lambda: now[0])
    assert str(call) == "0 of 4 utterances, about 10 s left"
    now[0] = 3.0  # the first took 3 s instead of 2
    call.end(0)
    assert call.left == pytest.approx(12.0)
    now[0] = 5.0  # time passes while the second is sent
    assert call.left == pytest.approx(10.0)
    now[0] = 60.0
    assert call.left == 0.0


def test_utterances_that_are_sent_at_once() -> None:
    now = [0.0]
    call = CallProgress(4, [2.0] * 4, at_once=2, clock=lambda: now[0])
    assert call.left == 4.0
    now[0] = 2.0
    call.end(0)
    assert call.left == 2.0
    call.end(1)
    assert str(call) == "2 of 4 utterances, about 2 s left"


def test_progress_is_reported_while_a_block_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecast, "TICK", 0.01)
    said: list[str] = []

    async def block() -> None:
        async with forecast.reporting(said.append, lambda: f"at {len(said)}"):
            while len(said) < 3:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(block(), 10))
    assert said[:3] == ["at 0", "at 1", "at 2"]
    assert said[-1] == ""
