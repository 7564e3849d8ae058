"""Runs pocketsphinx in separate processes, as a real recogniser for the fake server.

pocketsphinx holds the interpreter lock while it decodes, which would stop the server's
event loop. Therefore each utterance has a worker: a process that runs this module. The
server and a worker exchange requests and answers over the worker's stdin and stdout.
A message starts with the length of its body in four bytes; the body is MessagePack. A
worker ends when its stdin closes, so it always ends with the server.

A protocol that sends words as they are recognised cannot withdraw a word. Therefore a
word is returned only when it has *settled*: ``SETTLED`` successive hypotheses place it
at the same time in the audio, and it ends at least ``DISTANCE`` seconds before the end
of the audio so far. When the audio ends, pocketsphinx finds the best path through all
its hypotheses. Then the remaining words of this path are returned.

pocketsphinx subtracts cepstral means from the audio, so that voices of different
loudness and timbre give similar features. By default it keeps the means from one
utterance to the next, so its text would depend on earlier audio. Here each utterance
has its own means: a weighted average of ``MEANS`` and the means of its first ``SAMPLE``
seconds of speech. No audio is decoded before the means are known. Audio is decoded in
blocks of ``BLOCK`` seconds, which do not depend on the client's chunks. Therefore equal
audio gives equal words.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from array import array
from collections import deque
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord, TimedWord

try:
    import pocketsphinx
except ImportError as error:
    raise ImportError(
        "the reference recogniser needs pocketsphinx; install it with "
        'pip install "pytest-realtime-asr[reference]"'
    ) from error

RATE = 16_000
BLOCK = 0.1

# Measured on 240 clips of four flite voices, 687 s, with pocketsphinx's own settings:
# the word error rate of the stream is 11.8 % with a distance of 0.4 s, 10.9 % with
# 0.6 s, 10.5 % with 0.8 s. With five hypotheses it is 0.3 % lower, but the words come
# later. The last passes over the whole audio give 8.2 %.
SETTLED = 3
DISTANCE = 0.6
SHIFT = 0.05  # s that a word may move between hypotheses

# Means of four flite voices at -4 dBFS. On half of these clips the word error rate is
# 15.3 % with these means alone, and 11.9 % if the first 0.8 s of speech count too.
MEANS = (50.4, 3.4, 5.7, 19.4, -1.3, -0.9, 3.9, -6.2, -3.3, -3.7, 4.7, 1.7, 2.1)
SAMPLE = 0.8
WEIGHT = 50  # the weight of MEANS, in frames of 10 ms

# On half of these clips the word error rate is 11.8 % with these settings and 11.9 %
# without them. The second pass (fwdflat) would take 100 to 250 ms for a few seconds of
# audio. The limit on the states of a frame (maxhmmpf) saves a quarter of the time.
_SETTINGS = {"loglevel": "FATAL", "fwdflat": False, "maxhmmpf": 5000}

LOUD = 0.003  # of full scale (-50 dBFS); a block with a lower RMS is silence
LEAD = 0.3  # s of silence before the speech that are decoded too

_BYTES = round(BLOCK * RATE) * 2  # bytes of a block
_FRAME = RATE // 100  # samples of a frame of pocketsphinx
_SUMMED = 500  # frames: the weight of the set means within pocketsphinx


class WorkerLost(RuntimeError):
    """Raised if a worker ends in the middle of an utterance, which is then lost."""


class _Begin(msgspec.Struct, frozen=True, tag="begin"):
    """A request to start a new utterance and drop the open one; it gets no answer."""


class _Hear(msgspec.Struct, frozen=True, tag="hear"):
    """A request with more audio; the answer is the words that are now final."""

    pcm: bytes


class _Finish(msgspec.Struct, frozen=True, tag="finish"):
    """A request that ends the audio; the answer is the remaining words."""


_Request = _Begin | _Hear | _Finish


class _Decoding:
    """Decodes one utterance at a time, in this process."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(**_SETTINGS)
        self._words = self._decoder.current_search()
        # pocketsphinx computes means only while it decodes; a keyphrase costs least.
        self._decoder.add_keyphrase("means", "oh")
        self._started = False
        self.begin()

    def begin(self) -> None:
        """Start a new utterance; drop the previous utterance if it is still open."""
        if self._started:
            self._decoder.end_utt()
        self._started = False
        self._pending = bytearray()  # audio that does not fill a block yet
        self._waiting = bytearray()  # blocks that wait for the means
        self._onset: int | None = (
            None  # bytes of waiting audio before the first loud block
        )
        self._dropped = 0  # samples of silence that are not decoded
        self._decoded = 0  # samples that were decoded
        self._returned = 0  # the frame at which the last returned word ends
        self._recent: deque[tuple[TimedWord, ...]] = deque(maxlen=SETTLED)

    def hear(self, pcm: bytes) -> list[RecognisedWord]:
        """Return the words that this audio makes final."""
        self._pending += pcm
        words: list[RecognisedWord] = []
        while len(self._pending) >= _BYTES:
            block = bytes(self._pending[:_BYTES])
            del self._pending[:_BYTES]
            if self._started:
                words += self._decode(block)
            else:
                words += self._wait(block)
        return words

    def finish(self) -> list[RecognisedWord]:
        """Return the remaining words of the best path through all audio."""
        rest = bytes(self._pending[: len(self._pending) // 2 * 2])
        words: list[RecognisedWord] = []
        if not self._started:
            if self._onset is None:
                return []
            self._waiting += rest
            words += self._start()
        elif rest:
            words += self._decode(rest)
        self._decoder.end_utt()
        self._started = False
        return words + [self._settle(word) for word in self._open()]

    def _wait(self, block: bytes) -> list[RecognisedWord]:
        """Keep a block until the means of the speech are known.

        Return no words while the means are unknown. If they become known with this
        block, return the settled words of all waiting blocks.
        """
        if self._onset is None:
            if _rms(block) > LOUD:
                self._onset = len(self._waiting)
            else:
                silence = len(self._waiting) - _BYTES * (round(LEAD / BLOCK) - 1)
                if silence > 0:
                    del self._waiting[:silence]
                    self._dropped += silence // 2
        self._waiting += block
        if self._onset is None:
            return []
        if len(self._waiting) - self._onset < round(SAMPLE / BLOCK) * _BYTES:
            return []
        return self._start()

    def _start(self) -> list[RecognisedWord]:
        """Set the means and return the settled words of the waiting blocks."""
        self._decoder.set_cmn(_written(self._means()))
        self._decoder.activate_search(self._words)
        self._decoder.start_utt()
        self._started = True
        waiting, self._waiting = bytes(self._waiting), bytearray()
        words: list[RecognisedWord] = []
        for start in range(0, len(waiting), _BYTES):
            words += self._decode(waiting[start : start + _BYTES])
        return words

    def _means(self) -> list[float]:
        """Return a weighted average of ``MEANS`` and the means of the speech so far."""
        speech = bytes(self._waiting[self._onset :])
        self._decoder.activate_search("means")
        self._decoder.set_cmn(_written(MEANS))
        self._decoder.start_utt()
        self._decoder.process_raw(speech, no_search=True)
        summed = [float(mean) for mean in self._decoder.get_cmn(True).split(",")]
        self._decoder.end_utt()
        frames = len(speech) // 2 // _FRAME
        own = [
            ((_SUMMED + frames) * new - _SUMMED * old) / frames
            for new, old in zip(summed, MEANS, strict=True)
        ]
        return [
            (WEIGHT * old + frames * new) / (WEIGHT + frames)
            for new, old in zip(own, MEANS, strict=True)
        ]

    def _decode(self, block: bytes) -> list[RecognisedWord]:
        """Return the words that this block makes final."""
        self._decoder.process_raw(block)
        self._decoded += len(block) // 2
        words = self._open()
        self._recent.append(words)
        if len(self._recent) < SETTLED:
            return []
        settled = []
        for word in words:
            behind = self._decoded / RATE - word.end * _FRAME / RATE
            if behind < DISTANCE or not all(
                any(_same(word, other) for other in hypothesis)
                for hypothesis in self._recent
            ):
                break
            settled.append(self._settle(word))
        return settled

    def _open(self) -> tuple[TimedWord, ...]:
        """Return the words of the current hypothesis that were not returned yet."""
        words = (
            TimedWord(_VARIANT.sub("", s.word), s.start_frame, s.end_frame + 1)
            for s in self._decoder.seg() or ()
            if not _FILLER.match(s.word)
        )
        return tuple(word for word in words if word.middle > self._returned)

    def _settle(self, word: TimedWord) -> RecognisedWord:
        self._returned = word.end
        start = self._dropped + word.start * _FRAME
        return RecognisedWord(word.text, start, self._dropped + word.end * _FRAME)


_FILLER = re.compile(r"[<\[]|\+\+")  # <s>, </s>, <sil>, [NOISE], ++SMACK++
_VARIANT = re.compile(r"\(\d+\)$")  # the(2)


def _same(word: TimedWord, other: TimedWord) -> bool:
    moved = abs(word.start - other.start) * _FRAME / RATE
    return word.text == other.text and moved <= SHIFT


def _written(means: Sequence[float]) -> str:
    return ",".join(f"{mean:.2f}" for mean in means)


def _rms(block: bytes) -> float:
    """Return the root mean square of a block of PCM16 as a share of full scale."""
    samples = array("h", block)
    if sys.byteorder == "big":
        samples.byteswap()
    mean = sum(sample * sample for sample in samples) / len(samples)
    return float(mean**0.5) / 32768


_LENGTH = 4  # bytes of the big-endian length before each body
# Bytes of audio in a request. An utterance can be dropped only between requests.
_PIECE = RATE * 2


def _send(stream: BinaryIO | asyncio.StreamWriter, message: object) -> None:
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)


def _work(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until stdin closes.

    Before the first request, an empty answer is sent to say that the worker is ready.
    """
    decoding = _Decoding()
    read = msgspec.msgpack.Decoder(_Request).decode
    ready: list[RecognisedWord] = []
    _send(answers, ready)
    answers.flush()
    while len(length := requests.read(_LENGTH)) == _LENGTH:
        match read(requests.read(int.from_bytes(length, "big"))):
            case _Begin():
                decoding.begin()
                continue
            case _Hear(pcm):
                words = decoding.hear(pcm)
            case _Finish():
                words = decoding.finish()
        _send(answers, words)
        answers.flush()


class _Worker:
    """A process that decodes one utterance at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests = process.stdin
        self._answers = process.stdout
        self._turn = asyncio.Lock()
        self._lost = False

    @classmethod
    async def start(cls) -> _Worker:
        """Start a worker and return it when it is ready."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", __name__)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe
        )
        worker = cls(process)
        try:
            async with worker._turn:
                await worker._answer()
        except BaseException:
            await worker.stop()
            raise
        return worker

    @property
    def alive(self) -> bool:
        """Return whether the process still answers requests."""
        return not self._lost and self._process.returncode is None

    def begin(self) -> None:
        """Tell the worker to start a new utterance after all earlier requests."""
        _send(self._requests, _Begin())

    async def ask(self, request: _Hear | _Finish) -> list[RecognisedWord]:
        """Send a request and return its answer.

        The worker stays usable if the caller cancels the wait for the answer.
        """
        exchange = asyncio.create_task(self._exchange(request))
        exchange.add_done_callback(_mark_retrieved)
        return await asyncio.shield(exchange)

    async def stop(self) -> None:
        """Kill the process and wait until it has ended."""
        self._lost = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        async with self._turn:  # let a pending request see the end first
            await self._process.communicate()

    async def _exchange(self, request: _Hear | _Finish) -> list[RecognisedWord]:
        async with self._turn:
            _send(self._requests, request)
            return await self._answer()

    async def _answer(self) -> list[RecognisedWord]:
        try:
            await self._requests.drain()
            length = await self._answers.readexactly(_LENGTH)
            body = await self._answers.readexactly(int.from_bytes(length, "big"))
        except (OSError, asyncio.IncompleteReadError) as error:
            self._lost = True
            code = await self._process.wait()
            raise WorkerLost(
                f"the pocketsphinx worker ended with exit code {code}; "
                "its messages are on standard error"
            ) from error
        return msgspec.msgpack.decode(body, type=list[RecognisedWord])


def _mark_retrieved(task: asyncio.Task[list[RecognisedWord]]) -> None:
    """Read the error of a task, so that asyncio does not log it as an unread error."""
    if not task.cancelled():
        task.exception()


class _Utterance:
    """The listener of one utterance; it holds a worker until the utterance ends."""

    def __init__(self, pool: PocketsphinxRecogniser, worker: _Worker) -> None:
        self._pool = pool
        self._worker: _Worker | None = worker
        worker.begin()

    async def hear(self, pcm: bytes) -> list[RecognisedWord]:
        """Return the words that this audio makes final, in order."""
        words: list[RecognisedWord] = []
        for start in range(0, len(pcm), _PIECE):
            words += await self._open().ask(_Hear(pcm[start : start + _PIECE]))
        return words

    async def finish(self) -> list[RecognisedWord]:
        """End the audio, close the utterance and return the remaining words."""
        words = await self._open().ask(_Finish())
        await self.close()
        return words

    async def close(self) -> None:
        """Give the worker back to the pool."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await self._pool._take_back(worker)

    def _open(self) -> _Worker:
        if self._worker is None:
            raise RuntimeError(
                "this utterance is closed; get a new listener by listen()"
            )
        return self._worker


class PocketsphinxRecogniser:
    """A deterministic recogniser of English for 16 kHz PCM16, with a pool of workers.

    `start` starts the first worker; further workers start when utterances overlap. A
    worker takes up to a second to start and uses about 130 MB. At most ``limit``
    utterances are recognised at a time; further utterances wait until an earlier one
    ends. At most ``warm`` idle workers are kept; by default, this is one worker per
    processor, but at least two. Audio that is never louder than -50 dBFS has no words.
    """

    rate = RATE

    def __init__(self, *, limit: int = 8, warm: int | None = None) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}; it must be at least 1 utterance")
        self._warm = max(2, os.cpu_count() or 1) if warm is None else warm
        self._places = asyncio.Semaphore(limit)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._closed = False

    @classmethod
    async def start(
        cls, *, limit: int = 8, warm: int | None = None
    ) -> PocketsphinxRecogniser:
        """Return a recogniser whose first worker is ready."""
        pool = cls(limit=limit, warm=warm)
        pool._idle.append(await pool._new_worker())
        return pool

    async def listen(self) -> _Utterance:
        """Return a listener for one utterance; the caller must finish or close it."""
        await self._places.acquire()
        try:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return _Utterance(self, worker)
                await self._stop_worker(worker)
            return _Utterance(self, await self._new_worker())
        except BaseException:
            self._places.release()
            raise

    async def close(self) -> None:
        """End all workers; utterances that are still open are lost."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*map(self._stop_worker, tuple(self._workers)))

    async def _new_worker(self) -> _Worker:
        if self._closed:
            raise RuntimeError("this recogniser is closed; start a new one")
        worker = await _Worker.start()
        self._workers.add(worker)
        if self._closed:
            await self._stop_worker(worker)
            raise RuntimeError("this recogniser is closed; start a new one")
        return worker

    async def _stop_worker(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        await worker.stop()

    async def _take_back(self, worker: _Worker) -> None:
        self._places.release()
        if worker.alive and not self._closed and len(self._idle) < self._warm:
            self._idle.append(worker)
        else:
            await self._stop_worker(worker)


def main() -> None:
    """Run this process as a worker.

    The answers go to stdout. Everything that is printed goes to stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the server ends a worker
    with os.fdopen(os.dup(1), "wb") as answers, contextlib.suppress(BrokenPipeError):
        os.dup2(2, 1)
        _work(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
