"""The clips of a page: each once, and not too many."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import soundfile

from pytest_realtime_asr import corpus
from pytest_realtime_asr.report.page import clips
from tests.support.pages import blocks
from tests.support.servers import CLIP, SOUND


def test_each_clip_occurs_once() -> None:
    made = clips.Clips()
    (block,) = made.blocks([CLIP, CLIP, replace(CLIP, id="same-sound")])
    ((kind, value),) = blocks(block)
    assert (kind, value["audio"]) == ("clip", SOUND.digest)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(value["ogg"])))
    assert abs(len(samples) / rate - SOUND.seconds) < 0.05
    assert len(value["ogg"]) < len(SOUND.array) * 2 / 3  # of 16 bits each
    assert list(made.blocks([CLIP])) == []


def test_no_more_clips_than_allowed() -> None:
    found = list(clips.Clips(2).blocks(corpus.load("bundled:english")))
    assert len(found) == 2
