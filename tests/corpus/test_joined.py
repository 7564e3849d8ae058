"""Utterances that are cut to their speech, put between silence, and joined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.corpus.joined import between_silence, cut_to_speech, joined

ENGLISH = corpus.load("bundled:english")
CLIP = ENGLISH["turn-right"]


def test_speech_is_cut_at_its_words() -> None:
    cut = cut_to_speech(CLIP)
    first, last = CLIP.words[0], CLIP.words[-1]
    assert cut.duration == pytest.approx(last.end - first.start, abs=1e-3)
    assert cut.words[0].start == 0
    assert cut.words[-1].end == pytest.approx(cut.duration, abs=1e-3)


def test_speech_without_word_times_is_cut_less_closely() -> None:
    cut = cut_to_speech(replace(CLIP, words=()))
    assert cut_to_speech(CLIP).duration < cut.duration < CLIP.duration


def test_audio_without_speech_is_not_cut() -> None:
    quiet = Utterance("quiet", "text", silence(1.0))
    assert cut_to_speech(quiet) is quiet


def test_words_move_with_the_sound() -> None:
    later = between_silence(CLIP, 0.5)
    assert later.duration == pytest.approx(CLIP.duration + 1.0, abs=1e-3)
    assert later.words[0].start == pytest.approx(CLIP.words[0].start + 0.5)
    pair = joined([CLIP, ENGLISH["open-door"]], 0.25)
    start = pair.clips[1].start
    assert start == pytest.approx(CLIP.duration + 0.25, abs=1e-3)
    assert pair.words[4].start == pytest.approx(start + 0.3, abs=0.05)
    assert pair.text == "turn right and stop open the front door"
    assert not joined([CLIP, replace(CLIP, words=())], 0.25).words
