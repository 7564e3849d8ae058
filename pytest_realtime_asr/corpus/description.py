"""The description of one utterance of a corpus, before the audio is opened.

Each format has a module that turns files into descriptions without opening audio.
`collection` turns the descriptions of every format into utterances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_realtime_asr.corpus.utterance import CorpusError, Word
from pytest_realtime_asr.text.inputs import InputError

LARGEST = 2**30  # bytes that a file of descriptions may have


@dataclass(frozen=True, slots=True)
class Description:
    """An utterance as a corpus describes it.

    ``place`` says where the description is, such as ``clips.jsonl:3``. ``offset`` and
    ``duration`` are in seconds. They select a part of ``audio``; without an offset, all
    of ``audio`` is used. The average of ``channels`` is used; an empty tuple means all
    channels.
    """

    place: str
    id: str
    audio: Path
    text: str
    offset: float | None = None
    duration: float | None = None
    channels: tuple[int, ...] = ()
    words: tuple[Word, ...] = ()
    language: str = ""
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that a format does not use, and the reason."""

    path: Path
    why: str


Entry = Description | PassedOver | CorpusError
"""An utterance, a file that is not used, or an error in the files of a corpus."""

Found = Iterable[Entry]

Row = TypeVar("Row")


@contextmanager
def at(place: Path | str = "") -> Iterator[None]:
    """Turn an `InputError` into a `CorpusError` whose message starts with ``place``."""
    try:
        yield
    except InputError as error:
        known = not str(place) or str(error).startswith(f"{place}: ")
        if known and isinstance(error, CorpusError):
            raise
        raise CorpusError(str(error) if known else f"{place}: {error}") from error


def parsed(
    rows: Iterable[tuple[str, Row]], parse: Callable[[str, Row], Entry]
) -> Iterator[Entry]:
    """Yield the result of ``parse`` for each row, or the error that ``parse`` raises.

    Each row comes with its place, such as ``clips.jsonl:3``.
    """
    for place, row in rows:
        try:
            with at(place):
                yield parse(place, row)
        except CorpusError as error:
            yield error


def lines(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """Yield the lines that are not blank, each with its place (``clips.jsonl:3``)."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}:{number}", line.rstrip("\r")
