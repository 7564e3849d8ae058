"""Reads folders of audio: LibriSpeech trees, and audio files with text files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from pytest_realtime_asr.audio import length
from pytest_realtime_asr.corpus.places import Found, at
from pytest_realtime_asr.corpus.utterance import CorpusError, Utterance
from pytest_realtime_asr.text import inputs

_TRANSCRIPT = ".trans.txt"
_AUDIO = frozenset(
    {".aif", ".aiff", ".au", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".w64", ".wav"}
)


def read(folder: Path) -> Found:
    """Yield the utterances of a folder, each with the place of its description."""
    files = _visible(folder)
    tree = any(file.name.endswith(_TRANSCRIPT) for file in files)
    return _librispeech(files) if tree else _folder(folder, files)


def _visible(folder: Path) -> list[Path]:
    """Return all files below a folder except hidden ones, sorted by path.

    Raises `CorpusError` if a folder cannot be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise CorpusError(
            f"{error.filename}: {error.strerror}; make this folder readable, or move "
            "it out of the corpus"
        ) from error

    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    return sorted(found, key=Path.as_posix)


def _audio_files(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix.lower() in _AUDIO]


def _librispeech(files: list[Path]) -> Found:
    """Yield the utterance of each line of the transcript files of LibriSpeech."""
    described: set[Path] = set()
    for transcript in files:
        if transcript.name.endswith(_TRANSCRIPT):
            lines = inputs.text(transcript).split("\n")
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{transcript}:{number}"
                    with at(place):
                        utterance = _spoken(line.strip(), transcript.parent)
                    described.add(transcript.parent / f"{utterance.id}.flac")
                    yield place, utterance
    for path in _audio_files(files):
        if path not in described:
            raise CorpusError(
                f"{path}: this audio file is in no line of a {_TRANSCRIPT} file beside "
                "it; add such a line, or move the audio out of the corpus"
            )


def _spoken(line: str, folder: Path) -> Utterance:
    """Return the utterance that a line of a transcript file describes."""
    id, _, text = line.partition(" ")
    if not text:
        raise CorpusError(
            f"there is no text after {id!r}; write the id, a blank and the text"
        )
    path = folder / f"{id}.flac"
    length(path)
    speaker, dash, _ = id.partition("-")  # speaker-chapter-number
    return Utterance(id, text.strip(), path, speaker=speaker if dash else "")


def _folder(folder: Path, files: list[Path]) -> Found:
    """Yield the utterance of each audio file, with its text from a ``.txt`` file."""
    texts = {path for path in files if path.suffix.lower() == ".txt"}
    described: set[Path] = set()
    for path in _audio_files(files):
        beside = path.with_suffix(".txt")
        if beside not in texts:
            raise CorpusError(
                f"{path}: there is no {beside.name} beside this audio file; add such a "
                "file with the reference transcript (it may be empty), or give the "
                "path of a manifest instead of a folder"
            )
        text = " ".join(inputs.text(beside).split())
        with at(folder):
            length(path)
            id = path.relative_to(folder).with_suffix("").as_posix()
            utterance = Utterance(id, text, path)
        described.add(beside)
        yield str(path), utterance
    if alone := texts - described:
        raise CorpusError(
            f"{min(alone)}: there is no audio file beside this text file; add an audio "
            f"file ({' '.join(sorted(_AUDIO))}), or move the text out of the corpus"
        )
