"""The same sessions in every dialect give equal texts and similar latencies."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import pytest
from websockets.asyncio.server import ServerConnection

from pytest_realtime_asr import audio, corpus, dialects, metrics
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.fake.server_pool import MODEL, FakeSpec, ServerPool
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.pacing import scheduling_delay
from pytest_realtime_asr.trace.timeline import Timeline
from tests.support.servers import plan, serving

SPOKEN = "bundled:english"
CORPUS = corpus.load(SPOKEN)
CLIPS = (CORPUS["turn-right"], CORPUS["go-forward"])
NAMES = ("vllm", "openai", "openai:sglang", "openai-beta", "sglang-omni")
REPEATS = 8
CHUNK = 0.1
WORD_DELAY, FINAL_DELAY = 0.2, 0.15


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


def planned(name: str, url: str, **changes: object) -> Plan:
    """Return a plan for sessions in this dialect."""
    dialect = dialects.load(name)
    return plan(url, dialect=dialect, rules=dialect.requirements, **changes)


async def talk(loop: Loop, held: Plan, clips: Sequence[Utterance]) -> Live:
    """Run a session in which these clips are sent one after the other."""
    live = Live(loop, held)
    try:
        await live.open()
        await live.configure()
        for clip in clips:
            await live.speak(clip)
    finally:
        await live.close()
    return live


# Known delays


@dataclass(frozen=True)
class Run:
    """The sessions of one run, by dialect."""

    sessions: Mapping[str, Sequence[Timeline]]

    def texts(self, name: str) -> list[list[str]]:
        """Return the texts of each session of a dialect."""
        numbers = range(len(CLIPS))
        return [[held.item(n).text for n in numbers] for held in self.sessions[name]]

    def values(self, name: str, metric: str, clip: int) -> list[float]:
        """Return a metric of one utterance in each session of a dialect, in ms."""
        items = [held.item(clip) for held in self.sessions[name]]
        found = [metrics.measure(item, CLIPS[clip])[metric] for item in items]
        return [value for value in found if value is not None]

    def error(self, metric: str, clip: int) -> float:
        """Return the error of the metric in this run, in ms.

        It is the largest range of the values of one dialect, plus the client's delay.
        """
        spreads = []
        for name in self.sessions:
            values = self.values(name, metric, clip)
            spreads.append(max(values) - min(values))
        every = [held for each in self.sessions.values() for held in each]
        return max(spreads) + max(scheduling_delay(held) or 0.0 for held in every)


@pytest.fixture(scope="module")
def run() -> Run:
    """Run sessions of all dialects at the same time, so that a disturbance affects all.

    The first session of a round is served sooner, so each dialect is first in turn.
    """
    loop = Loop()
    found: dict[str, list[Timeline]] = {name: [] for name in NAMES}
    with ServerPool(SPOKEN) as pool:
        plans = {}
        for name in NAMES:
            order = FakeSpec(name, word_delay=WORD_DELAY, final_delay=FINAL_DELAY)
            url = pool.start(order)
            plans[name] = planned(name, url, model=MODEL, chunk=CHUNK, pace=4.0)

        async def together(names: Sequence[str]) -> list[Live]:
            talks = (talk(loop, plans[name], CLIPS) for name in names)
            return await asyncio.gather(*talks)

        for number in range(REPEATS):
            first = number % len(NAMES)
            names = NAMES[first:] + NAMES[:first]
            for name, live in zip(names, loop.run(together(names)), strict=True):
                found[name].append(live.timeline)
    loop.stop()
    return Run(found)


def test_no_word_ends_where_a_chunk_does() -> None:
    """A word that ends between two chunks could be recognised with either chunk."""
    for clip in CLIPS:
        for word in clip.words:
            assert 0.01 < word.end % CHUNK < CHUNK - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_texts_equal_the_reference_transcripts(run: Run, name: str) -> None:
    assert run.texts(name) == [[clip.text for clip in CLIPS]] * REPEATS


# The lags leave words out by whether they came before the end of speech: a word that
# comes near it may be there in one session and not in the next.
LEFT_OUT = {"endpoint_delay", "lag_laal", "lag_yaal"}
LATENCIES = [
    metric.name
    for metric in CATALOGUE.values()
    if metric.paced and metric.gated and metric.name not in LEFT_OUT
]


@pytest.mark.slow
@pytest.mark.parametrize("clip", range(len(CLIPS)), ids=[clip.id for clip in CLIPS])
@pytest.mark.parametrize("metric", LATENCIES)
def test_latencies_agree(run: Run, metric: str, clip: int) -> None:
    error = run.error(metric, clip)
    found = {name: median(run.values(name, metric, clip)) for name in NAMES}
    assert max(found.values()) - min(found.values()) <= error, found


# Turns that the server detects


@pytest.fixture(scope="module")
def pool() -> Iterator[ServerPool]:
    with ServerPool(SPOKEN) as pool:
        yield pool


FIRST, SECOND = CLIPS
PAUSED = Utterance(
    "paused",
    f"{FIRST.text} {SECOND.text}",
    audio.join(FIRST.audio, audio.silence(1.0), SECOND.audio),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("openai", {}), ("openai", {"format": "pcmu"}), ("openai-beta:speaches", {})],
)
def test_a_pause_may_end_a_turn_and_not_the_utterance(
    loop: Loop, pool: ServerPool, name: str, options: Mapping[str, object]
) -> None:
    detecting = {**options, "turn_detection": "server_vad"}
    url = pool.start(FakeSpec(name))
    held = planned(name, url, model=MODEL, options=detecting, pace=4.0)
    live = loop.run(talk(loop, held, [PAUSED, FIRST]))
    paused, first = live.timeline.item(0), live.timeline.item(1)
    assert paused.final is not None
    assert paused.text == PAUSED.text
    assert len(paused.endpoints) == 2
    assert first.final is not None
    assert first.text == FIRST.text
    assert len(first.endpoints) == 1


async def failing(connection: ServerConnection) -> None:
    """Serve a session: fail the turn of a high tone at once, transcribe a low tone."""

    async def say(kind: str, **content: object) -> None:
        await connection.send(json.dumps({"type": kind, **content}))

    async def commit(item: str, end: int) -> None:
        await say(f"{BUFFER}.speech_started", item_id=item, audio_start_ms=0)
        await say(f"{BUFFER}.speech_stopped", item_id=item, audio_end_ms=end)
        await say(f"{BUFFER}.committed", item_id=item)

    await say("session.created", session={"id": "sess-1"})
    said = set()
    async for frame in connection:
        tone = base64.b64decode(json.loads(frame).get("audio", ""))[:1]
        if tone == HIGH and HIGH not in said:
            await commit("a", 0)
            await say(f"{TRANSCRIPTION}.failed", item_id="a", error={"code": "x"})
        elif tone == LOW and LOW not in said:
            await commit("b", 10_000)
            await say(f"{TRANSCRIPTION}.completed", item_id="b", transcript="low")
        said.add(tone)


BUFFER = "input_audio_buffer"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
HIGH, LOW = b"\2", b"\1"


def tone(level: bytes) -> Utterance:
    return Utterance("tone", "", audio.Audio(2 * level * 24_000, 24_000))


def test_a_turn_that_failed_leaves_its_number_to_no_other(loop: Loop) -> None:
    """The turn fails during its audio, before the client sends silence."""

    async def both(live: Live) -> int:
        try:
            await live.open()
            await live.configure()
            with pytest.raises(Lost, match=r"refused: .* \(x\)"):
                await live.transcribe(tone(HIGH).audio, "high")
            return await live.transcribe(tone(LOW).audio, "low")
        finally:
            await live.close()

    with serving(failing) as url:
        detecting = {"turn_detection": "server_vad"}
        live = Live(loop, planned("openai", url, options=detecting))
        assert loop.run(both(live)) == 1
    assert live.timeline.item(0).final is None
    assert live.timeline.item(1).text == "low"


# A real recogniser


@pytest.mark.slow
def test_the_reference_hears_the_same_in_every_dialect(loop: Loop) -> None:
    texts = {}
    for name in NAMES:
        arguments = ["--recogniser", "pocketsphinx", "--dialect", name]
        with FakeServer(arguments) as server:
            held = planned(name, server.url, model="pocketsphinx", pace=0.0)
            timeline = loop.run(talk(loop, held, CLIPS)).timeline
        texts[name] = [timeline.item(number).text for number in range(len(CLIPS))]
    assert texts == dict.fromkeys(NAMES, texts["vllm"])
    assert all(texts["vllm"])
