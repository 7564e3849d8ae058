"""The clips that scenarios send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.conformance import clips

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


def test_changed_clips() -> None:
    clip = SPOKEN.first
    assert SPOKEN.both().text == f"{clip.text} {SPOKEN.second.text}"
    later = clips.after_silence(clip, 1.5)
    assert later.duration == pytest.approx(clip.duration + 1.5, abs=1e-3)
    assert clips.quieter(clip).audio.array.max() < clip.audio.array.max() * 0.51
    assert sum(half.samples for half in clips.halves(clip)) == clip.audio.samples
    assert clips.nothing(0.0).duration == 0
