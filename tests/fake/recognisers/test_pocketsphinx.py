"""The reference recogniser: equal words for equal audio, and no worker that leaks."""

from __future__ import annotations

import asyncio
import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jiwer
import msgspec
import pytest
import soundfile

import pytest_realtime_asr
from pytest_realtime_asr.fake.recognisers import pocketsphinx
from pytest_realtime_asr.fake.recognisers.pocketsphinx import (
    PocketsphinxRecogniser,
    WorkerLost,
)
from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)
from pytest_realtime_asr.metrics.normalizers import WHISPER_ENGLISH

CORPORA = Path(pytest_realtime_asr.__file__).parent / "corpus" / "bundled"
MANIFEST = (CORPORA / "english.jsonl").read_text("utf-8").splitlines()
LINES: dict[str, dict[str, Any]] = {
    line["id"]: line for line in map(json.loads, MANIFEST)
}
CHUNK = 3200  # bytes: 100 ms
SECOND = 32_000  # bytes

_T = TypeVar("_T")


def pcm(id: str) -> bytes:
    samples, _ = soundfile.read(CORPORA / LINES[id]["audio_filepath"], dtype="int16")
    return bytes(samples.astype("<i2").tobytes())


def chunks(audio: bytes, size: int = CHUNK) -> list[bytes]:
    return [audio[start : start + size] for start in range(0, len(audio), size)]


def pids(recogniser: PocketsphinxRecogniser) -> set[int]:
    """Return the process ids of the workers."""
    return {worker._process.pid for worker in recogniser._workers}


async def heard(
    listener: Listener, audio: bytes, size: int = CHUNK
) -> list[RecognisedWord]:
    """Return all words of an utterance that comes in chunks of ``size`` bytes."""
    words: list[RecognisedWord] = []
    for chunk in chunks(audio, size):
        words += await listener.hear(chunk)
    return [*words, *await listener.finish()]


def text(words: Sequence[RecognisedWord]) -> str:
    return " ".join(word.text for word in words)


def with_recogniser(
    test: Callable[[PocketsphinxRecogniser], Awaitable[_T]], *, limit: int = 8
) -> _T:
    """Run a test with a recogniser of its own; check that its workers end with it."""

    async def run() -> _T:
        recogniser = await PocketsphinxRecogniser.start(limit=limit)
        try:
            return await asyncio.wait_for(test(recogniser), 120)
        finally:
            await recogniser.close()
            assert not pids(recogniser)

    return asyncio.run(run())


@pytest.mark.slow
def test_words_are_equal_whatever_the_chunks_and_whatever_came_before() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        audio = pcm("light-off")
        others = (b"", pcm("turn-right"), pcm("open-door"), b"")
        runs = []
        for other, size in zip(others, (640, CHUNK, SECOND, 999), strict=True):
            await heard(await recogniser.listen(), other)
            runs.append(await heard(await recogniser.listen(), audio, size))
        assert len(pids(recogniser)) == 1
        assert runs == runs[:1] * len(others)

    with_recogniser(test)


@pytest.mark.slow
def test_words_come_while_the_audio_comes_and_end_where_they_are_spoken() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        line = LINES["prose-company"]
        listener = await recogniser.listen()
        words: list[RecognisedWord] = []
        first = None
        for number, chunk in enumerate(chunks(pcm(line["id"])), 1):
            new = await listener.hear(chunk)
            assert all(word.end <= number * CHUNK // 2 for word in new)
            if new and first is None:
                first = number
            words += new
        assert first is not None
        assert first * CHUNK < SECOND * 2
        assert len(words) >= 7
        words += await listener.finish()
        assert text(words) == line["text"]
        for word, spoken in zip(words, line["words"], strict=True):
            assert word.start / 16_000 == pytest.approx(spoken["start"], abs=0.15)
            assert word.end / 16_000 == pytest.approx(spoken["end"], abs=0.15)

    with_recogniser(test)


@pytest.mark.slow
def test_utterances_at_once_do_not_mix() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        ids = ("turn-left", "digits-seven", "go-forward")
        listeners = [await recogniser.listen() for _ in ids]
        assert len(pids(recogniser)) == 3
        together = await asyncio.gather(
            *(
                heard(listener, pcm(id))
                for listener, id in zip(listeners, ids, strict=True)
            )
        )
        assert [text(words) for words in together] == [LINES[id]["text"] for id in ids]

    with_recogniser(test)


@pytest.mark.slow
def test_the_loop_runs_on_while_a_worker_decodes() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        listener = await recogniser.listen()
        decoding = asyncio.create_task(
            heard(listener, pcm("prose-bridge"), 10 * SECOND)
        )
        ticks = 0
        while not decoding.done():
            await asyncio.sleep(0.005)
            ticks += 1
        assert ticks > 20

    with_recogniser(test)


@pytest.mark.slow
def test_silence_has_no_words_and_a_fragment_of_speech_does_no_harm() -> None:
    async def test(recogniser: Recogniser) -> None:
        assert recogniser.rate == 16_000
        quiet = bytes(3 * SECOND)
        go = pcm("go-forward")
        assert await heard(await recogniser.listen(), quiet) == []
        assert await heard(await recogniser.listen(), b"") == []
        await heard(await recogniser.listen(), go[: SECOND // 2])
        await heard(await recogniser.listen(), go[: SECOND // 2 + 21])
        words = await heard(await recogniser.listen(), go)
        later = await heard(await recogniser.listen(), quiet + go)
        assert text(later) == text(words) == "go forward ten meters"
        assert [word.end + 3 * 16_000 for word in words] == [word.end for word in later]

    with_recogniser(test)


def test_an_end_with_a_request_pending_reports_nothing() -> None:
    """The caller was cancelled before, as by the end of the server."""
    reported: list[object] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        recogniser = await PocketsphinxRecogniser.start(limit=1)
        listener = await recogniser.listen()
        hearing = asyncio.create_task(listener.hear(pcm("prose-bridge")))
        await asyncio.sleep(0.1)
        hearing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hearing
        await recogniser.close()
        del listener, recogniser, hearing
        gc.collect()  # an error that nobody has seen is reported by its task's end
        await asyncio.sleep(0)

    asyncio.run(run())
    assert reported == []


@pytest.mark.slow
def test_closing_in_the_middle_frees_the_worker() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        before = pids(recogniser)
        dropped = await recogniser.listen()
        await dropped.hear(pcm("prose-bridge")[: 3 * SECOND])
        await dropped.close()
        await dropped.close()
        with pytest.raises(RuntimeError, match="closed"):
            await dropped.hear(bytes(CHUNK))

        cut_off = await recogniser.listen()
        hearing = asyncio.create_task(cut_off.hear(pcm("prose-bridge")))
        await asyncio.sleep(0.1)
        hearing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hearing
        await cut_off.close()

        words = await heard(await recogniser.listen(), pcm("turn-left"))
        assert text(words) == "turn left at the next corner"
        assert pids(recogniser) == before

    with_recogniser(test, limit=1)


def test_more_utterances_than_the_limit_wait_for_one_to_end() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        first = await recogniser.listen()
        second = asyncio.create_task(recogniser.listen())
        third = asyncio.create_task(recogniser.listen())
        await asyncio.sleep(0.05)
        assert not second.done()
        second.cancel()
        await first.close()
        await (await third).close()

    with_recogniser(test, limit=1)


@pytest.mark.slow
def test_only_warm_workers_are_kept() -> None:
    async def test() -> None:
        recogniser = await PocketsphinxRecogniser.start(warm=1)
        for listener in [await recogniser.listen() for _ in range(3)]:
            await listener.close()
        assert len(pids(recogniser)) == 1
        await recogniser.close()

    asyncio.run(test())


@pytest.mark.slow
def test_a_dead_worker_is_an_error_of_its_utterance_alone() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        listener = await recogniser.listen()
        (pid,) = pids(recogniser)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="exit code -9"):
            await heard(listener, pcm("go-forward"))
        await listener.close()

        words = await heard(await recogniser.listen(), pcm("go-forward"))
        assert text(words) == "go forward ten meters"

        (pid,) = pids(recogniser)  # idle this time
        os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.2)
        words = await heard(await recogniser.listen(), pcm("go-forward"))
        assert text(words) == "go forward ten meters"

    with_recogniser(test)


def test_closing_the_recogniser_ends_open_utterances() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> None:
        listener = await recogniser.listen()
        hearing = asyncio.create_task(heard(listener, pcm("prose-bridge")))
        await asyncio.sleep(0.1)
        await recogniser.close()
        with pytest.raises(WorkerLost):
            await hearing
        with pytest.raises(RuntimeError, match="closed"):
            await recogniser.listen()

    with_recogniser(test)


def test_workers_end_with_the_server_however_it_ends() -> None:
    server = """
import asyncio, os
from pytest_realtime_asr.fake.recognisers.pocketsphinx import PocketsphinxRecogniser

async def main():
    recogniser = await PocketsphinxRecogniser.start()
    await (await recogniser.listen()).hear(bytes(32_000))
    print("heard", flush=True)
    os._exit(3)

asyncio.run(main())
"""
    # The worker holds stderr too: this comes back only when both have ended.
    command = [sys.executable, "-c", server]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (3, "heard\n", "")


@pytest.mark.slow
def test_a_worker_answers_in_turns() -> None:
    def written(message: object) -> bytes:
        body = msgspec.msgpack.encode(message)
        return len(body).to_bytes(4, "big") + body

    go = pcm("go-forward")
    requests = [
        {"type": "begin"},
        {"type": "hear", "pcm": pcm("turn-right")},
        {"type": "begin"},
        {"type": "hear", "pcm": go},
        {"type": "finish"},
    ]
    answers = io.BytesIO()
    pocketsphinx._work(io.BytesIO(b"".join(map(written, requests))), answers)
    answers.seek(0)
    bodies = []
    while length := answers.read(4):
        body = answers.read(int.from_bytes(length, "big"))
        bodies.append(msgspec.msgpack.decode(body, type=list[RecognisedWord]))
    ready, _, settled, rest = bodies
    assert ready == []
    assert text(settled + rest) == "go forward ten meters"
    assert settled
    assert rest


def test_without_pocketsphinx_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.delitem(sys.modules, pocketsphinx.__name__)
    with pytest.raises(ImportError, match=r'"pytest-realtime-asr\[reference\]"'):
        importlib.import_module(pocketsphinx.__name__)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="limit is 0"):
        PocketsphinxRecogniser(limit=0)


@pytest.mark.slow
def test_most_of_english_is_right_and_some_of_it_wrong() -> None:
    async def test(recogniser: PocketsphinxRecogniser) -> dict[str, str]:
        places = asyncio.Semaphore(2)

        async def hypothesis(id: str) -> str:
            async with places:
                return text(await heard(await recogniser.listen(), pcm(id)))

        return dict(
            zip(LINES, await asyncio.gather(*map(hypothesis, LINES)), strict=True)
        )

    plain = WHISPER_ENGLISH.function
    hypotheses = {id: plain(said) for id, said in with_recogniser(test).items()}
    references = {id: plain(line["text"]) for id, line in LINES.items()}
    wrong = [id for id in LINES if hypotheses[id] != references[id]]
    rate = jiwer.wer(list(references.values()), list(hypotheses.values()))
    assert 0.04 < rate < 0.12, wrong
    assert len(wrong) >= 2
    assert not {"go-forward", "turn-left"} & set(wrong)
