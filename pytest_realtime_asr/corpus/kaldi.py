"""Reads Kaldi data folders.

The files ``wav.scp`` and ``text`` are needed; ``segments``, ``utt2spk`` and
``utt2lang`` are optional. A path in ``wav.scp`` is relative to the folder. A command in
``wav.scp`` is never run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pytest_realtime_asr.corpus import folders
from pytest_realtime_asr.corpus.description import (
    LARGEST,
    Description,
    Found,
    at,
    lines,
    parsed,
)
from pytest_realtime_asr.corpus.utterance import CorpusError
from pytest_realtime_asr.text import inputs

_RECORDINGS, _SEGMENTS, _TEXTS = "wav.scp", "segments", "text"
_ARCHIVE = re.compile(r"\.ark(:\d+)?(\[.*\])?$")
_TO_THE_END = -1.0  # the end of a segment that lasts as long as its recording


class _Value(NamedTuple):
    """The text of a line after its id, and the place of the line."""

    place: str
    text: str


_Table = Mapping[str, _Value]


class _Part(NamedTuple):
    """An utterance as a part of a recording; times are in seconds."""

    id: str
    recording: str
    offset: float | None = None
    duration: float | None = None


def recognises(folder: Path) -> bool:
    """Return whether a folder has a file ``wav.scp``."""
    return folders.has(folder, _RECORDINGS)


def read(folder: Path) -> Found:
    """Yield an entry for each utterance of a Kaldi folder.

    The lines of ``segments`` are the utterances. Without this file, the lines of
    ``wav.scp`` are the utterances.
    """
    recordings, texts = _table(folder / _RECORDINGS), _table(folder / _TEXTS)
    speakers, languages = _optional(folder, "utt2spk"), _optional(folder, "utt2lang")
    segmented = folders.has(folder, _SEGMENTS)
    rows = folder / (_SEGMENTS if segmented else _RECORDINGS)
    described: set[str] = set()

    def utterance(place: str, line: str) -> Description:
        described.add(_id(line))
        part = _segment(line) if segmented else _Part(_id(line), _id(line))
        if part.id not in texts:
            raise CorpusError(
                f"{part.id!r} has no line in {folder / _TEXTS}; add such a line (the "
                f"id and the transcript), or remove the line of {part.id!r} here"
            )
        return Description(
            place,
            part.id,
            folder / _source(part.recording, recordings),
            texts[part.id].text,
            part.offset,
            part.duration,
            speaker=speakers[part.id].text if part.id in speakers else "",
            language=languages[part.id].text if part.id in languages else "",
        )

    yield from parsed(lines(rows, inputs.text(rows, most=LARGEST)), utterance)
    for id, (place, _) in texts.items():
        if id not in described:
            yield CorpusError(
                f"{place}: {id!r} has no line in {rows}; add such a line, or remove "
                f"the line of {id!r} here"
            )


def _segment(line: str) -> _Part:
    """Return the part that a line of ``segments`` describes. Raises `CorpusError`."""
    try:
        id, recording, *times = line.split()
        start, end = (inputs.number(time, _TO_THE_END) for time in times[:2])
    except ValueError as error:
        raise CorpusError(
            f"is not a segment ({error}); write its id, the id of the recording, and "
            "its start and end in seconds"
        ) from None
    duration = None if end == _TO_THE_END else end - start
    return _Part(id, recording, start, duration)


def _source(id: str, recordings: _Table) -> str:
    """Return the path of a recording. Raises `CorpusError` if it has none."""
    if id not in recordings:
        raise CorpusError(
            f"the recording {id!r} has no line in {_RECORDINGS}; add such a line, or "
            "remove this segment"
        )
    place, source = recordings[id]
    with at(place):
        if source.endswith("|"):
            raise CorpusError(
                f"{id!r} is a command ({source}), which is not run; run it yourself "
                f"({source.rstrip('| ')} > {id}.wav), and give the path of its output"
            )
        if not source or source == "-" or _ARCHIVE.search(source):
            raise CorpusError(
                f"{id!r} is no audio file ({source or 'nothing'}); copy the audio to a "
                "file with Kaldi's wav-copy, and give the path of this file"
            )
    return source


def _table(path: Path) -> _Table:
    """Return the lines of a file as a mapping from the id at the start of each line.

    Raises `CorpusError` if an id occurs twice, and `InputError` if the file cannot be
    read.
    """
    found: dict[str, _Value] = {}
    for place, line in lines(path, inputs.text(path, most=LARGEST)):
        id, *rest = line.split(maxsplit=1)
        if id in found:
            raise CorpusError(
                f"{place}: {id!r} is already in {found[id].place}; remove one of the "
                "two lines"
            )
        found[id] = _Value(place, rest[0].strip() if rest else "")
    return found


def _optional(folder: Path, name: str) -> _Table:
    return _table(folder / name) if folders.has(folder, name) else {}


def _id(line: str) -> str:
    return line.split(maxsplit=1)[0]
