"""Keyword recall: which names, numbers and terms of an utterance were recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.metrics.alignment import TextUnit, split
from pytest_realtime_asr.metrics.normalizers import (
    Normalizer,
    normalised,
    normalizer_for,
    unspaced,
)


@dataclass(frozen=True, slots=True)
class Keywords:
    """The entities of an utterance that a text contains, and those that it lacks."""

    normalizer: str
    found: tuple[str, ...]
    missed: tuple[str, ...]


def keywords(
    entities: Sequence[str],
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Keywords:
    """Return which entities of an utterance a text contains, word for word.

    An entity is a name, a number or a term of one or several words. An entity that was
    said twice is listed twice, and must be found twice. The text and the entities are
    normalised by the same normaliser. ``hypothesis`` is ``None`` for a session without
    a final. Raises ValueError if the normaliser removes all of an entity.
    """
    text = " ".join(entities)
    chosen = normalizer or normalizer_for(text, language)
    unit = TextUnit.CHARACTER if unspaced(text, language) else TextUnit.WORD
    chosen, normal, _ = normalised(chosen, [hypothesis or "", *entities])
    heard = split(normal[0], unit)
    said: Counter[tuple[str, ...]] = Counter()
    found: list[str] = []
    missed: list[str] = []
    for entity, plain in zip(entities, normal[1:], strict=True):
        tokens = tuple(split(plain, unit))
        if not tokens:
            raise ValueError(f"{chosen.id} removes all of the entity {entity!r}")
        said[tokens] += 1
        there = _count(tokens, heard) >= said[tokens]
        (found if there else missed).append(entity)
    return Keywords(chosen.id, tuple(found), tuple(missed))


def keyword_recall(takes: Iterable[Keywords]) -> float | None:
    """Return the pooled share of entities that were found; ``None`` if none was said.

    Formula: entities found / entities said
    Unit: ratio
    Needs: the entities of each utterance
    Better: higher
    Source: 1 - the Missed Entity Rate of AssemblyAI (entities that are not in the
        text / entities of the reference), without its weights by kind
    """
    every = list(takes)
    found = sum(len(take.found) for take in every)
    said = found + sum(len(take.missed) for take in every)
    return found / said if said else None


def _count(run: Sequence[str], tokens: Sequence[str]) -> int:
    """Return how often ``run`` occurs in ``tokens``, without overlap."""
    count = at = 0
    while at <= len(tokens) - len(run):
        same = all(map(str.__eq__, run, tokens[at : at + len(run)]))
        count += same
        at += len(run) if same else 1
    return count
