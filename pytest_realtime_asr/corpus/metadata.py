"""Reads folders with a metadata.csv of Hugging Face (audiofolder) or LJSpeech.

Hugging Face separates the cells by commas; the header names a column ``file_name`` and
a column of texts. LJSpeech has no header; its lines are ``id|text|normalized text``,
and its audio is in the folder ``wavs``. The normalised text, which spells out numbers,
is the reference transcript.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_realtime_asr.corpus import folders, tables
from pytest_realtime_asr.corpus.description import (
    LARGEST,
    Description,
    Entry,
    Found,
    PassedOver,
    lines,
    parsed,
)
from pytest_realtime_asr.corpus.utterance import CorpusError
from pytest_realtime_asr.text import inputs

_NAME = "metadata.csv"
_WAVS = "wavs"
_FILE = "file_name"
_TEXTS = ("transcription", "transcript", "text", "sentence")


def recognises(folder: Path) -> bool:
    """Return whether a folder has a file metadata.csv."""
    return folders.has(folder, _NAME)


def read_folder(folder: Path) -> Found:
    """Yield an entry for each row of the folder's metadata.csv."""
    return read(folder / _NAME)


def read(path: Path) -> Found:
    """Yield an entry for each row, and for each audio file that no row names."""
    first = inputs.text(path, most=LARGEST).lstrip("\n").partition("\n")[0]
    described: set[Path] = set()
    for entry in _audiofolder(path) if _FILE in first else _ljspeech(path, first):
        if isinstance(entry, Description):
            described.add(entry.audio)
        yield entry
    for file in folders.visible(path.parent):
        if folders.is_audio(file) and file not in described:
            yield PassedOver(file, f"audio without a row in {path.name}")


def _audiofolder(path: Path) -> Iterator[Entry]:
    def clip(place: str, row: tables.Row) -> Description:
        if (column := next((name for name in _TEXTS if name in row), None)) is None:
            raise CorpusError(
                "there is no column of texts; the name of this column must be "
                f"{' or '.join(_TEXTS)}"
            )
        name = row[_FILE]
        id = Path(name).with_suffix("").as_posix()
        return Description(
            place,
            id,
            path.parent / name,
            row[column].strip(),
            language=row.get("language", ""),
            speaker=row.get("speaker_id", ""),
        )

    return parsed(tables.rows(path, separator=",", needed=(_FILE,)), clip)


def _ljspeech(path: Path, first: str) -> Iterator[Entry]:
    if "|" not in first:
        raise CorpusError(
            f"{path}:1: has neither a column {_FILE} (Hugging Face) nor the form "
            "id|text (LJSpeech); write one of the two"
        )
    inside = folders.has(path.parent, _WAVS)
    folder = path.parent / _WAVS if inside else path.parent

    def clip(place: str, line: str) -> Description:
        id, *texts = line.split("|")
        if not texts:
            raise CorpusError(f"there is no text after {id!r}; write id|text")
        name = id if folders.is_audio(Path(id)) else f"{id}.wav"
        text = next(filter(str.strip, reversed(texts)), "")
        return Description(place, Path(name).stem, folder / name, text.strip())

    return parsed(lines(path, inputs.text(path, most=LARGEST)), clip)
