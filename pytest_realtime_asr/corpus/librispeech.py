"""Reads LibriSpeech trees: FLAC files, and a transcript file for each chapter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_realtime_asr.corpus import folders
from pytest_realtime_asr.corpus.description import (
    Description,
    Entry,
    Found,
    lines,
    parsed,
)
from pytest_realtime_asr.corpus.utterance import CorpusError
from pytest_realtime_asr.text import inputs

TRANSCRIPT = ".trans.txt"


def recognises(folder: Path) -> bool:
    """Return whether a folder has a transcript file of LibriSpeech at any depth."""
    return any(file.name.endswith(TRANSCRIPT) for file in folders.visible(folder))


def read(folder: Path) -> Found:
    """Yield an entry for each line of the transcript files."""
    files = folders.visible(folder)
    described: set[Path] = set()
    for transcript in files:
        if transcript.name.endswith(TRANSCRIPT):
            yield from _chapter(transcript, described)
    for path in files:
        if folders.is_audio(path) and path not in described:
            yield CorpusError(
                f"{path}: this audio file is in no line of a {TRANSCRIPT} file beside "
                "it; add such a line, or move the audio out of the corpus"
            )
    yield from folders.unused(
        path
        for path in files
        if not (folders.is_audio(path) or path.name.endswith(TRANSCRIPT))
    )


def _chapter(transcript: Path, described: set[Path]) -> Iterator[Entry]:
    """Yield an entry for each line of a transcript file.

    Adds the audio file of each line to ``described``.
    """

    def spoken(place: str, line: str) -> Description:
        id, _, text = line.strip().partition(" ")
        path = transcript.parent / f"{id}.flac"
        described.add(path)
        if not text:
            raise CorpusError(
                f"there is no text after {id!r}; write the id, a blank and the text"
            )
        speaker, dash, _ = id.partition("-")  # speaker-chapter-number
        return Description(place, id, path, text.strip(), speaker=speaker * bool(dash))

    return parsed(lines(transcript, inputs.text(transcript)), spoken)
