"""The formats of corpora, and how each format is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_realtime_asr.corpus import (
    kaldi,
    lhotse,
    librispeech,
    metadata,
    mozilla,
    nemo,
    text_files,
)
from pytest_realtime_asr.corpus.description import Found


@dataclass(frozen=True, slots=True)
class Format:
    """A format of corpora.

    ``form`` is its name in messages, empty if no message names it.
    """

    form: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Found]


def _suffix(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix.lower() in suffixes


FILES = (
    Format("a NeMo manifest (.jsonl or .json)", _suffix(".jsonl", ".json"), nemo.read),
    Format("a Common Voice table (.tsv)", _suffix(".tsv"), mozilla.read),
    Format("a metadata.csv", _suffix(".csv"), metadata.read),
    Format("", _suffix(".gz"), lhotse.refuse_compressed),
)
FOLDERS = (
    Format("a Kaldi folder", kaldi.recognises, kaldi.read),
    Format("", metadata.recognises, metadata.read_folder),
    Format("", mozilla.recognises, mozilla.read_folder),
    Format("a LibriSpeech tree", librispeech.recognises, librispeech.read),
    Format(
        "a folder of audio files with a .txt file beside each",
        lambda folder: True,
        text_files.read,
    ),
)
"""The formats of folders, in the order in which they are tried.

The last format fits any folder.
"""


def of(path: Path, *, folder: bool) -> Format | None:
    """Return the format of a file or a folder, or ``None`` if it is not a corpus.

    The format follows from the names of files; no file is opened.
    """
    among = FOLDERS if folder else FILES
    return next((each for each in among if each.recognises(path)), None)


def forms() -> str:
    """Return the names of all formats, for a message."""
    return ", ".join(each.form for each in FILES + FOLDERS if each.form)
