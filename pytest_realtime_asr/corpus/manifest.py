"""Reads manifests in NeMo's convention: JSON Lines, one utterance on each line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from pytest_realtime_asr.audio import length
from pytest_realtime_asr.corpus import language
from pytest_realtime_asr.corpus.places import Found, at
from pytest_realtime_asr.corpus.utterance import (
    CorpusError,
    FileSpan,
    Utterance,
    Word,
)
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

_LARGEST = 2**30  # bytes that a manifest may have
_DURATION_SLACK = 0.1  # s by which ``duration`` may differ from the file
_WORD_SLACK = 0.02  # s by which a rounded end of a word may exceed the audio


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
    id: str | int | None = None
    language: str | None = None
    lang: str | None = None
    source_lang: str | None = None
    speaker: str | int | None = None
    words: tuple[_Timed, ...] = ()


def read(path: Path) -> Found:
    """Yield each utterance of a manifest with the place of its line."""
    whole = inputs.utf8(inputs.content(path, most=_LARGEST), path)
    for number, row in enumerate(whole.encode().splitlines(), 1):
        if row.strip():
            place = f"{path}:{number}"
            with at(place):
                utterance = _utterance(_decode(row), path.parent)
            yield place, utterance


def _decode(row: bytes) -> _Line:
    try:
        with inputs.reading():
            return msgspec.json.decode(row, type=_Line)
    except InputError as error:
        raise CorpusError(
            f"{error}; give one JSON object on each line, with audio_filepath, text "
            "and duration"
        ) from error


def _utterance(line: _Line, folder: Path) -> Utterance:
    path = folder / line.audio_filepath
    source = _source(path, line.offset, line.duration)
    utterance = Utterance(
        id=path.stem if line.id is None else str(line.id),
        text=line.text,
        source=source,
        words=tuple(Word(word.word, word.start, word.end) for word in line.words),
        language=_language(line),
        speaker="" if line.speaker is None else str(line.speaker),
    )
    return replace(utterance, words=_inside(utterance.words, utterance.duration))


def _language(line: _Line) -> str:
    """Return the tag of the language of a line, "" if it states none.

    Raises `CorpusError` for an unknown language, and if two fields differ.
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


def _source(path: Path, offset: float | None, stated: float | None) -> Path | FileSpan:
    """Return the file, or a span of the file if an offset (even 0) is given."""
    seconds = length(path)
    if offset is None:
        if stated is not None and abs(stated - seconds) > _DURATION_SLACK:
            raise CorpusError(
                f"duration is {stated:g} s, but {path} lasts {seconds:.3f} s; correct "
                "the duration, or give an offset to select a part of the file"
            )
        return path
    stop = seconds if stated is None else offset + stated
    if not (0 <= offset < min(stop, seconds) and stop <= seconds + _DURATION_SLACK):
        raise CorpusError(
            f"offset and duration select {offset:g} to {stop:g} s, but {path} lasts "
            f"{seconds:.3f} s; select a part of the file"
        )
    return FileSpan(path, offset, min(stop, seconds))


def _inside(words: tuple[Word, ...], seconds: float) -> tuple[Word, ...]:
    """Return the words; an end that rounding put after the audio is corrected.

    Raises `CorpusError` for a word that is not inside the audio.
    """
    for word in words:
        if word.start >= seconds or word.end > seconds + _WORD_SLACK:
            raise CorpusError(
                f"the word {word.text!r} from {word.start:g} to {word.end:g} s is not "
                f"inside the {seconds:.3f} s of audio; give the times of words in "
                "seconds from the start of the utterance"
            )
    return tuple(replace(word, end=min(word.end, seconds)) for word in words)
