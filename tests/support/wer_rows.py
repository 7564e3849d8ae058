"""Transcriptions without a session, as a WER threshold takes them."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import (
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment
from pytest_realtime_asr.metrics.normalizers import Normalizer

SOURCE = silence(0.1)


@dataclass(frozen=True)
class ScoredText:
    """A text and what was said; `align` scores it as a transcription does."""

    label: str
    utterance: Utterance
    hypothesis: str | None
    lost: str = ""

    def align(self, normalizer: Normalizer | None) -> Alignment:
        said, text = self.utterance, None if self.lost else self.hypothesis
        return words(said.text, text, normalizer=normalizer, language=said.language)


def scored(
    number: int,
    reference: str,
    hypothesis: str | None,
    language: str = "",
    *,
    lost: str = "",
    speaker: str = "",
) -> ScoredText:
    """Return the text of the session and the utterance with this number."""
    said = Utterance(f"u{number}", reference, SOURCE, (), language, speaker)
    return ScoredText(f"s{number}", said, hypothesis, lost)
