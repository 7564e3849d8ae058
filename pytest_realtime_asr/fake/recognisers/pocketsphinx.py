"""A real recogniser for the fake server: pocketsphinx, in processes of its own.

pocketsphinx holds the interpreter lock while it decodes, which would stop the server's
loop, so each utterance has a worker: this module, run as a program. The server and a
worker speak in turns over the worker's stdin and stdout, a request and its answer each
as four bytes of length and a MessagePack body. A worker ends when its stdin does, and
so with the server, however that ends.

A protocol that sends words as they are recognised cannot take one back, so a word is
said only once it has *settled*: ``SETTLED`` successive hypotheses hold it at the same
place, and its end lies ``DISTANCE`` seconds behind the audio that was heard. When the
audio ends, pocketsphinx looks for the best path through all that it considered; the
words of this path are said as far as they follow those already said.

Cepstral means are what makes a voice of one loudness and colour look like another.
pocketsphinx carries them from one utterance to the next, so its text would depend on
what was heard before. Here every utterance starts from ``MEANS``, drawn towards the
means of the first ``SAMPLE`` seconds of its own speech; audio is held back until these
are there. Audio is decoded in blocks of ``BLOCK`` seconds, whatever the chunks in which
it comes. Equal audio therefore gives equal words.
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
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord

try:
    import pocketsphinx
except ImportError as error:
    raise ImportError(
        "the reference recogniser needs pocketsphinx: "
        'pip install "pytest-realtime-asr[reference]"'
    ) from error

RATE = 16_000
BLOCK = 0.1

# Measured on 240 clips of four flite voices, 687 s, with pocketsphinx's own settings:
# the word error rate of the stream is 11.8 % with a distance of 0.4 s, 10.9 % with
# 0.6 s, 10.5 % with 0.8 s; with five hypotheses it is 0.3 % better, and later. The last
# passes over the whole give 8.2 %.
SETTLED = 3
DISTANCE = 0.6
SHIFT = 0.05  # a word may move so much between hypotheses, in seconds, and be the same

# Means of four flite voices at -4 dBFS. On half of these clips they alone gave 15.3 %,
# with the means of the utterance's own first 0.8 s of speech it was 11.9 %.
MEANS = (50.4, 3.4, 5.7, 19.4, -1.3, -0.9, 3.9, -6.2, -3.3, -3.7, 4.7, 1.7, 2.1)
SAMPLE = 0.8
WEIGHT = 50  # of MEANS, in frames of 10 ms

# On half of these clips 11.8 % with these settings and 11.9 % without them. The second
# pass would take 100 to 250 ms for a few seconds of audio; the bound on the states
# of a frame saves a quarter of the decoding time.
_SETTINGS = {"loglevel": "FATAL", "fwdflat": False, "maxhmmpf": 5000}

LOUD = 0.003  # RMS of a block of speech, of full scale: -50 dBFS; less is silence
LEAD = 0.3  # of the silence before the speech, this much is decoded

_BYTES = round(BLOCK * RATE) * 2  # of a block
_FRAME = RATE // 100  # samples of a frame of pocketsphinx
_SUMMED = 500  # frames as which pocketsphinx counts the means that it was given


class WorkerLost(RuntimeError):
    """A worker ended in the middle of an utterance, which is lost with it."""


class _Begin(msgspec.Struct, frozen=True, tag="begin"):
    """A new utterance; what is left of the one before is given up. No answer."""


class _Hear(msgspec.Struct, frozen=True, tag="hear"):
    """More audio; the answer is the words that settled."""

    pcm: bytes


class _Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The end of the audio; the answer is the rest of the words."""


_Request = _Begin | _Hear | _Finish


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a hypothesis, from its first frame up to before ``end``."""

    text: str
    start: int
    end: int

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class _Decoding:
    """One utterance at a time, decoded in this process."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(**_SETTINGS)
        self._words = self._decoder.current_search()
        # Means are summed only while something is decoded; one keyphrase costs least.
        self._decoder.add_keyphrase("means", "oh")
        self._started = False
        self.begin()

    def begin(self) -> None:
        """Start on a new utterance."""
        if self._started:
            self._decoder.end_utt()
        self._started = False
        self._pending = bytearray()  # less than a block
        self._held = bytearray()  # blocks that wait for the means
        self._onset: int | None = None  # bytes held before the first loud block
        self._dropped = 0  # samples of silence that are not decoded
        self._heard = 0  # samples decoded
        self._said_up_to = 0  # frame
        self._recent: deque[tuple[_Word, ...]] = deque(maxlen=SETTLED)

    def hear(self, pcm: bytes) -> list[RecognisedWord]:
        """The words that settled with this audio."""
        self._pending += pcm
        said: list[RecognisedWord] = []
        while len(self._pending) >= _BYTES:
            block = bytes(self._pending[:_BYTES])
            del self._pending[:_BYTES]
            if self._started:
                said += self._decode(block)
            else:
                said += self._hold(block)
        return said

    def finish(self) -> list[RecognisedWord]:
        """The words that were not yet said, by the best path through the whole."""
        rest = bytes(self._pending[: len(self._pending) // 2 * 2])
        said: list[RecognisedWord] = []
        if not self._started:
            if self._onset is None:
                return []
            self._held += rest
            said += self._start()
        elif rest:
            said += self._decode(rest)
        self._decoder.end_utt()
        self._started = False
        return said + [self._say(word) for word in self._open()]

    def _hold(self, block: bytes) -> list[RecognisedWord]:
        """Keep a block until the means of the speech are known."""
        if self._onset is None:
            if _rms(block) > LOUD:
                self._onset = len(self._held)
            else:
                silence = len(self._held) - _BYTES * (round(LEAD / BLOCK) - 1)
                if silence > 0:
                    del self._held[:silence]
                    self._dropped += silence // 2
        self._held += block
        if self._onset is None:
            return []
        if len(self._held) - self._onset < round(SAMPLE / BLOCK) * _BYTES:
            return []
        return self._start()

    def _start(self) -> list[RecognisedWord]:
        """Set the means and decode what was held."""
        self._decoder.set_cmn(_written(self._means()))
        self._decoder.activate_search(self._words)
        self._decoder.start_utt()
        self._started = True
        held, self._held = bytes(self._held), bytearray()
        said: list[RecognisedWord] = []
        for start in range(0, len(held), _BYTES):
            said += self._decode(held[start : start + _BYTES])
        return said

    def _means(self) -> list[float]:
        """The means of the speech that is held, drawn towards ``MEANS``."""
        speech = bytes(self._held[self._onset :])
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
        """The words that settled with this block."""
        self._decoder.process_raw(block)
        self._heard += len(block) // 2
        words = self._open()
        self._recent.append(words)
        if len(self._recent) < SETTLED:
            return []
        said = []
        for word in words:
            behind = self._heard / RATE - word.end * _FRAME / RATE
            if behind < DISTANCE or not all(
                any(_same(word, other) for other in hypothesis)
                for hypothesis in self._recent
            ):
                break
            said.append(self._say(word))
        return said

    def _open(self) -> tuple[_Word, ...]:
        """The words of the present hypothesis that follow those already said."""
        words = (
            _Word(_VARIANT.sub("", s.word), s.start_frame, s.end_frame + 1)
            for s in self._decoder.seg() or ()
            if not _FILLER.match(s.word)
        )
        return tuple(word for word in words if word.middle > self._said_up_to)

    def _say(self, word: _Word) -> RecognisedWord:
        self._said_up_to = word.end
        return RecognisedWord(word.text, self._dropped + word.end * _FRAME)


_FILLER = re.compile(r"[<\[]|\+\+")  # <s>, </s>, <sil>, [NOISE], ++SMACK++
_VARIANT = re.compile(r"\(\d+\)$")  # the(2)


def _same(word: _Word, other: _Word) -> bool:
    moved = abs(word.start - other.start) * _FRAME / RATE
    return word.text == other.text and moved <= SHIFT


def _written(means: Sequence[float]) -> str:
    return ",".join(f"{mean:.2f}" for mean in means)


def _rms(block: bytes) -> float:
    """The root of the mean square of PCM16, of full scale."""
    samples = array("h", block)
    if sys.byteorder == "big":
        samples.byteswap()
    mean = sum(sample * sample for sample in samples) / len(samples)
    return float(mean**0.5) / 32768


_LENGTH = 4  # bytes, big-endian, before every body
_PIECE = RATE * 2  # bytes of audio in a request; between two, the rest can be given up


def _send(stream: BinaryIO | asyncio.StreamWriter, message: object) -> None:
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)


def _work(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more; the first answer says ready."""
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
        """A worker that is ready."""
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
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process can still be asked."""
        return not self._lost and self._process.returncode is None

    def begin(self) -> None:
        """Start on a new utterance; everything asked for before is answered first."""
        _send(self._requests, _Begin())

    async def ask(self, request: _Hear | _Finish) -> list[RecognisedWord]:
        """The answer; who no longer waits for it leaves the worker in order."""
        return await asyncio.shield(asyncio.create_task(self._exchange(request)))

    async def stop(self) -> None:
        """End the process and wait for its end."""
        self._lost = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        async with self._turn:  # whoever waits for an answer learns of the end first
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
                "what it printed is on stderr"
            ) from error
        return msgspec.msgpack.decode(body, type=list[RecognisedWord])


class _Utterance:
    """The listener of one utterance; it has a worker until its end."""

    def __init__(self, pool: PocketsphinxRecogniser, worker: _Worker) -> None:
        self._pool = pool
        self._worker: _Worker | None = worker
        worker.begin()

    async def hear(self, pcm: bytes) -> list[RecognisedWord]:
        """The words that have settled with this audio, in order."""
        words: list[RecognisedWord] = []
        for start in range(0, len(pcm), _PIECE):
            words += await self._open().ask(_Hear(pcm[start : start + _PIECE]))
        return words

    async def finish(self) -> list[RecognisedWord]:
        """The words that were still open when the audio ended; it is closed then."""
        words = await self._open().ask(_Finish())
        await self.close()
        return words

    async def close(self) -> None:
        """Give the worker back."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await self._pool._take_back(worker)

    def _open(self) -> _Worker:
        if self._worker is None:
            raise RuntimeError("this utterance is closed")
        return self._worker


class PocketsphinxRecogniser:
    """A recogniser of English for 16 kHz PCM16, deterministic, with a pool of workers.

    The first worker starts with the recogniser, the others when utterances overlap;
    each takes up to a second to start and about 130 MB. Up to ``limit`` utterances are
    heard at once and the next wait for one of them to end. ``warm`` workers, of which
    the default is one for each processor and at least two, are kept between utterances.
    Audio that never gets louder than -50 dBFS has no words.
    """

    rate = RATE

    def __init__(self, *, limit: int = 8, warm: int | None = None) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}; at least one utterance must be heard")
        self._warm = max(2, os.cpu_count() or 1) if warm is None else warm
        self._places = asyncio.Semaphore(limit)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._closed = False

    @classmethod
    async def start(
        cls, *, limit: int = 8, warm: int | None = None
    ) -> PocketsphinxRecogniser:
        """A recogniser whose first worker is ready."""
        pool = cls(limit=limit, warm=warm)
        pool._idle.append(await pool._hire())
        return pool

    @property
    def pids(self) -> frozenset[int]:
        """The process ids of its workers."""
        return frozenset(worker.pid for worker in self._workers)

    async def listen(self) -> _Utterance:
        """A listener for one utterance; it must be finished or closed."""
        await self._places.acquire()
        try:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return _Utterance(self, worker)
                await self._dismiss(worker)
            return _Utterance(self, await self._hire())
        except BaseException:
            self._places.release()
            raise

    async def close(self) -> None:
        """End all workers; an utterance that is still heard is lost."""
        self._closed = True
        self._idle.clear()
        await asyncio.gather(*map(self._dismiss, tuple(self._workers)))

    async def _hire(self) -> _Worker:
        if self._closed:
            raise RuntimeError("this recogniser is closed")
        worker = await _Worker.start()
        self._workers.add(worker)
        if self._closed:
            await self._dismiss(worker)
            raise RuntimeError("this recogniser is closed")
        return worker

    async def _dismiss(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        await worker.stop()

    async def _take_back(self, worker: _Worker) -> None:
        self._places.release()
        if worker.alive and not self._closed and len(self._idle) < self._warm:
            self._idle.append(worker)
        else:
            await self._dismiss(worker)


def main() -> None:
    """Be a worker: stdin and stdout belong to the server, what is printed to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when to end
    with os.fdopen(os.dup(1), "wb") as answers, contextlib.suppress(BrokenPipeError):
        os.dup2(2, 1)
        _work(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
