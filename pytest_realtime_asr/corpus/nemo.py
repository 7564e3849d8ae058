"""Reads and writes manifests of NeMo: JSON Lines, with one utterance on each line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath

import msgspec

from pytest_realtime_asr.audio import write as write_audio
from pytest_realtime_asr.corpus import language, lhotse
from pytest_realtime_asr.corpus.description import (
    LARGEST,
    Description,
    Entry,
    Found,
    lines,
    parsed,
)
from pytest_realtime_asr.corpus.utterance import CorpusError, Utterance, Word
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

NAME = "manifest.jsonl"


class _Timed(msgspec.Struct):
    word: str
    start: float
    end: float


class _Line(msgspec.Struct):
    """A line of a manifest; other fields are ignored."""

    audio_filepath: str
    text: str
    duration: float | None = None
    offset: float | None = None
    channel_selector: int | list[int] | str | None = None
    id: str | int | None = None
    language: str | None = None
    lang: str | None = None
    source_lang: str | None = None
    speaker: str | int | None = None
    words: tuple[_Timed, ...] = ()


def read(path: Path) -> Found:
    """Yield an entry for each line of a manifest.

    A line without an id gets the name of its audio file, without the suffix, as its id.
    If several lines would get the same id, their ids also have the folder of the file,
    the selected part or the channel. Raises `CorpusError` for a Lhotse manifest and for
    a JSON array.
    """
    rows = list(lines(path, inputs.text(path, most=LARGEST)))
    if rows:
        first, row = rows[0]
        lhotse.refuse(path, row)
        if row.lstrip().startswith("["):
            raise CorpusError(
                f"{first}: is a JSON array; give one JSON object on each line (jq -c "
                f"'.[]' {path.name} > lines.jsonl)"
            )
    entries = list(parsed(rows, lambda place, row: _description(place, row, path)))
    return _with_ids(entries, path.parent)


def write(folder: Path, utterances: Iterable[Utterance]) -> None:
    """Write utterances to a folder as numbered WAV files, with the manifest `NAME`.

    Raises `AudioError` if audio cannot be decoded or written.
    """
    rows = []
    for number, each in enumerate(utterances):
        path = folder / f"{number}.wav"
        write_audio(path, each.audio)
        words = tuple(_Timed(word.text, word.start, word.end) for word in each.words)
        language = each.language or None
        rows.append(_Line(path.name, each.text, language=language, words=words))
    (folder / NAME).write_bytes(msgspec.json.Encoder().encode_lines(rows))


def _description(place: str, row: str, path: Path) -> Description:
    line = _decode(row)
    if line.id is not None and not str(line.id):
        raise CorpusError("the id '' is empty; give an id, or leave the field out")
    return Description(
        place,
        id="" if line.id is None else str(line.id),
        audio=path.parent / line.audio_filepath,
        text=line.text,
        offset=line.offset,
        duration=line.duration,
        channels=_channels(line.channel_selector),
        words=tuple(Word(word.word, word.start, word.end) for word in line.words),
        language=_language(line),
        speaker="" if line.speaker is None else str(line.speaker),
    )


def _decode(row: str) -> _Line:
    try:
        with inputs.reading():
            return msgspec.json.decode(row, type=_Line)
    except InputError as error:
        raise CorpusError(
            f"{error}; give one JSON object on each line, with audio_filepath, text "
            "and duration"
        ) from error


def _language(line: _Line) -> str:
    """Return the language tag of a line; "" if the line states no language.

    Raises `CorpusError` for an unknown language, and if fields name two languages.
    """
    stated = {
        name: value
        for name in ("language", "lang", "source_lang")
        if (value := getattr(line, name))
    }
    tags = {}
    for name, value in stated.items():
        try:
            tags[name] = language.parse(value)
        except InputError as error:
            raise CorpusError(f"{name}: {error}") from error
    if len(set(tags.values())) > 1:
        found = " but ".join(f"{name} is {stated[name]!r}" for name in tags)
        raise CorpusError(f"{found}; keep only one of these fields")
    return next(iter(tags.values()), "")


def _channels(selector: int | list[int] | str | None) -> tuple[int, ...]:
    """Return the selected channels; an empty tuple stands for the average of all."""
    if selector is None or selector == "average":
        return ()
    wanted = [selector] if isinstance(selector, int) else selector
    if isinstance(wanted, str) or not wanted or min(wanted) < 0:
        raise CorpusError(
            f"channel_selector is {selector!r}; give one channel, counted from 0, a "
            'list of channels to average, or "average" for the average of all channels'
        )
    return tuple(wanted)


def _with_ids(entries: list[Entry], folder: Path) -> Iterator[Entry]:
    """Yield the entries; each `Description` without an id gets an id."""
    sharing: defaultdict[str, list[Description]] = defaultdict(list)
    for entry in entries:
        if isinstance(entry, Description) and not entry.id:
            sharing[entry.audio.stem].append(entry)
    for entry in entries:
        if isinstance(entry, Description) and not entry.id:
            yield replace(entry, id=_id(entry, sharing[entry.audio.stem], folder))
        else:
            yield entry


def _id(this: Description, sharing: list[Description], folder: Path) -> str:
    """Return an id for a description that has none.

    ``sharing`` are all descriptions whose audio files have the same name.
    """
    if len(sharing) == 1:
        return this.audio.stem
    id = this.audio.stem
    if len({each.audio for each in sharing}) > 1:
        inside = this.audio.is_relative_to(folder)
        path = this.audio.relative_to(folder) if inside else this.audio
        id = PurePath(path).with_suffix("").as_posix()
    if this.offset is not None:
        stop = "" if this.duration is None else _seconds(this.offset + this.duration)
        id += f"@{_seconds(this.offset)}-{stop}"
    if this.channels:
        id += f"#{'+'.join(map(str, this.channels))}"
    return id


def _seconds(value: float) -> str:
    """Return a time in seconds as a text, such as 1.25, rounded to milliseconds."""
    return f"{value:.3f}".rstrip("0").rstrip(".")
