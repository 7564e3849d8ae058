"""Folders with a metadata.csv."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.corpus import CorpusError, load
from tests.corpus.sounds import put, put_text


def refusal(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        load(path)
    return str(caught.value)


def test_audiofolder_of_hugging_face(tmp_path: Path) -> None:
    put(tmp_path / "data" / "1.wav")
    put(tmp_path / "2.flac")
    path = put_text(
        tmp_path / "metadata.csv",
        "file_name,speaker_id,transcription",
        'data/1.wav,7,"go on, now"',
        '2.flac,8,"he said ""stop"" twice"',
    )
    some = load(tmp_path)
    assert [(each.id, each.text, each.speaker) for each in some] == [
        ("data/1", "go on, now", "7"),
        ("2", 'he said "stop" twice', "8"),
    ]
    assert some.notes == ()
    assert list(load(path)) == list(some)


def test_ljspeech(tmp_path: Path) -> None:
    put(tmp_path / "wavs" / "LJ1.wav")
    put(tmp_path / "wavs" / "LJ2.wav")
    put_text(
        tmp_path / "metadata.csv",
        'LJ1|in 1455 "it" was|in fourteen fifty-five "it" was',
        "LJ2|nothing more|",
    )
    assert [(each.id, each.text) for each in load(tmp_path)] == [
        ("LJ1", 'in fourteen fifty-five "it" was'),
        ("LJ2", "nothing more"),
    ]


def test_audio_beside_the_table(tmp_path: Path) -> None:
    put(tmp_path / "a.flac")
    put_text(tmp_path / "metadata.csv", "a.flac|go")
    assert [(each.id, each.text) for each in load(tmp_path)] == [("a", "go")]


def test_audio_without_a_row_is_counted(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        put(tmp_path / f"{name}.wav")
    put_text(tmp_path / "metadata.csv", "file_name,text", "a.wav,go")
    assert load(tmp_path).notes == (
        f"{tmp_path}: 4 files were not used (audio without a row in metadata.csv): "
        "b.wav, c.wav, d.wav and 1 more",
    )


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["file_name,label", "a.wav,7"], ":2: there is no column of texts; the name"),
        (["audio,text", "a.wav,go"], ":1: has neither a column file_name (Hugging"),
        ([], ":1: has neither a column file_name (Hugging Face) nor the form id|text"),
        (["a|go", "b"], ":2: there is no text after 'b'; write id|text"),
        (["file_name,text", 'a.wav,"go" on'], ":2: ',' expected after '\"'; write"),
        (["file_name,text", "x.m4a,go"], "x.m4a: there is no such file or folder"),
    ],
)
def test_wrong_table(tmp_path: Path, lines: list[str], what: str) -> None:
    put(tmp_path / "a.wav")
    path = put_text(tmp_path / "metadata.csv", *lines)
    said = refusal(tmp_path)
    assert said.startswith(f"{path}:")
    assert what in said
