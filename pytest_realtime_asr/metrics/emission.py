"""Emissions: when each word of a text was first shown, and when it settled.

A hypothesis is the whole text that the server shows at one instant. A word settles at
the instant after which neither the word nor a word before it changes. The emissions
also say which words of the reference were recognised. All metrics of words are derived
from the emissions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from pytest_realtime_asr.metrics.alignment import Pair, TextUnit, align
from pytest_realtime_asr.metrics.normalizers import (
    BASIC,
    Normalizer,
    normalizer_for,
    unspaced,
)
from pytest_realtime_asr.metrics.tokens import Token, tokens, updates
from pytest_realtime_asr.trace.timeline import Timeline, common_prefix

_CACHED = 2**15  # words whose normal forms are kept
_NS_PER_MS = 1_000_000
_WORD_TIMES = "words"  # the value of speech_by if the speech is known by word times
_UNCERTAIN_TIMES = 100 * _NS_PER_MS  # the uncertainty of word times
_UNCERTAIN_ENERGY = 300 * _NS_PER_MS  # the uncertainty of speech found by its energy


class Timed(Protocol):
    """A word with its start and end, in seconds from the start of the audio."""

    @property
    def text(self) -> str: ...

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


class Script(Protocol):
    """The reference of an utterance; it has the times of words and speech if known.

    Times are in seconds from the start of the audio. ``speech_by`` says how the speech
    was located: ``"words"`` means by word times, any other value by the energy of the
    audio.
    """

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
    """The change of the words from the previous hypothesis to this hypothesis.

    The first ``kept`` words stay, the ``lost`` words after them are removed, and the
    words of ``added`` follow. ``at`` is in ns. ``final`` is true for a final.
    """

    at: int
    kept: int
    lost: int
    added: tuple[str, ...]
    final: bool

    @property
    def count(self) -> int:
        """The number of words of the hypothesis."""
        return self.kept + len(self.added)

    @property
    def changed(self) -> bool:
        """Return whether any word differs from the words of the previous hypothesis."""
        return bool(self.lost or self.added)


@dataclass(frozen=True, slots=True)
class Emission:
    """A word of the last hypothesis, with the times (ns) when it appeared and settled.

    ``first`` is the time at which a hypothesis first had this word at this index.
    ``settled`` is the time at which the word, or a word before it, changed for the last
    time. ``said`` is the index of the matching word of the reference; ``None`` if no
    word matches.
    """

    word: str
    first: int
    settled: int
    said: int | None = None


@dataclass(frozen=True, slots=True)
class Emissions:
    """The words of one item, as the server showed them and as they were spoken.

    ``timeline`` is the timeline of the item, and ``script`` its reference if known.
    ``shown`` holds the change that each hypothesis made, and ``words`` holds the words
    of the last hypothesis. ``reference`` holds the normalised words of the script, and
    ``ends`` holds the end (s) of each of these words if known. ``pairs`` aligns the
    last hypothesis with the reference.
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
        """The due time (ns) of the audio where speech starts; ``None`` if unknown."""
        start = None if self.script is None else self.script.speech_start
        return None if start is None else self.timeline.due(start)

    @property
    def speech_end(self) -> int | None:
        """The due time (ns) of the audio where speech ends; ``None`` if unknown."""
        end = None if self.script is None else self.script.speech_end
        return None if end is None else self.timeline.due(end)

    @property
    def speech_uncertainty(self) -> int:
        """The largest expected error (ns) of the start and the end of speech."""
        timed = self.script is not None and self.script.speech_by == _WORD_TIMES
        return _UNCERTAIN_TIMES if timed else _UNCERTAIN_ENERGY


def emissions(timeline: Timeline, script: Script | None) -> Emissions:
    """Return the emissions of one item.

    Without a script, no word has a match. In writing systems without spaces between
    words, each character counts as a word.
    """
    normalizer, unit = rules(script)
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


def rules(script: Script | None) -> tuple[Normalizer, TextUnit]:
    """Return the normaliser for the words of a script, and what counts as a word."""
    text = "" if script is None else script.text
    language = "" if script is None else script.language
    unit = TextUnit.CHARACTER if unspaced(text, language) else TextUnit.WORD
    return normalizer_for(text, language), unit


def split(text: str, normalizer: Normalizer, unit: TextUnit) -> tuple[str, ...]:
    """Return the normalised words of a text, or their characters.

    Each word is normalised by itself. So the normal form of a word does not depend on
    the next word, and the time of the word is well defined: "thirty" stays a word when
    "six" follows. A word of more than `tokens.LONGEST` characters is split into pieces.
    """
    return _split(tokens(text), normalizer, unit)


def _split(
    found: Iterable[Token], normalizer: Normalizer, unit: TextUnit
) -> tuple[str, ...]:
    normal = normalizer.function
    words = [word for token in found for word in _normal(token.text, normal)]
    return tuple(words if unit is TextUnit.WORD else "".join(words))


@lru_cache(maxsize=_CACHED)
def _normal(raw: str, normal: Callable[[str], str]) -> tuple[str, ...]:
    try:
        return tuple(normal(raw).split())
    except Exception:  # a user's normaliser failed on this word
        return tuple(BASIC.function(raw).split())


def _shown(
    timeline: Timeline, normalizer: Normalizer, unit: TextUnit
) -> tuple[list[Shown], tuple[str, ...]]:
    """Return the change that each hypothesis made, and the words of the last one."""
    shown: list[Shown] = []
    words: list[str] = []
    ends = [0]  # the number of words after each token
    for update in updates(timeline.edits):
        del ends[update.kept + 1 :]
        kept = ends[-1]
        lost = words[kept:]
        del words[kept:]
        for token in update.added:
            words += _split((token,), normalizer, unit)
            ends.append(len(words))
        added = words[kept:]
        same = common_prefix(lost, added)
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
    """Return the times (ns) when each word of ``last`` was first shown and settled."""
    first: dict[int, int] = {}
    settled = [0] * len(last)
    firm = 0  # number of leading words that had settled at the previous hypothesis
    for each in shown:
        wanted = last[each.kept : each.count]
        for place, (word, other) in enumerate(
            zip(each.added, wanted, strict=False), each.kept
        ):
            if word == other:
                first.setdefault(place, each.at)
        # If an earlier word differs, no later word has settled.
        now = (
            firm if each.kept > firm else each.kept + common_prefix(each.added, wanted)
        )
        for place in range(firm, now):
            settled[place] = each.at
        firm = now
    return [(first.get(place, at), at) for place, at in enumerate(settled)]


def _reference(
    script: Script | None, normalizer: Normalizer, unit: TextUnit
) -> tuple[list[str], list[float | None]]:
    """Return the words of a script, and the end (s) of each word if known."""
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
