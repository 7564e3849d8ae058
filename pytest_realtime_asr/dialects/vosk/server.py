"""The server's side of vosk-server's protocol."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.vosk.events import (
    DEFAULT_RATE,
    Config,
    Eof,
    PartialResult,
    Reset,
    Result,
    Settings,
    Word,
    encode,
    read_client,
)
from pytest_realtime_asr.dialects.vosk.profile import Profile
from pytest_realtime_asr.trace.timeline import Usage, WordTime

_ENDPOINT = 0.75  # s of silence that end a segment
_LOUD = 300.0  # RMS of speech; full scale is 32768
_RATES = (1_000, 192_000)  # Hz: the lowest and the highest rate
_REFUSED = Reaction(close=1007, reason="the text is no message of the protocol")


class Server:
    """The server's side of a session, which answers each message once and in order.

    The answer to audio has the text that was recognised before this audio arrived. So a
    recognised word is sent only when the client sends more audio. The server closes
    with code 1007 after an unknown text frame; vosk-server closes with code 1011.
    """

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.rate = DEFAULT_RATE if profile.config else profile.rate
        self._shows_words = True
        self._hearing = False
        self._heard = False  # whether any audio has come
        self._begun = 0  # utterances so far
        self._utterances: dict[int, _Utterance] = {}  # those without a final
        self._samples = 0  # of the session
        self._quiet = 0  # samples of silence up to now
        # Answers that wait for a final, in order; ``None`` stands for the final.
        self._waiting: deque[str | None] = deque()
        self._finals: dict[int, str] = {}
        self._answered = 0  # finals that were sent

    def open(self, session: str, created: int) -> Iterable[str]:
        return ()

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return self._audio(frame)
        match read_client(frame):
            case Config(config=settings) if self._profile.config:
                return self._configure(settings)
            case Eof():
                begin = self._begin()
                self._finish()
                return Reaction(begin=begin, finish=True, close=1000, after_finals=True)
            case Reset() if self._profile.reset:
                begin = self._begin()
                self._finish()
                return Reaction(begin=begin, finish=True)
        return _REFUSED

    def expire(self) -> Reaction:
        return Reaction(close=1001)

    def partial(
        self, added: str, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[str]:
        utterance = self._utterances[item]
        utterance.text += added
        utterance.words = words
        return ()  # the next answer to audio has the text

    def final(
        self, text: str, usage: Usage, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[str]:
        utterance = self._utterances.pop(item)
        settled = utterance.text[: utterance.settled]
        rest = "" if settled.startswith(text) else text.removeprefix(settled).strip()
        utterance.words = words
        self._finals[item] = self._result(rest, utterance)
        return self._released()

    def _configure(self, settings: Settings) -> Reaction:
        if self._heard:
            return Reaction()  # the recogniser exists already
        if (rate := settings.sample_rate) is not None:
            if not (math.isfinite(rate) and _RATES[0] <= rate <= _RATES[1]):
                return _REFUSED
            self.rate = round(rate)
        if settings.words is not None:
            self._shows_words = bool(settings.words)
        return Reaction()

    def _audio(self, data: bytes) -> Reaction:
        pcm = data[: len(data) // 2 * 2]  # half a sample is dropped
        begin = self._begin()
        self._samples += len(pcm) // 2
        return Reaction(self._in_order(self._answer(pcm)), begin=begin, audio=pcm)

    def _begin(self) -> bool:
        """Begin an utterance unless one is open; return whether one was begun."""
        if self._hearing:
            return False
        self._hearing = self._heard = True
        seconds = self._samples / self.rate
        self._utterances[self._begun] = _Utterance(seconds)
        self._begun += 1
        self._quiet = 0
        return True

    def _finish(self) -> None:
        self._hearing = False
        self._waiting.append(None)

    def _answer(self, pcm: bytes) -> str:
        """Return the answer to audio: a partial or, after silence, a result."""
        utterance = self._utterances[self._begun - 1]
        self._quiet = 0 if _is_loud(pcm) else self._quiet + len(pcm) // 2
        segment = utterance.text[utterance.settled :].strip()
        if segment and self._quiet >= _ENDPOINT * self.rate:
            result = self._result(segment, utterance)
            utterance.settled = len(utterance.text)
            return result
        return encode(PartialResult(segment))

    def _result(self, text: str, utterance: _Utterance) -> str:
        """Return the result for a segment: its text and the times of its words."""
        if not self._shows_words:
            return encode(Result(text))
        before = len(utterance.text[: utterance.settled].split())
        words = [
            Word(
                each.text,
                round(each.start + utterance.seconds, 6),
                round(each.end + utterance.seconds, 6),
                conf=1.0,
            )
            for each in utterance.words[before : before + len(text.split())]
        ]
        return encode(Result(text, words))

    def _in_order(self, answer: str) -> Sequence[str]:
        """Return the answer, or nothing if the answer has to wait for a final."""
        if not self._waiting:
            return (answer,)
        self._waiting.append(answer)
        return ()

    def _released(self) -> Sequence[str]:
        """Return the answers that no longer have to wait for a final, in order."""
        found: list[str] = []
        while self._waiting:
            answer = self._waiting[0]
            if answer is None:
                if self._answered not in self._finals:
                    break
                answer = self._finals.pop(self._answered)
                self._answered += 1
            self._waiting.popleft()
            found.append(answer)
        return found


@dataclass(slots=True)
class _Utterance:
    """An utterance that has no final yet.

    Its audio starts ``seconds`` after the start of the session.
    ``settled`` is the number of characters of ``text`` that results have settled.
    """

    seconds: float
    text: str = ""
    words: Sequence[WordTime] = ()
    settled: int = 0


def _is_loud(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    return bool(samples.size) and float(np.sqrt(np.mean(samples**2))) > _LOUD
