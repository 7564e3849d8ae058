"""All problems of a corpus are reported at once, and doubtful audio is noted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pytest_realtime_asr.audio import Audio, AudioError, silence
from pytest_realtime_asr.corpus import CorpusError, load, load_all
from tests.corpus.sounds import RATE, put, put_text, tone


def spoken(folder: Path, name: str, audio: Audio | None = None) -> Path:
    put_text((folder / name).with_suffix(".txt"), "go")
    return put(folder / name, audio)


def refusal(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        load(path)
    return str(caught.value)


def test_all_problems_are_named(tmp_path: Path) -> None:
    spoken(tmp_path, "a.wav").write_bytes(b"RIFF")
    spoken(tmp_path, "b.wav")
    spoken(tmp_path, "c.wav", silence(1))
    put(tmp_path / "d.wav")
    (tmp_path / "e.m4a").write_bytes(b"m4a")
    put_text(tmp_path / "f.txt", "alone")
    first, *lines = refusal(tmp_path).splitlines()
    assert first == (f"{tmp_path}: 5 problems; correct these entries, or remove them:")
    assert [line.strip().partition(": ")[0] for line in lines] == [
        str(tmp_path / name) for name in ("a.wav", "d.wav", "e.m4a", "f.txt", "c.wav")
    ]


def test_ten_problems_are_named(tmp_path: Path) -> None:
    rows = [{"audio_filepath": f"{n}.wav", "text": "go"} for n in range(13)]
    path = put_text(tmp_path / "clips.jsonl", *map(json.dumps, rows))
    first, *lines = refusal(path).splitlines()
    assert first.startswith(f"{path}: 13 problems; ")
    assert len(lines) == 11
    assert lines[9].startswith(f"  {path}:10: {tmp_path / '9.wav'}: there is no such")
    assert lines[10] == "  and 3 more"


def test_speech_that_cannot_be_heard(tmp_path: Path) -> None:
    path = spoken(tmp_path, "a.wav", tone(peak=0.001))
    assert refusal(tmp_path) == (
        f"{path}: has no speech (nothing is louder than -60 dB of full scale), but "
        "has a reference transcript; amplify the audio, or leave the transcript empty "
        "if nothing is said"
    )
    path.with_suffix(".txt").write_text("")
    assert load(tmp_path)["a"].audio == tone(peak=0.001)


def test_quiet_speech_is_sent(tmp_path: Path) -> None:
    spoken(tmp_path, "a.wav", tone(peak=0.01))
    assert load(tmp_path).notes == ()


def clipped(path: Path) -> Path:
    put_text(path.with_suffix(".txt"), "go")
    steps = np.clip(tone().array * 4.0, -32768, 32767).astype(np.int16)
    soundfile.write(path, steps, RATE, subtype="PCM_16")
    return path


def test_doubtful_audio_is_noted(tmp_path: Path) -> None:
    path = clipped(tmp_path / "a.wav")
    spoken(tmp_path, "b.wav")
    some = load(tmp_path)
    (note,) = some.notes
    assert note.startswith(f"{path}: ")
    assert "of its samples are clipped at full scale" in note
    assert some["a"].doubts == (note,)
    assert some["b"].doubts == ()


def test_ten_utterances_with_doubtful_audio_are_noted(tmp_path: Path) -> None:
    for number in range(12):
        clipped(tmp_path / f"{number:02}.wav")
    notes = load(tmp_path).notes
    assert len(notes) == 11
    assert notes[-1] == f"{tmp_path}: 2 more utterances have doubtful audio"


def test_audio_after_the_first_ten_minutes_is_checked_when_it_is_used(
    tmp_path: Path,
) -> None:
    spoken(tmp_path, "a.wav", tone(599.5))
    spoken(tmp_path, "b.wav", silence(1))
    some = load(tmp_path)
    with pytest.raises(AudioError, match=r"b\.wav: has no speech"):
        _ = some["b"].audio


def test_files_that_are_not_used_are_counted(tmp_path: Path) -> None:
    spoken(tmp_path, "a.wav")
    for name in ("LICENSE", "b.jpg", "c.json", "sub/d.pdf", ".hidden"):
        put_text(tmp_path / name)
    assert load(tmp_path).notes == (
        f"{tmp_path}: 4 files were not used (neither audio nor text): LICENSE, "
        "b.jpg, c.json and 1 more",
    )


def test_folder_without_a_usable_file_is_refused(tmp_path: Path) -> None:
    put_text(tmp_path / "clips.jsonl")
    assert refusal(tmp_path) == (
        f"{tmp_path}: 1 file was not used (neither audio nor text): clips.jsonl; "
        "the corpus has no utterance; give at least one utterance, or the path of "
        "a manifest"
    )


def test_texts_in_utf_16(tmp_path: Path) -> None:
    path = spoken(tmp_path, "a.wav").with_suffix(".txt")
    path.write_text("grüß dich\n", encoding="utf-16")
    assert load(tmp_path)["a"].text == "grüß dich"


def test_notes_of_several_corpora(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        spoken(folder, f"{folder.name}.wav")
        put_text(folder / "LICENSE")
    notes = load_all([one, two]).notes
    assert notes == load(one).notes + load(two).notes
    assert load_all([one, two]).anonymous().notes == (
        "number of hidden notes on the files of the corpus: 2",
    )
