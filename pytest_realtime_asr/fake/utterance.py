"""One utterance of a session with the fake server: from its audio to its final.

Each word is sent ``word_delay`` after the arrival of the audio in which the word ends.
The final is sent ``final_delay`` after the client completed the audio. A word that is
due after the final is sent just before the final.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from websockets.exceptions import ConnectionClosed

from pytest_realtime_asr.audio import Resampler
from pytest_realtime_asr.dialects import Server
from pytest_realtime_asr.fake.capacity import Workload
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage, WordTime

_TOKENS_PER_SECOND = 12.5  # of audio, as a prompt


@dataclass(frozen=True, slots=True)
class Speaking:
    """The parts of a session that its utterances use.

    ``session`` is the number of the session among the sessions of the fake server.
    ``server`` is the dialect's server side. ``add_word`` is called before each word is
    sent, with the word's times and the number of the utterance. ``now`` returns the
    time of the session in ns. ``send`` sends frames. ``fail`` closes the session after
    a failure of the recogniser. ``word_delay`` returns the delay of the next word in
    seconds. ``final_delay`` is the delay of each final in seconds.
    """

    session: int
    server: Server
    recogniser: Recogniser
    faults: Faults
    workload: Workload
    add_word: Callable[[WordTime, int], None]
    now: Callable[[], int]
    send: Callable[[Iterable[Frame]], Awaitable[None]]
    fail: Callable[[BaseException], Awaitable[None]]
    word_delay: Callable[[], float]
    final_delay: float


class FakeUtterance:
    """Turns the audio of one utterance into words, and sends each word when it is due.

    ``item`` is the number of the utterance in the session. ``is_over`` says whether the
    final was sent or the utterance was dropped.
    """

    def __init__(self, item: int, speaking: Speaking) -> None:
        self._item = item
        self._speaking = speaking
        self._place = speaking.workload.begin()
        self._clock = self._place.clock
        self._zero = self._clock.now() - speaking.now()  # of the session's clock, in ns
        self._rate = speaking.server.rate
        self._audio: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._words: asyncio.Queue[RecognisedWord | None] = asyncio.Queue()
        self._arrivals: list[tuple[int, int]] = []  # (samples so far, arrival in ns)
        self._samples = 0
        self._final_due: int | None = None
        self._sleep: asyncio.Future[None] | None = None  # while it waits in `_until`
        self.is_over = False
        self._task = asyncio.create_task(self._run())

    @property
    def is_complete(self) -> bool:
        """Return whether the client has completed the audio of the utterance."""
        return self._final_due is not None

    def hear(self, pcm: bytes, at: int) -> None:
        """Add audio that arrived at ``at`` (ns)."""
        self._samples += len(pcm) // 2
        self._arrivals.append((self._samples, at))
        self._audio.put_nowait(pcm)

    def finish(self, at: int) -> None:
        """End the audio at ``at`` (ns); the delay of the final counts from then."""
        speaking = self._speaking
        seconds = speaking.faults.final_delay(
            speaking.final_delay, session=speaking.session
        )
        self._final_due = at + self._delay(seconds)
        self._wake()  # the final may be due earlier than the next word
        self._audio.put_nowait(None)

    async def ended(self) -> None:
        """Wait until the final was sent or the utterance was dropped."""
        await asyncio.wait([self._task])

    async def close(self) -> None:
        """Drop the utterance, which then sends nothing more."""
        self.is_over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._speaking.workload.end(self._place)  # a task that never began ends nothing

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._recognise())
                tasks.create_task(self._send_words())
        except* ConnectionClosed:
            pass  # the task that reads frames records how the connection ended
        except* Exception as failure:
            await self._speaking.fail(failure)
        finally:
            self._speaking.workload.end(self._place)

    async def _recognise(self) -> None:
        recogniser = self._speaking.recogniser
        listener: Listener = await recogniser.listen()
        resampler = Resampler(self._rate, recogniser.rate)
        try:
            while (pcm := await self._audio.get()) is not None:
                for word in await listener.hear(resampler.feed(pcm)):
                    self._words.put_nowait(word)
            for word in await listener.hear(resampler.flush()):
                self._words.put_nowait(word)
            for word in await listener.finish():
                self._words.put_nowait(word)
            self._words.put_nowait(None)
        finally:
            await listener.close()

    async def _send_words(self) -> None:
        speaking = self._speaking
        words: list[RecognisedWord] = []
        unsent = ""
        while (word := await self._words.get()) is not None:
            sample = self._sample(word)
            seconds = speaking.faults.word_delay(
                speaking.word_delay(),
                position=sample / self._rate,
                session=speaking.session,
            )
            await self._until(self._arrival(sample) + self._delay(seconds))
            if not speaking.workload.keeps_word(self._place):
                continue
            speaking.add_word(speaking.faults.word_time(self._timed(word)), self._item)
            unsent += f" {word.text}" if words else word.text
            words.append(word)
            if len(words) % self._place.words_per_partial == 0:
                await speaking.send(speaking.server.partial(unsent, self._item))
                unsent = ""
        if unsent:
            await speaking.send(speaking.server.partial(unsent, self._item))
        assert self._final_due is not None
        await self._until(self._final_due)
        words = [word for word in words if self._keeps(word)]
        text = " ".join(word.text for word in words)
        seconds = self._samples / self._rate
        prompt = round(seconds * _TOKENS_PER_SECOND)
        if self._samples:
            prompt = max(1, prompt)  # a model gets a token for the shortest audio, too
        usage = Usage(prompt, len(words), seconds=seconds)
        final = tuple(speaking.server.final(text, usage, self._item))
        self.is_over = bool(final)  # an utterance without its final is still open
        speaking.workload.end(self._place)  # before the client can begin the next one
        await speaking.send(final)

    def _keeps(self, word: RecognisedWord) -> bool:
        age = (self._samples - self._sample(word)) / self._rate
        return self._speaking.faults.keeps_word(True, age=age)

    def _sample(self, word: RecognisedWord) -> int:
        """Return the sample of the client's audio at which a word ends."""
        return word.end * self._rate // self._speaking.recogniser.rate

    def _timed(self, word: RecognisedWord) -> WordTime:
        rate = self._speaking.recogniser.rate
        return WordTime(word.text, word.start / rate, word.end / rate)

    def _arrival(self, sample: int) -> int:
        index = bisect_left(self._arrivals, (sample, 0))
        return self._arrivals[min(index, len(self._arrivals) - 1)][1]

    def _delay(self, seconds: float) -> int:
        """Return a delay in ns, multiplied by the delay factor of the utterance."""
        return round(seconds * self._place.delay_factor * 1e9)

    async def _until(self, due: int) -> None:
        """Sleep until ``due`` or until the final is due, whichever is earlier."""
        while True:
            end = due if self._final_due is None else min(due, self._final_due)
            if self._clock.now() >= (end := end + self._zero):
                return
            self._sleep = asyncio.get_running_loop().create_future()
            timer = self._clock.call_at(end, self._wake)
            try:
                await self._sleep
            finally:
                timer.cancel()

    def _wake(self) -> None:
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)
