"""The clips that scenarios send: utterances of the corpus, whole, cut and joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_realtime_asr.audio import Audio, from_float, join, silence
from pytest_realtime_asr.corpus import Corpus, Utterance

CANDIDATES = 6  # clips that are tried at most, until the server recognises two
_RATE = 16000
_GAP = 0.3  # s between two clips that are joined
_QUIETER = 0.5


@dataclass(frozen=True)
class Clips:
    """The shortest clips of a corpus with different texts, the preferred ones first."""

    candidates: tuple[Utterance, ...]

    @property
    def first(self) -> Utterance:
        """The clip that is sent most often."""
        return self.candidates[0]

    @property
    def second(self) -> Utterance:
        """Another clip; the first one again where there is only one."""
        return self.candidates[min(1, len(self.candidates) - 1)]

    @property
    def seconds(self) -> float:
        """The length in s of the longer one of the two."""
        return max(self.first.duration, self.second.duration)

    def prefer(self, ids: Iterable[str]) -> Clips:
        """Return the clips with these ids before the others."""
        order = {id: place for place, id in enumerate(ids)}
        late = len(order)
        return Clips(
            tuple(sorted(self.candidates, key=lambda each: order.get(each.id, late)))
        )

    @cached_property
    def _joined(self) -> Audio:
        """All candidates one after the other, from the start of the first word."""
        gap = silence(_GAP, rate=_RATE)
        parts: list[Audio] = []
        for each in self.candidates:
            parts += [each.audio.resample(_RATE), gap]
        whole = join(*parts)
        start = self.candidates[0].speech_start or 0.0
        return whole.cut(start, whole.seconds)

    def lasting(self, seconds: float) -> Utterance:
        """Return speech of exactly so many seconds, without its text."""
        joined = self._joined
        times = int(seconds // joined.seconds) + 1
        audio = join(*[joined] * times).cut(0.0, seconds)
        return Utterance(f"{seconds:g} s of speech", "", audio)

    def both(self) -> Utterance:
        """Return the first clip and the second one, joined without a gap."""
        pair = [self.first, self.second]
        audio = join(*(each.audio.resample(_RATE) for each in pair))
        text = " ".join(each.text for each in pair)
        return Utterance(
            " + ".join(each.id for each in pair),
            text,
            audio,
            language=self.first.language,
        )


def choose(corpus: Corpus) -> Clips:
    """Return the shortest clips with different texts.

    Raises ValueError where no utterance has a text.
    """
    by_text = {each.text: each for each in corpus if each.text.strip()}
    if not by_text:
        raise ValueError(
            f"the corpus {corpus.name} has no utterance with a text; use another one: "
            "--realtime-corpus=PATH"
        )
    shortest = sorted(by_text.values(), key=lambda each: (each.duration, each.id))
    return Clips(tuple(shortest[:CANDIDATES]))


def after_silence(utterance: Utterance, seconds: float) -> Utterance:
    """Return the clip with silence before it."""
    audio = utterance.audio.resample(_RATE)
    return replace(
        utterance, source=join(silence(seconds, rate=_RATE), audio), words=()
    )


def quieter(utterance: Utterance) -> Utterance:
    """Return the clip at half the gain (-6 dB)."""
    audio = utterance.audio.resample(_RATE)
    samples = audio.array / 32768 * _QUIETER
    return replace(utterance, source=from_float(samples, _RATE))


def nothing(seconds: float) -> Utterance:
    """Return an utterance of silence, or without audio for 0 s."""
    return Utterance("silence" if seconds else "no audio", "", silence(seconds))


def halves(utterance: Utterance) -> Sequence[Audio]:
    """Return the audio of a clip in two parts."""
    audio = utterance.audio.resample(_RATE)
    return audio.cut(0, audio.seconds / 2), audio.cut(audio.seconds / 2, audio.seconds)
