"""Faults that lose a part of each utterance's audio, and thus the words in this part.

Each kind of loss has several sizes; each size is a fault of its own, with the size in
its name. If a fault loses a span of the audio, the span becomes silence, so that the
later audio keeps its position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.registry import fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import (
    UtteranceTracker,
    WordChanger,
    Wrap,
)
from pytest_realtime_asr.trace.records import Frame

EDGES = (200, 400, 800)  # ms
FRAMES = (20, 40, 80)  # ms
STOPS = (5, 10, 30)  # s
_HOLE = (4.0, 6.0)  # s
_DOUBLED = 40  # words
_SAMPLE = 2  # bytes


class _AudioLoser(UtteranceTracker):
    """Changes the audio of each utterance before the recogniser gets the audio."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if not reaction.audio:
            return reaction
        return replace(reaction, audio=self.kept(reaction.audio))

    def kept(self, pcm: bytes) -> bytes:
        """Return the audio that the recogniser gets in place of a chunk."""
        raise NotImplementedError


class _LosesSpan(_AudioLoser):
    """Replaces each utterance's audio from ``start`` to ``stop`` seconds by silence."""

    def __init__(
        self, server: Server, state: ServerState, start: float, stop: float
    ) -> None:
        super().__init__(server, state)
        self._span = start, stop

    def kept(self, pcm: bytes) -> bytes:
        hearing = self.audio if self.is_hearing else self.early_audio
        before = hearing.size - len(pcm)  # the chunk was added already
        first, last = (
            len(pcm)
            if math.isinf(edge)
            else min(max(0, _SAMPLE * round(edge * self.rate) - before), len(pcm))
            for edge in self._span
        )
        return pcm[:first] + bytes(last - first) + pcm[last:]


class _LosesLast(_AudioLoser):
    """Drops the last ``seconds`` seconds of audio of each utterance."""

    def __init__(self, server: Server, state: ServerState, seconds: float) -> None:
        super().__init__(server, state)
        self._seconds = seconds
        self._held = b""

    def reset(self) -> None:
        self._held = b""

    def kept(self, pcm: bytes) -> bytes:
        whole = self._held + pcm
        passed = max(0, len(whole) - _SAMPLE * round(self._seconds * self.rate))
        self._held = whole[passed:]
        return whole[:passed]


class _LosesRest(_AudioLoser):
    """Cuts chunks into blocks of ``seconds`` s and drops an incomplete last block."""

    def __init__(self, server: Server, state: ServerState, seconds: float) -> None:
        super().__init__(server, state)
        self._seconds = seconds

    def kept(self, pcm: bytes) -> bytes:
        block = _SAMPLE * round(self._seconds * self.rate)
        return pcm[: len(pcm) - len(pcm) % block]


def losing_span(span: tuple[float, float]) -> Wrap:
    """Return a wrapper that replaces a part of each utterance by silence.

    ``span`` has the start and the end of this part, in seconds.
    """
    return lambda server, state: _LosesSpan(server, state, *span)


def losing_last(seconds: float) -> Wrap:
    """Return a wrapper that loses the last ``seconds`` seconds of each utterance."""
    return lambda server, state: _LosesLast(server, state, seconds)


def losing_rest(seconds: float) -> Wrap:
    """Return a wrapper that loses the last block of a chunk if it is incomplete.

    Each chunk is cut into blocks of ``seconds`` seconds.
    """
    return lambda server, state: _LosesRest(server, state, seconds)


for _ms in EDGES:
    _s = _ms / 1000
    fault(
        f"loses-first-{_ms}ms",
        f"loses the first {_ms} ms of each utterance",
        by=losing_span,
    )((0.0, _s))
    fault(
        f"loses-last-{_ms}ms",
        f"loses the last {_ms} ms of each utterance",
        by=losing_last,
    )(_s)
for _ms in FRAMES:
    fault(
        f"loses-rest-of-{_ms}ms",
        f"cuts each chunk into blocks of {_ms} ms and loses an incomplete last block",
        by=losing_rest,
    )(_ms / 1000)
for _s in STOPS:
    fault(
        f"stops-after-{_s}s",
        f"ignores the audio after the first {_s} s of an utterance",
        by=losing_span,
    )((float(_s), math.inf))
fault(
    "hole-of-2s",
    "ignores the audio from 4 s to 6 s after the start of an utterance",
    by=losing_span,
)(_HOLE)


@fault("doubles-words", "repeats every 40th word in place of the word after it")
class DoublesWords(WordChanger):
    """Repeats every 40th word of an utterance in place of the word after it.

    A server makes this mistake if it joins the texts of chunks at the wrong word. In
    speech of usual speed, 40 words take about 20 s.
    """

    def words_for(self, word: str) -> Iterable[str]:
        sent = self.sent.split()
        doubles = sent and len(sent) % _DOUBLED == 0
        return (sent[-1] if doubles else word,)


@fault(
    "late-question-mark",
    "sends the question mark of a text at the start of the next text",
)
class LateQuestionMark(WordChanger):
    """Puts a question mark before the text of each utterance except the first."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word if self.sent or self.number == 1 else f"? {word}",)
