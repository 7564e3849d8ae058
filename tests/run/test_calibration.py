"""The calibration: the ideal times, and the measured error of the client."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.audio import join, silence, write
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.corpus import Utterance, Word, load
from pytest_realtime_asr.metrics import measure
from pytest_realtime_asr.report.calibration import line, table
from pytest_realtime_asr.run.calibration import (
    FINAL_DELAY,
    WORD_DELAY,
    calibrate,
    converse,
    errors,
    ideal,
)
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Timeline,
)
from tests.support.servers import VLLM

MS = 1_000_000
RATE, CHUNK = 16_000, 1_600
CLIP = Utterance(
    "clip", "go forward", silence(1), (Word("go", 0.2, 0.4), Word("forward", 0.5, 0.9))
)


def seen(first: int, second: int, final: int) -> Timeline:
    """Return the timeline of 1 s of audio, due from 1000 ms on; times are in ms."""
    dues = [(1000 + 100 * n) * MS for n in range(10)]
    events: list[Event] = [
        Heard(0, CHUNK * n, due, due, due, 2 * CHUNK) for n, due in enumerate(dues, 1)
    ]
    events += [
        Partial(0, first * MS, 0, "go"),
        Partial(0, second * MS, 2, " forward"),
        Commit(0, dues[-1], dues[-1], dues[-1]),
        Final(0, final * MS, "go forward"),
    ]
    return Timeline(RATE, 0, 0, tuple(events), End(Ending.CLOSED_BY_US, 0))


def test_an_ideal_client_measures_the_delays() -> None:
    # The words end in the frames that are due at 1300 and at 1800.
    known = measure(ideal(seen(1, 2, 3), CLIP), CLIP)
    assert known["first_correct_word"] == WORD_DELAY
    assert known["word_first_emission"] == WORD_DELAY
    assert known["final_from_commit"] == FINAL_DELAY
    at = [at // MS for at, _ in ideal(seen(1, 2, 3), CLIP).hypotheses()]
    assert at == [1600, 2100, 2150]


def test_no_word_comes_after_the_final() -> None:
    late = replace(CLIP, words=(Word("go", 0.2, 0.4), Word("forward", 0.5, 1.0)))
    at = [at // MS for at, _ in ideal(seen(1, 2, 3), late).hypotheses()]
    assert at == [1600, 2150, 2150]  # 1900 + 300 is after 1900 + 250


def test_the_error_is_the_measured_minus_the_ideal_latency() -> None:
    held = [(seen(1600 + late, 2100 + late, 2150 + late), CLIP) for late in (2, 3, 10)]
    found = errors(held)
    assert (found["final_from_commit"].bias, found["final_from_commit"].spread) == (
        3,
        7,
    )
    assert found["word_settled"].bias == 3
    assert found["partial_interval"].bias == 0
    assert "connect" not in found
    assert "endpoint_delay" not in found  # nobody detected a turn


@pytest.mark.slow
def test_this_machine_is_calibrated(loop: Loop) -> None:
    found = calibrate(loop, VLLM, sessions=4)
    final = found.errors["final_from_commit"]
    assert final.n == 4
    # Whoever is late is late by more than nothing, and by less than what is measured.
    assert -WORD_DELAY / 10 < final.bias < FINAL_DELAY
    assert found.worst in found.errors
    assert len(table(found)) == len(found.errors) + 3
    assert line(found).startswith("calibrated ")


def scattered(folder: Path, *, seed: int, clips: int) -> Path:
    """Write a manifest of clips with words from the corpus at random times."""
    rng = random.Random(seed)
    found = [
        (word.text, each.audio.resample(RATE).cut(word.start, word.end))
        for each in load("bundled:english")
        for word in each.words
        if word.end - word.start > 0.25
    ]
    rows = []
    for number in range(clips):
        parts, words, at = [], [], 0.0
        for text, sound in rng.sample(found, 4):
            # No word ends at the end of a chunk, where 5 ms would be a whole chunk.
            end = at + sound.seconds + rng.uniform(0.2, 0.7)
            end = end // 0.1 * 0.1 + 0.05
            gap = silence(end - at - sound.seconds, rate=RATE)
            start = at + gap.seconds
            at = start + sound.seconds
            parts += [gap, sound]
            words.append({"word": text, "start": start, "end": at})
        whole = join(*parts, silence(0.3, rate=RATE))
        write(folder / f"{number}.wav", whole)
        row = {
            "id": f"scattered-{number}",
            "audio_filepath": f"{number}.wav",
            "duration": whole.seconds,
            "text": " ".join(str(word["word"]) for word in words),
            "words": words,
            "lang": "en",
        }
        rows.append(json.dumps(row))
    manifest = folder / "scattered.jsonl"
    manifest.write_text("\n".join(rows))
    return manifest


@pytest.mark.slow
def test_a_random_schedule_is_measured_within_the_calibrated_error(
    loop: Loop, tmp_path: Path
) -> None:
    calibrated = calibrate(loop, VLLM, sessions=8).errors
    manifest = scattered(tmp_path, seed=7, clips=6)
    held = converse(loop, VLLM, str(manifest), sessions=8)
    for timeline, utterance in held:
        assert timeline.text == utterance.text
    found = errors(held)
    assert found.keys() == calibrated.keys()
    for name, error in found.items():
        known = calibrated[name]
        # The machine may be twice as slow from one minute to the next.
        within = 2 * (known.spread + abs(known.bias)) + error.spread
        assert abs(error.bias - known.bias) <= within, (name, error, known)
