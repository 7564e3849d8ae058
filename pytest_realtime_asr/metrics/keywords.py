"""Keyword recall: which names, numbers and terms of an utterance were recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_realtime_asr.metrics.alignment import TextUnit, split
from pytest_realtime_asr.metrics.digits import Units, single
from pytest_realtime_asr.metrics.folding import without_notes
from pytest_realtime_asr.metrics.normalizers import (
    Normalizer,
    normalised,
    normalizer_for,
    unspaced,
)


@dataclass(frozen=True, slots=True)
class Keywords:
    """The entities of an utterance that a text contains, and those that it lacks.

    An entity is a name, a number or a term. An entity that was said n times occurs n
    times in ``found`` and ``missed`` together.
    """

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
    """Return which entities of an utterance occur word for word in a text.

    An entity is a name, a number or a term of one or several words. An entity that was
    said twice is listed twice, and must be found twice. The text and the entities are
    normalised by the same normaliser. ``hypothesis`` is the text, or ``None`` for a
    session without a final. Raises ValueError if the normaliser removes all of an
    entity.
    """
    spoken = " ".join(entities)
    chosen = normalizer or normalizer_for(spoken, language)
    texts = _texts(entities, [hypothesis or ""], chosen, unspaced(spoken, language))
    (heard,) = texts.others
    said: Counter[tuple[str, ...]] = Counter()
    found: list[str] = []
    missed: list[str] = []
    for entity, units in zip(entities, texts.entities, strict=True):
        key = tuple(units.units)
        said[key] += 1
        there = _count(units, heard) >= said[key]
        (found if there else missed).append(entity)
    return Keywords(texts.normalizer, tuple(found), tuple(missed))


def recognised(
    entities: Iterable[str],
    reference: str,
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Keywords:
    """Return which entities of a reference occur word for word in a text.

    Each entity counts as often as the reference contains it. If the normaliser makes
    entities equal, only the first of them counts. ``hypothesis`` is the text, or
    ``None`` for a session without a final. Raises ValueError if the normaliser removes
    all of an entity.
    """
    wanted = list(entities)
    chosen = normalizer or normalizer_for(reference, language)
    spoken = without_notes(reference) if chosen.by_sound else reference
    unit = unspaced(reference, language)
    texts = _texts(wanted, [spoken, hypothesis or ""], chosen, unit)
    said, heard = texts.others
    found: list[str] = []
    missed: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for entity, units in zip(wanted, texts.entities, strict=True):
        if (key := tuple(units.units)) in seen:
            continue
        seen.add(key)
        times = _count(units, said)
        there = min(times, _count(units, heard))
        found += [entity] * there
        missed += [entity] * (times - there)
    return Keywords(texts.normalizer, tuple(found), tuple(missed))


def keyword_recall(takes: Iterable[Keywords]) -> float | None:
    """Return the pooled share of entities that were found; ``None`` if none was said.

    Formula: entities found / entities said
    Unit: ratio
    Needs: the entities of each utterance
    Better: higher
    Source: one minus AssemblyAI's Missed Entity Rate (entities missing in the text /
        entities of the reference), without the weights that AssemblyAI gives to kinds
        of entities
    """
    every = list(takes)
    found = sum(len(take.found) for take in every)
    said = found + sum(len(take.missed) for take in every)
    return found / said if said else None


class _Texts(NamedTuple):
    """Entities and other texts in normal form, and the id of the normaliser."""

    normalizer: str
    entities: list[Units]
    others: list[Units]


def _texts(
    entities: Sequence[str],
    others: Sequence[str],
    normalizer: Normalizer,
    by_character: bool,
) -> _Texts:
    """Return texts in normal form, as words or, with ``by_character``, as characters.

    If ``by_sound`` is true for the normaliser, numbers are split into digits, so that
    the grouping of digits does not matter. Raises ValueError if the normaliser removes
    all of an entity.
    """
    unit = TextUnit.CHARACTER if by_character else TextUnit.WORD
    used, normal, _ = normalised(normalizer, [*entities, *others])
    texts = []
    for text in normal:
        words = split(text, unit)
        whole = Units(words, list(range(len(words))))
        texts.append(single(words) if used.by_sound else whole)
    for entity, units in zip(entities, texts, strict=False):
        if not units.units:
            raise ValueError(
                f"the normaliser {used.id} removes all of the entity {entity!r}"
            )
    return _Texts(used.id, texts[: len(entities)], texts[len(entities) :])


def _count(run: Units, text: Units) -> int:
    """Return how often ``run`` occurs in ``text`` as whole words, without overlap."""
    size = len(run.units)
    count = at = 0
    while at <= len(text.units) - size:
        same = text.units[at : at + size] == run.units
        whole = _is_edge(text.places, at) and _is_edge(text.places, at + size)
        count += same and whole
        at += size if same and whole else 1
    return count


def _is_edge(places: Sequence[int], at: int) -> bool:
    """Return whether a word begins at the index ``at``, or the text ends there."""
    return at in (0, len(places)) or places[at - 1] != places[at]
