"""What is spoken in the scenarios: clips of the corpus, whole, cut and joined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_realtime_asr.audio import Audio, from_float, join, silence
from pytest_realtime_asr.corpus import Corpus, Utterance

CANDIDATES = 6  # clips at most that are tried until two are found to be of use
_RATE = 16000
_GAP = 0.3  # s between two clips that are joined
_QUIETER = 0.5


@dataclass(frozen=True)
class Clips:
    """The shortest clips of a corpus with different texts, the ones to use first."""

    candidates: tuple[Utterance, ...]

    @property
    def first(self) -> Utterance:
        """The clip that is spoken most."""
        return self.candidates[0]

    @property
    def second(self) -> Utterance:
        """Another clip; the same one where there is but one."""
        return self.candidates[min(1, len(self.candidates) - 1)]

    @property
    def seconds(self) -> float:
        """How long the longer one of the two lasts."""
        return max(self.first.duration, self.second.duration)

    def prefer(self, ids: Iterable[str]) -> Clips:
        """The clips with these before the others."""
        order = {id: place for place, id in enumerate(ids)}
        late = len(order)
        return Clips(
            tuple(sorted(self.candidates, key=lambda each: order.get(each.id, late)))
        )

    @cached_property
    def _sound(self) -> Audio:
        """All candidates one after the other, from the begin of the first word."""
        gap = silence(_GAP, rate=_RATE)
        parts: list[Audio] = []
        for each in self.candidates:
            parts += [each.audio.resample(_RATE), gap]
        whole = join(*parts)
        start = self.candidates[0].speech_start or 0.0
        return whole.cut(start, whole.seconds)

    def lasting(self, seconds: float) -> Utterance:
        """Speech of exactly so many seconds, whatever is said in it."""
        sound = self._sound
        times = int(seconds // sound.seconds) + 1
        audio = join(*[sound] * times).cut(0.0, seconds)
        return Utterance(f"{seconds:g} s of speech", "", audio)

    def both(self) -> Utterance:
        """The first clip and the second one, of whose sound it is made."""
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
    """The shortest clips with different texts. ValueError where none has a text."""
    spoken = {each.text: each for each in corpus if each.text.strip()}
    if not spoken:
        raise ValueError(
            f"the corpus {corpus.name} has no utterance with a text; give one with "
            "--realtime-corpus"
        )
    shortest = sorted(spoken.values(), key=lambda each: (each.duration, each.id))
    return Clips(tuple(shortest[:CANDIDATES]))


def after_silence(utterance: Utterance, seconds: float) -> Utterance:
    """The same clip with silence before it."""
    audio = utterance.audio.resample(_RATE)
    return replace(
        utterance, source=join(silence(seconds, rate=_RATE), audio), words=()
    )


def quieter(utterance: Utterance) -> Utterance:
    """The same clip at half the gain (-6 dB)."""
    audio = utterance.audio.resample(_RATE)
    samples = audio.array / 32768 * _QUIETER
    return replace(utterance, source=from_float(samples, _RATE))


def nothing(seconds: float) -> Utterance:
    """Silence, or no audio at all."""
    return Utterance("silence" if seconds else "no audio", "", silence(seconds))


def halves(utterance: Utterance) -> Sequence[Audio]:
    """The audio of a clip in two parts."""
    audio = utterance.audio.resample(_RATE)
    return audio.cut(0, audio.seconds / 2), audio.cut(audio.seconds / 2, audio.seconds)
