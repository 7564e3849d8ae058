"""Lists files of a folder, for the corpus formats that search folders for audio."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from pytest_realtime_asr.audio.files import DECODABLE, UNDECODABLE, undecodable
from pytest_realtime_asr.corpus import corpus_file
from pytest_realtime_asr.corpus.description import Entry, PassedOver
from pytest_realtime_asr.corpus.utterance import CorpusError


def visible(folder: Path) -> list[Path]:
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


def has(folder: Path, name: str) -> bool:
    """Return whether a folder has an accessible file or folder of this name."""
    return os.path.exists(folder / name)  # unlike Path.exists, it never raises


def is_audio(path: Path) -> bool:
    """Return whether the suffix of a file names audio that can be decoded."""
    return path.suffix.lower() in DECODABLE


def unused(files: Iterable[Path]) -> Iterator[Entry]:
    """Yield an entry for each of ``files``, which are not used by a corpus format.

    The entry for an audio file that cannot be decoded is a `CorpusError`. A file
    ``corpus.toml`` gets no entry.
    """
    for path in files:
        if path.name == corpus_file.NAME:
            continue
        if path.suffix.lower() in UNDECODABLE:
            yield CorpusError(str(undecodable(path)))
        else:
            yield PassedOver(path, "neither audio nor text")
