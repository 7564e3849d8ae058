"""Reads ``corpus.toml``, which states the language of the utterances of a folder.

The file is in the folder of the audio files, or in a folder above it, up to the folder
of the corpus. If there are several such files, the nearest is used. A language that a
manifest states for an utterance has precedence over the file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from pytest_realtime_asr.corpus import language
from pytest_realtime_asr.corpus.description import at
from pytest_realtime_asr.corpus.utterance import (
    Corpus,
    CorpusError,
    FileSpan,
    Utterance,
)
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

NAME = "corpus.toml"
_KEYS = ("language",)


def in_stated_languages(corpus: Corpus, folder: Path) -> Corpus:
    """Return the corpus, with missing languages taken from the ``corpus.toml`` files.

    Raises `CorpusError` for a ``corpus.toml`` that cannot be used.
    """
    stated = _reader(folder)

    def stating(utterance: Utterance) -> Utterance:
        source = utterance.source
        path = source.path if isinstance(source, FileSpan) else source
        if isinstance(path, Path) and path.is_relative_to(folder):
            return utterance.in_language(stated(path.parent))
        return utterance.in_language(stated(folder))

    return corpus.map(stating)


def _reader(root: Path) -> Callable[[Path], str]:
    """Return a function that returns the language stated for a folder below ``root``.

    The language is "" if no ``corpus.toml`` applies to the folder.
    """

    @cache
    def stated(folder: Path) -> str:
        file = folder / NAME
        if file.is_file():
            return _language(file)
        return "" if folder == root else stated(folder.parent)

    return stated


def _language(file: Path) -> str:
    with at():
        found = inputs.toml(file)
    if unknown := sorted(set(found) - set(_KEYS)):
        raise CorpusError(
            f'{file}: the key {unknown[0]!r} is unknown; write language = "de"'
        )
    value = found.get("language")
    if not isinstance(value, str) or not value.strip():
        raise CorpusError(f'{file}: states no language; write language = "de"')
    try:
        return language.parse(value)
    except InputError as error:
        raise CorpusError(f"{file}: language: {error}") from error
