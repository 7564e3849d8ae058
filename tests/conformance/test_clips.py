"""The clips that scenarios send."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import from_float, silence
from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.corpus.joined import Joined
from pytest_realtime_asr.corpus.utterance import Word

SPOKEN = clips.choose(corpus.load("bundled:english"))


def test_clips_are_the_shortest_with_different_texts() -> None:
    lengths = [each.duration for each in SPOKEN.candidates]
    assert lengths == sorted(lengths)
    assert len({each.text for each in SPOKEN.candidates}) == len(lengths)
    preferred = SPOKEN.prefer([SPOKEN.candidates[3].id, SPOKEN.candidates[1].id])
    assert preferred.first is SPOKEN.candidates[3]
    assert preferred.second is SPOKEN.candidates[1]
    with pytest.raises(ValueError, match="no utterance with a reference transcript"):
        clips.choose(corpus.load("bundled:odd").map(lambda u: replace(u, text="")))


@pytest.mark.parametrize("seconds", [0.1, 2.0, 35.0])
def test_speech_of_a_given_length(seconds: float) -> None:
    assert SPOKEN.lasting(seconds).duration == pytest.approx(seconds, abs=1e-4)


def test_long_speech_consists_of_whole_clips_without_repetition() -> None:
    clips_of: dict[float, list[str]] = {}
    for seconds in (10.0, 35.0):
        speech = SPOKEN.lasting(seconds)
        assert isinstance(speech, Joined)
        clips_of[seconds] = [each.utterance.id for each in speech.clips]
        assert speech.text == " ".join(each.utterance.text for each in speech.clips)
        assert speech.words[-1].end <= seconds
    assert len(set(clips_of[35.0])) == len(clips_of[35.0])
    assert clips_of[35.0][0] == clips_of[10.0][0] == SPOKEN.first.id
    one = clips.choose(Corpus("one", (SPOKEN.first,)))
    assert one.lasting(10.0).duration == pytest.approx(10.0, abs=1e-4)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("seconds", [9.85, 12.0, 20.0])
def test_speech_of_one_long_clip_has_the_words_of_its_audio(
    seconds: float, timed: bool
) -> None:
    words = tuple(Word(f"word{n}", n, n + 1.0) for n in range(math.floor(seconds)))
    tone = 0.1 * np.sin(np.arange(round(16000 * seconds)) / 10)
    clip = Utterance(
        "long",
        " ".join(word.text for word in words),
        from_float(tone, 16000),
        words=words if timed else (),
    )
    speech = clips.choose(Corpus("long", (clip,))).lasting(10.0)
    assert speech.duration == pytest.approx(10.0, abs=1e-4)
    kept = speech.text.split()
    assert kept == [word.text for word in words[: len(kept)]]
    assert len(kept) in ((9, 10) if timed else range(7, 11))
    assert all(word.end <= 10.0 for word in speech.words)


def test_comparisons_use_many_clips_but_not_much_audio() -> None:
    assert len(SPOKEN.many) == clips.MOST
    assert SPOKEN.many[: clips.FEW] == SPOKEN.few
    long = Corpus(
        "long",
        tuple(
            Utterance(str(number), f"text {number}", silence(30.0))
            for number in range(clips.MOST)
        ),
    )
    assert len(clips.choose(long).many) == clips.FEW


@pytest.mark.parametrize("timed", [True, False])
def test_the_words_of_speech_of_a_given_length(timed: bool) -> None:
    known = tuple(e if timed else replace(e, words=()) for e in SPOKEN.candidates)
    spoken = clips.Clips(known, known)
    speech = spoken.lasting(9.0)
    first = SPOKEN.first
    start = first.speech_start or 0.0
    assert speech.text == " ".join(word.text for word in speech.words)
    assert speech.text.startswith(f"{first.text} {SPOKEN.second.text}")
    assert speech.words[-1].end <= 9.0
    ends = [word.end - start for word in first.words]
    assert [word.end for word in speech.words][: len(ends)] == pytest.approx(
        ends, abs=1e-3 if timed else 0.4
    )
    long = spoken.lasting(35.0)
    assert long.text == " ".join(word.text for word in long.words)


def test_quiet_noise_is_quiet_and_always_the_same() -> None:
    noise = clips.quiet_noise(3.0)
    assert noise.duration == 3.0
    assert noise.text == ""
    level = 10 * np.log10(np.mean(np.square(noise.audio.array / 32768)))
    assert level == pytest.approx(-60.0, abs=0.1)
    assert noise == clips.quiet_noise(3.0)


def test_clips_are_delayed_made_quieter_and_divided() -> None:
    clip = SPOKEN.first
    assert SPOKEN.both().text == f"{clip.text} {SPOKEN.second.text}"
    later = clips.after_silence(clip, 1.5)
    assert later.duration == pytest.approx(clip.duration + 1.5, abs=1e-3)
    assert clips.quieter(clip).audio.array.max() < clip.audio.array.max() * 0.51
    assert sum(half.samples for half in clips.halves(clip)) == clip.audio.samples
    assert clips.nothing(0.0).duration == 0
