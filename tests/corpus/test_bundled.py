"""The bundled corpora: their manifests agree with their audio."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

import pytest_realtime_asr
from tests.support.paths import ROOT

CORPORA = Path(pytest_realtime_asr.__file__).parent / "corpus" / "bundled"
RECIPE = ROOT / "tools" / "make_corpora.py"
NAMES = ("english", "languages")
PAD = 0.3
FADE = 0.1


def lines(name: str) -> list[dict[str, Any]]:
    rows = (CORPORA / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(row) for row in rows]


def pcm(line: dict[str, Any]) -> npt.NDArray[np.int16]:
    samples, rate = soundfile.read(CORPORA / line["audio_filepath"], dtype="int16")
    assert rate == 16_000
    assert samples.ndim == 1
    return np.asarray(samples, np.int16)


def dbfs(value: float) -> float:
    return float(20 * np.log10(value / 32768))


@pytest.mark.parametrize("name", NAMES)
def test_each_clip_has_one_line_and_each_line_one_clip(name: str) -> None:
    found = lines(name)
    ids = [line["id"] for line in found]
    assert len(set(ids)) == len(ids)
    assert {line["audio_filepath"] for line in found} == {
        path.relative_to(CORPORA).as_posix() for path in CORPORA.glob(f"{name}/*.flac")
    }
    for line in found:
        assert line["audio_filepath"] == f"{name}/{line['id']}.flac"
        assert line["language"]
        assert line["speaker"]


@pytest.mark.parametrize("name", NAMES)
def test_audio_has_the_expected_length_and_level(name: str) -> None:
    for line in lines(name):
        samples = pcm(line).astype(float)
        assert len(samples) / 16_000 == line["duration"]
        assert dbfs(np.abs(samples).max()) == pytest.approx(-4, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_speech_has_near_silence_at_both_ends(name: str) -> None:
    for line in lines(name):
        samples = pcm(line).astype(float)
        speech = np.abs(samples) > 0.03 * np.abs(samples).max()
        for end in (samples, samples[::-1]):
            pad = end[: round((PAD - FADE) * 16_000)]
            assert -90 < dbfs(float(np.sqrt((pad**2).mean()))) < -80, line["id"]
        first, last = np.flatnonzero(speech)[[0, -1]] / 16_000
        assert PAD - 0.05 < first < PAD + 0.15, line["id"]
        assert PAD - 0.05 < line["duration"] - last < PAD + 0.25, line["id"]


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_plain_words(name: str) -> None:
    for line in lines(name):
        text = line["text"]
        assert text == unicodedata.normalize("NFC", " ".join(text.lower().split()))
        kinds = {unicodedata.category(character)[0] for character in text}
        assert kinds <= {"L", "M", "Z"}, line["id"]


def test_every_english_word_has_its_time() -> None:
    for line in lines("english"):
        words = line["words"]
        assert [word["word"] for word in words] == line["text"].split()
        times = [time for word in words for time in (word["start"], word["end"])]
        assert times == sorted(times), line["id"]
        assert all(word["start"] < word["end"] for word in words), line["id"]
        assert times[0] == pytest.approx(PAD, abs=0.001)
        assert line["duration"] - times[-1] == pytest.approx(PAD, abs=0.001)


def test_english_is_varied_and_short_enough_for_real_time() -> None:
    found = lines("english")
    assert len(found) >= 24
    assert len({line["speaker"] for line in found}) >= 4
    assert {"go-forward", "turn-left"} <= {line["id"] for line in found}
    assert sum(line["id"].startswith("digits-") for line in found) >= 5
    assert sum(line["id"].startswith("prose-") for line in found) >= 8
    assert 60 <= sum(line["duration"] for line in found) <= 75
    assert max(line["duration"] for line in found) > 6


def test_languages_are_many_and_in_their_own_scripts() -> None:
    found = lines("languages")
    assert len({line["language"] for line in found} - {"en"}) >= 8
    letters = {
        unicodedata.name(character).split()[0]
        for line in found
        for character in line["text"]
        if character.isalpha()
    }
    scripts = {"LATIN", "GREEK", "CYRILLIC", "ARABIC", "DEVANAGARI", "HIRAGANA", "CJK"}
    assert scripts | {"HANGUL"} == letters


def test_the_bundled_files_are_small() -> None:
    files = [path for path in CORPORA.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000


def test_recipe_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, RECIPE, "--check"],
        env={"PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "flite is not installed" in done.stderr
    assert "apt-get install flite espeak-ng" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() != "x86_64"
    or not (shutil.which("flite") and shutil.which("espeak-ng")),
    reason="needs flite and espeak-ng on the kind of machine that made the corpora",
)
def test_recipe_gives_the_same_audio_again() -> None:
    done = subprocess.run(
        [sys.executable, RECIPE, "--check"], capture_output=True, text=True
    )
    if "warning:" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout
