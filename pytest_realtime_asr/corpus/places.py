"""Where an utterance was found, for the messages about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_realtime_asr.corpus.utterance import Corpus, CorpusError, Utterance
from pytest_realtime_asr.text.inputs import InputError

Found = Iterable[tuple[str, Utterance]]
"""Utterances, each with the place that describes it, such as ``clips.jsonl:3``."""


def collect(name: str, found: Found) -> Corpus:
    """Return the corpus of utterances; an id that occurs twice names both places."""
    places: dict[str, str] = {}
    utterances = []
    for place, utterance in found:
        if utterance.id in places:
            raise CorpusError(
                f"{place}: the id {utterance.id!r} is already used in "
                f"{places[utterance.id]}; give every utterance a unique id "
                "(without one in a manifest, it is the file name without its suffix)"
            )
        places[utterance.id] = place
        utterances.append(utterance)
    return Corpus(name, tuple(utterances))


@contextmanager
def at(place: Path | str = "") -> Iterator[None]:
    """Raise every input error as a `CorpusError` that begins with the place."""
    try:
        yield
    except InputError as error:
        raise CorpusError(f"{place}: {error}" if place else str(error)) from error
