"""Sessions of vosk-server's protocol with the fake server: ours, and another client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.requirements.violations import observe
from tests.support.servers import CLIP, SOUND, faking, plan
from tests.support.vosk import EOF, RESETTING, VOSK


def test_a_transcription_has_the_text_and_the_times_of_its_words() -> None:
    loop = Loop()
    with faking(dialect=VOSK) as (url, fake):
        access = Access(target.parse(url, path=VOSK.path))
        held = plan(url, access=access, dialect=VOSK, rules=VOSK.requirements)
        take = loop.run(run_utterance(Live(loop, held), CLIP))
    loop.stop()
    assert take.text == CLIP.text
    final = take.timeline.final
    assert final is not None
    assert [each.text for each in final.words] == CLIP.text.split()
    starts = [each.start for each in CLIP.words]
    assert [each.start for each in final.words] == pytest.approx(starts, abs=0.001)
    assert not take.violations
    (trace,) = fake.traces()
    assert not observe(VOSK.requirements, dialects.part(VOSK, trace))


async def transcribed(url: str) -> list[dict[str, Any]]:
    """Return the answers that a simple client gets, which waits for each of them."""
    answers = []
    async with connect(f"ws{url.removeprefix('http')}", proxy=None) as link:
        await link.send('{ "config" : { "sample_rate" : 16000 } }')
        for start in range(0, len(SOUND.pcm), 6_400):  # 0.2 s of audio
            await link.send(SOUND.pcm[start : start + 6_400])
            answers.append(json.loads(await link.recv()))
        await link.send(EOF)
        answers.append(json.loads(await link.recv()))
        with pytest.raises(ConnectionClosedOK):
            await link.recv()
    return answers


def test_a_simple_client_gets_one_answer_for_each_message() -> None:
    with faking(dialect=VOSK) as (url, fake):
        *partials, last = asyncio.run(transcribed(url))
        (trace,) = fake.traces()
    assert all(set(each) == {"partial"} for each in partials)
    assert last["text"] == CLIP.text
    assert [word["word"] for word in last["result"]] == CLIP.text.split()
    assert not observe(VOSK.requirements, dialects.part(VOSK, trace))


@pytest.mark.parametrize("dialect", [VOSK, RESETTING])
def test_the_fake_judges_a_client(dialect: dialects.Dialect) -> None:
    async def talk(url: str) -> None:
        async with connect(f"ws{url.removeprefix('http')}", proxy=None) as link:
            await link.send('{"eof":1}')
            await link.wait_closed()
            assert link.close_code == 1007

    with faking(dialect=dialect) as (url, fake):
        asyncio.run(talk(url))
        (trace,) = fake.traces()
    broken = observe(dialect.requirements, dialects.part(dialect, trace))
    assert [each.requirement.id for each in broken] == ["client-well-formed"]
