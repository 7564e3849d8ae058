"""Simple versions of the metrics of growing texts, to compare the package with them.

Each function builds the whole of every text of a session, in quadratic time. Such
simple code leaves little room for mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from pytest_realtime_asr.metrics.alignment import TextUnit
from pytest_realtime_asr.metrics.normalizers import Normalizer
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.trace.timeline import Final, Partial, Settled, Timeline

MS = 1_000_000
Words = tuple[str, ...]


def texts(timeline: Timeline) -> Iterator[tuple[int, str, bool]]:
    """Time and full text of each hypothesis, and whether it is a final."""
    text = ""
    for event in timeline.events:
        if isinstance(event, Partial):
            text = text[: event.kept] + event.added
            yield event.at, text, False
        elif isinstance(event, Final):
            text = event.text
            yield event.at, text, True


def shown(
    timeline: Timeline, normalizer: Normalizer, unit: TextUnit
) -> list[tuple[int, Words, bool]]:
    """The words of each text, each normalised by itself."""
    return [
        (at, split(text, normalizer, unit), final)
        for at, text, final in texts(timeline)
    ]


def split(text: str, normalizer: Normalizer, unit: TextUnit) -> Words:
    words = [w for raw in text.split() for w in normalizer.function(raw).split()]
    return tuple(words if unit is TextUnit.WORD else "".join(words))


def same(one: Words, other: Words) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def times(seen: Sequence[tuple[int, Words, bool]]) -> list[tuple[str, int, int]]:
    """Each word of the last text, when it was first shown, and when it settled."""
    last = seen[-1][1] if seen else ()
    found = []
    for place, word in enumerate(last):
        there = (at for at, words, _ in seen if words[place : place + 1] == (word,))
        settled = 0
        for (_, before, _), (at, words, _) in pairwise([(0, (), False), *seen]):
            if same(before, last) <= place < same(words, last):
                settled = at
        found.append((word, next(there, settled), settled))
    return found


def normalized_erasure(timeline: Timeline) -> float | None:
    seen = [tuple(text.split()) for _, text, _ in texts(timeline)]
    if not seen or not seen[-1]:
        return None
    return sum(len(a) - same(a, b) for a, b in pairwise(seen)) / len(seen[-1])


def revision_rate(timeline: Timeline) -> float | None:
    seen: list[Words] = [(), *(tuple(text.split()) for _, text, _ in texts(timeline))]
    changes = [(a, b) for a, b in pairwise(seen) if a != b]
    if not changes:
        return None
    return sum(same(a, b) < len(a) for a, b in changes) / len(changes)


def final_retractions(timeline: Timeline) -> float | None:
    before, firm, changed, done = "", "", 0, False
    seen = iter(texts(timeline))
    for event in timeline.events:
        if isinstance(event, Settled):
            firm = max(firm, before[: event.length], key=len)
        elif isinstance(event, Partial | Final):
            _, text, final = next(seen)
            changed += not text.startswith(firm) or (done and text != before)
            firm = firm[: same(tuple(firm), tuple(text))]
            before = text
            done |= final
    return float(changed) if done or timeline.settled else None


def first_text(timeline: Timeline) -> int | None:
    return next((at for at, text, _ in texts(timeline) if text.strip()), None)


def longest_stall(timeline: Timeline, start: int, stop: int) -> float:
    """The longest gap between new texts from ``start`` to ``stop`` (ns), in ms."""
    marks, before = [start], ""
    for at, text, _ in texts(timeline):
        if text.strip() and text != before and start < at < stop:
            marks.append(at)
        before = text
    return max(b - a for a, b in pairwise([*marks, stop])) / MS


def first_correct_word(
    seen: Sequence[tuple[int, Words, bool]], word: str, due: int
) -> float | None:
    at = next((at for at, words, _ in seen if word in words[:3]), None)
    return None if at is None else (at - due) / MS


def early_text(seen: Sequence[tuple[int, Words, bool]], start: int) -> float:
    return float(sum(bool(words) and at < start for at, words, _ in seen))


def partial_interval(seen: Sequence[tuple[int, Words, bool]]) -> float | None:
    marks, before = [], Words()
    for at, words, _ in seen:
        if words != before:
            marks.append(at)
            before = words
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    return quantile(gaps, 0.5) / MS if gaps else None


def partial_wer(
    seen: Sequence[tuple[int, Words, bool]], reference: Words, dues: Sequence[int]
) -> float | None:
    wrong = total = 0
    for at, words, final in seen:
        count = sum(due <= at for due in dues)
        if count and not final:
            wrong += Levenshtein.distance(reference[:count], words)
            total += count
    return wrong / total if total else None
