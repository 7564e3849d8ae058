"""Kaldi data folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.corpus import CorpusError, FileSpan, load
from tests.corpus.sounds import put, put_text, tone


def data(folder: Path, recordings: str, **files: str) -> Path:
    put(folder / "audio" / "r1.flac", tone(2.0))
    put(folder / "audio" / "r 2.wav")
    put_text(folder / "wav.scp", *recordings.splitlines())
    for name, content in files.items():
        put_text(folder / name, *content.splitlines())
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        load(folder)
    return str(caught.value)


def test_recordings(tmp_path: Path) -> None:
    folder = data(
        tmp_path,
        "u1 audio/r1.flac\nu2\taudio/r 2.wav ",
        text="u1 GO  FORWARD\nu2",
        utt2spk="u1 ann\nu2 bob",
        utt2lang="u1 en",
    )
    one, two = load(folder)
    assert (one.id, one.text, one.speaker, one.language) == (
        "u1",
        "GO  FORWARD",
        "ann",
        "en",
    )
    assert one.source == tmp_path / "audio" / "r1.flac"
    assert (two.id, two.text, two.speaker, two.language) == ("u2", "", "bob", "")
    assert two.duration == 1


def test_segments(tmp_path: Path) -> None:
    folder = data(
        tmp_path,
        "r1 audio/r1.flac\nunused x.sph|",
        segments="u2 r1 0.5 1.25\nu1 r1 1.5 -1",
        text="u1 go\nu2 stop",
    )
    path = tmp_path / "audio" / "r1.flac"
    assert [(each.id, each.text, each.source) for each in load(folder)] == [
        ("u2", "stop", FileSpan(path, 0.5, 1.25)),
        ("u1", "go", FileSpan(path, 1.5, 2.0)),
    ]


@pytest.mark.parametrize(
    ("recording", "what"),
    [
        (
            "sph2pipe -f wav x.sph |",
            "wav.scp:1: 'u1' is a command (sph2pipe -f wav x.sph |), which is not run; "
            "run it yourself (sph2pipe -f wav x.sph > u1.wav), and give the path of "
            "its output",
        ),
        ("raw.ark:1204", "wav.scp:1: 'u1' is no audio file (raw.ark:1204); copy the"),
        ("-", "wav.scp:1: 'u1' is no audio file (-); copy the audio to a file"),
        ("", "wav.scp:1: 'u1' is no audio file (nothing); copy the audio to a file"),
        ("audio/x.wav", "audio/x.wav: there is no such file or folder; check the path"),
    ],
)
def test_recording_that_is_not_a_file(
    tmp_path: Path, recording: str, what: str
) -> None:
    said = refusal(data(tmp_path, f"u1 {recording}", text="u1 go"))
    assert said.startswith(f"{tmp_path / 'wav.scp'}:1: ")
    assert what in said


@pytest.mark.parametrize(
    ("segment", "what"),
    [
        ("u1 r9 0 1", "the recording 'r9' has no line in wav.scp; add such a line"),
        ("u1 r1 0", "is not a segment (not enough values to unpack"),
        ("u1 r1 0 x", "is not a segment ('x' is not a number"),
        ("u1 r1 1 3", "offset and duration select 1 to 3 s, but "),
        ("u1 r1 1 0.5", "offset and duration select 1 to 0.5 s, but "),
    ],
)
def test_wrong_segment(tmp_path: Path, segment: str, what: str) -> None:
    said = refusal(data(tmp_path, "r1 audio/r1.flac", segments=segment, text="u1 go"))
    assert said.startswith(f"{tmp_path / 'segments'}:1: {what}")


def test_text_and_audio_that_do_not_fit(tmp_path: Path) -> None:
    folder = data(tmp_path, "u1 audio/r1.flac\nu2 audio/r1.flac", text="u1 a\nu3 b")
    assert refusal(folder) == (
        f"{tmp_path}: 2 problems; correct these entries, or remove them:\n"
        f"  {tmp_path / 'wav.scp'}:2: 'u2' has no line in {tmp_path / 'text'}; add "
        "such a line (the id and the transcript), or remove the line of 'u2' here\n"
        f"  {tmp_path / 'text'}:2: 'u3' has no line in {tmp_path / 'wav.scp'}; add "
        "such a line, or remove the line of 'u3' here"
    )


def test_id_that_occurs_twice(tmp_path: Path) -> None:
    folder = data(tmp_path, "u1 audio/r1.flac", text="u1 a\nu1 b")
    path = tmp_path / "text"
    assert refusal(folder).startswith(f"{path}:2: 'u1' is already in {path}:1; ")


def test_no_text(tmp_path: Path) -> None:
    folder = data(tmp_path, "u1 audio/r1.flac")
    assert refusal(folder).startswith(f"{tmp_path / 'text'}: there is no such file")
