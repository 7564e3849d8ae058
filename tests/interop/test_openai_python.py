"""openai-python, an independent client, gets the right text from the fake server.

What it receives is checked against its own types, what it sends against the
requirements of the dialect.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, BaseModel
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from pytest_realtime_asr import audio, corpus, dialects
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.requirements.violations import observe

KEY = "clients-key-1234"
RATE = 24000
PATIENCE = 10  # s for each event
CLIPS = corpus.load("bundled:english")
TURN, OPEN = CLIPS["turn-right"], CLIPS["open-door"]
PAUSE = audio.silence(0.8, rate=RATE).pcm
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def serving(dialect: str) -> FakeServer:
    arguments = ["--dialect", dialect, "--corpus", "bundled:english"]
    delays = ["--word-delay", "0ms", "--final-delay", "20ms"]
    return FakeServer([*arguments, *delays], key=KEY)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serving("openai") as server:
        yield server


class Heard:
    """The events of a session, each one validated against the client's type."""

    def __init__(self, live: AsyncRealtimeConnection) -> None:
        self.events: list[Any] = []
        self._live = live

    async def until(self, *kinds: str) -> Any:
        """The next event of one of these kinds."""
        while True:
            event = await asyncio.wait_for(self._live.recv(), PATIENCE)
            assert isinstance(event, BaseModel), f"the client does not know {event}"
            type(event).model_validate(event.to_dict())  # `recv` checks nothing
            self.events.append(event)
            if event.type in kinds:
                return event

    def of(self, kind: str) -> list[Any]:
        """All events of this kind so far."""
        return [event for event in self.events if event.type == kind]


@asynccontextmanager
async def session(
    server: FakeServer, detection: object, **more: object
) -> AsyncIterator[tuple[AsyncRealtimeConnection, Heard]]:
    """A session that was set up, with this ``turn_detection`` and ``more`` fields."""
    async with AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1") as client:
        query = {"intent": "transcription"}
        async with client.realtime.connect(extra_query=query) as live:
            heard = Heard(live)
            await heard.until("session.created")
            settings: Any = {
                "type": "transcription",
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": RATE},
                        "transcription": {"model": "scripted", "language": "en"},
                        "turn_detection": detection,
                        "noise_reduction": {"type": "near_field"},
                    }
                },
                **more,
            }
            await live.session.update(session=settings)
            await heard.until("session.updated")
            yield live, heard


async def speak(live: Any, clip: Utterance) -> None:
    """All audio of a clip, at once."""
    for pcm in clip.audio.resample(RATE).chunks(0.1):
        await append(live, pcm)


async def append(live: Any, pcm: bytes) -> None:
    await live.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())


def broken(server: FakeServer) -> set[str]:
    """The requirements that the client of the latest session violated."""
    trace = server.traces()[-1]
    dialect = dialects.load(trace.dialect)
    found = observe(dialect.requirements, dialects.part(dialect, trace))
    return {violation.requirement.id for violation in found}


@pytest.mark.asyncio
async def test_a_commit_gives_the_text(server: FakeServer) -> None:
    async with session(server, None) as (live, heard):
        await speak(live, TURN)
        await live.input_audio_buffer.commit()
        completed = await heard.until(f"{TRANSCRIPTION}.completed")
    assert completed.transcript == TURN.text
    assert completed.usage.type == "tokens"
    deltas = heard.of(f"{TRANSCRIPTION}.delta")
    assert "".join(delta.delta for delta in deltas) == TURN.text
    (committed,) = heard.of("input_audio_buffer.committed")
    assert {event.item_id for event in (committed, completed, *deltas)} == {
        committed.item_id
    }
    assert broken(server) == set()


@pytest.mark.asyncio
async def test_the_servers_voice_detection_gives_the_texts(server: FakeServer) -> None:
    async with session(server, {"type": "server_vad"}) as (live, heard):
        for clip in (TURN, OPEN):
            await speak(live, clip)
            await append(live, PAUSE)
            completed = await heard.until(f"{TRANSCRIPTION}.completed")
            assert completed.transcript == clip.text
    buffer = "input_audio_buffer"
    started = [event.item_id for event in heard.of(f"{buffer}.speech_started")]
    stopped = [event.item_id for event in heard.of(f"{buffer}.speech_stopped")]
    committed = heard.of(f"{buffer}.committed")
    assert started == stopped == [event.item_id for event in committed]
    assert [event.previous_item_id for event in committed] == [None, started[0]]
    assert broken(server) == set()


@pytest.mark.asyncio
async def test_the_log_probabilities_of_the_words(server: FakeServer) -> None:
    asked = ["item.input_audio_transcription.logprobs"]
    async with session(server, None, include=asked) as (live, heard):
        await speak(live, TURN)
        await live.input_audio_buffer.commit()
        await heard.until(f"{TRANSCRIPTION}.completed")
    for delta in heard.of(f"{TRANSCRIPTION}.delta"):
        assert "".join(word.token for word in delta.logprobs) == delta.delta
    assert broken(server) == set()


@pytest.mark.asyncio
async def test_two_items_in_flight(server: FakeServer) -> None:
    async with session(server, None) as (live, heard):
        for clip in (TURN, OPEN):
            await speak(live, clip)
            await live.input_audio_buffer.commit()
        for _ in (TURN, OPEN):
            await heard.until(f"{TRANSCRIPTION}.completed")
    texts = {e.item_id: e.transcript for e in heard.of(f"{TRANSCRIPTION}.completed")}
    items = [event.item_id for event in heard.of("input_audio_buffer.committed")]
    assert [texts[item] for item in items] == [TURN.text, OPEN.text]
    assert broken(server) == set()


@pytest.mark.asyncio
async def test_an_error_names_the_event_and_the_session_goes_on(
    server: FakeServer,
) -> None:
    async with session(server, None) as (live, heard):
        await live.input_audio_buffer.commit(event_id="too-early")
        refused = await heard.until("error")
        assert refused.error.code == "input_audio_buffer_commit_empty"
        assert refused.error.event_id == "too-early"
        await speak(live, TURN)
        await live.input_audio_buffer.commit()
        completed = await heard.until(f"{TRANSCRIPTION}.completed")
    assert completed.transcript == TURN.text
    assert broken(server) == set()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("event", "rule"),
    [
        ({"type": "response.create"}, "client-known-events"),
        ({"type": "input_audio_buffer.append"}, "client-well-formed"),
    ],
)
async def test_a_violation_by_the_client_is_found(
    server: FakeServer, event: Any, rule: str
) -> None:
    async with session(server, None) as (live, heard):
        await live.send(event)
        await heard.until("error")
    assert broken(server) == {rule}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_the_client_of_the_beta() -> None:
    settings: Any = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "scripted"},
        "turn_detection": None,
    }
    with serving("openai-beta") as server:
        where = server.url.replace("http", "ws", 1) + "/v1"  # else it would ask for TLS
        async with AsyncOpenAI(api_key=KEY, websocket_base_url=where) as client:
            query = {"intent": "transcription"}
            beta = client.beta.realtime
            async with beta.connect(model="scripted", extra_query=query) as live:
                await live.transcription_session.update(session=settings)
                await speak(live, TURN)
                await live.input_audio_buffer.commit()
                text = None
                while text is None:
                    event: Any = await asyncio.wait_for(live.recv(), PATIENCE)
                    assert event.type != "error", event
                    text = getattr(event, "transcript", None)
        assert text == TURN.text
        assert broken(server) == set()
