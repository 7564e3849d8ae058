"""The places of utterances (file and line), for messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_realtime_asr.corpus.utterance import Corpus, CorpusError, Utterance
from pytest_realtime_asr.text.inputs import InputError

Found = Iterable[tuple[str, Utterance]]
"""Utterances, each with the place of its description, such as ``clips.jsonl:3``."""


def collect(name: str, found: Found) -> Corpus:
    """Return the corpus of these utterances.

    Raises `CorpusError` if an id occurs twice; the message names both places.
    """
    places: dict[str, str] = {}
    utterances = []
    for place, utterance in found:
        if utterance.id in places:
            raise CorpusError(
                f"{place}: the id {utterance.id!r} is already used in "
                f"{places[utterance.id]}; give every utterance a unique id "
                "(an utterance of a manifest without an id gets the file name without "
                "suffix as its id)"
            )
        places[utterance.id] = place
        utterances.append(utterance)
    return Corpus(name, tuple(utterances))


@contextmanager
def at(place: Path | str = "") -> Iterator[None]:
    """Turn an `InputError` into a `CorpusError` whose message starts with ``place``."""
    try:
        yield
    except InputError as error:
        raise CorpusError(f"{place}: {error}" if place else str(error)) from error
