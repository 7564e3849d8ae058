"""When each word of a text was first shown, and when it settled.

One computation, of which the word-level metrics and those of stability are views: the
hypotheses of an item, word by word, and the words of the reference that they match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from pytest_realtime_asr.metrics.accuracy import (
    BASIC,
    Normalizer,
    Pair,
    Unit,
    align,
    normalizer_for,
    unspaced,
)
from pytest_realtime_asr.metrics.tokens import Token, alike, tokens, updates
from pytest_realtime_asr.trace.timeline import Timeline

_KNOWN = 2**15  # words whose normal forms are kept


class Timed(Protocol):
    """A word and when it is spoken, in seconds."""

    @property
    def text(self) -> str: ...

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


class Script(Protocol):
    """What was said: its text, and its words with their times where they are known."""

    @property
    def text(self) -> str: ...

    @property
    def words(self) -> Sequence[Timed]: ...

    @property
    def language(self) -> str: ...

    @property
    def speech_start(self) -> float | None: ...

    @property
    def speech_end(self) -> float | None: ...

    @property
    def speech_by(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """What one hypothesis changes in the words before it, at a time in ns.

    It keeps the first ``kept`` words, loses ``lost`` words after them, and goes on with
    ``added``. ``final`` says that it is a final.
    """

    at: int
    kept: int
    lost: int
    added: tuple[str, ...]
    final: bool

    @property
    def count(self) -> int:
        """The words that it has."""
        return self.kept + len(self.added)

    @property
    def changed(self) -> bool:
        """Whether it has other words than the hypothesis before it."""
        return bool(self.lost or self.added)


@dataclass(frozen=True, slots=True)
class Emission:
    """A word of the last hypothesis: when it was first shown and when it settled.

    It is shown in its place; it has settled when it and all before it change no more.
    Times are in ns. ``said`` is the place of the reference's word that it matches.
    """

    word: str
    first: int
    settled: int
    said: int | None = None


@dataclass(frozen=True, slots=True)
class Emissions:
    """The words of an item: as they were shown, as they settled, as they were said.

    ``timeline`` is that of the item, ``script`` what was said, where it is known.
    ``reference`` are the normalised words of it, ``ends`` when each ends (s), where
    that is known. ``pairs`` are the alignment of the last hypothesis.
    """

    timeline: Timeline
    script: Script | None
    shown: tuple[Shown, ...]
    words: tuple[Emission, ...]
    reference: tuple[str, ...]
    ends: tuple[float | None, ...]
    pairs: tuple[Pair, ...]

    @property
    def speech_start(self) -> int | None:
        """When the audio of the start of speech was due (ns), where it is known."""
        start = None if self.script is None else self.script.speech_start
        return None if start is None else self.timeline.due(start)

    @property
    def speech_end(self) -> int | None:
        """When the audio of the end of speech was due (ns), where it is known."""
        end = None if self.script is None else self.script.speech_end
        return None if end is None else self.timeline.due(end)


def emissions(timeline: Timeline, script: Script | None) -> Emissions:
    """What became of the words of one item; without a script nothing is matched.

    In scripts that put no spaces between words, a character counts as a word.
    """
    text = "" if script is None else script.text
    language = "" if script is None else script.language
    normalizer = normalizer_for(text, language)
    unit = Unit.CHARACTER if unspaced(text, language) else Unit.WORD
    shown, last = _shown(timeline, normalizer, unit)
    times = _times(shown, last)
    reference, ends = _reference(script, normalizer, unit)
    pairs = align(reference, last)
    said: dict[int, int] = {}
    place = heard = 0
    for pair in pairs:
        if pair.reference is not None and pair.reference == pair.hypothesis:
            said[heard] = place
        place += pair.reference is not None
        heard += pair.hypothesis is not None
    return Emissions(
        timeline=timeline,
        script=script,
        shown=tuple(shown),
        words=tuple(
            Emission(word, first, settled, said.get(number))
            for number, (word, (first, settled)) in enumerate(
                zip(last, times, strict=True)
            )
        ),
        reference=tuple(reference),
        ends=tuple(ends),
        pairs=pairs,
    )


def split(text: str, normalizer: Normalizer, unit: Unit) -> tuple[str, ...]:
    """The words of a text, or its characters, each normalised by itself.

    So a word is the same whatever comes after it, as it must be for one whose time is
    to be known: "thirty" is one, and goes on to be one before "six". What has more than
    `tokens.LONGEST` characters without a blank is taken in pieces.
    """
    return _split(tokens(text), normalizer, unit)


def _split(
    found: Iterable[Token], normalizer: Normalizer, unit: Unit
) -> tuple[str, ...]:
    normal = normalizer.function
    words = [word for token in found for word in _normal(token.text, normal)]
    return tuple(words if unit is Unit.WORD else "".join(words))


@lru_cache(maxsize=_KNOWN)
def _normal(raw: str, normal: Callable[[str], str]) -> tuple[str, ...]:
    try:
        return tuple(normal(raw).split())
    except Exception:  # it cannot take this word
        return tuple(BASIC.function(raw).split())


def _shown(
    timeline: Timeline, normalizer: Normalizer, unit: Unit
) -> tuple[list[Shown], tuple[str, ...]]:
    """What each hypothesis changes, and the words of the last one."""
    shown: list[Shown] = []
    words: list[str] = []
    ends = [0]  # how many words there are after so many tokens
    for update in updates(timeline.edits):
        del ends[update.kept + 1 :]
        kept = ends[-1]
        lost = words[kept:]
        del words[kept:]
        for token in update.added:
            words += _split((token,), normalizer, unit)
            ends.append(len(words))
        added = words[kept:]
        same = alike(lost, added)
        shown.append(
            Shown(
                at=update.at,
                kept=kept + same,
                lost=len(lost) - same,
                added=tuple(added[same:]),
                final=update.final,
            )
        )
    return shown, tuple(words)


def _times(shown: Sequence[Shown], last: tuple[str, ...]) -> list[tuple[int, int]]:
    """When each word of the last hypothesis was first shown, and when it settled."""
    first: dict[int, int] = {}
    settled = [0] * len(last)
    firm = 0  # words from the begin that are settled as of the hypothesis before
    for it in shown:
        wanted = last[it.kept : it.count]
        for place, (word, other) in enumerate(
            zip(it.added, wanted, strict=False), it.kept
        ):
            if word == other:
                first.setdefault(place, it.at)
        # Where an earlier word is another one, nothing behind it settles.
        now = firm if it.kept > firm else it.kept + alike(it.added, wanted)
        for place in range(firm, now):
            settled[place] = it.at
        firm = now
    return [(first.get(place, at), at) for place, at in enumerate(settled)]


def _reference(
    script: Script | None, normalizer: Normalizer, unit: Unit
) -> tuple[list[str], list[float | None]]:
    """The words that were said, and when each ends."""
    if script is None:
        return [], []
    if not script.words:
        words = list(split(script.text, normalizer, unit))
        return words, [None] * len(words)
    pieces = [(split(each.text, normalizer, unit), each.end) for each in script.words]
    return (
        [word for words, _ in pieces for word in words],
        [end for words, end in pieces for _ in words],
    )
