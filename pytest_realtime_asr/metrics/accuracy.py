"""How right a text is: errors against the reference, and where they are.

Errors are pooled: the sum of errors over the sum of reference words, so that a short
utterance weighs as little as it says. Words that were heard where the reference is
empty have nothing to be divided by; they are counted apart. A session that gave no
text has all its words deleted.

Which words are the same is decided by a normaliser, and a change of normaliser alone
has moved published rates by a tenth. So each has a version, and the id of the one
that was used belongs to every number:

``none``
    splits at white space; case and punctuation count.
``basic``
    compatibility forms, case folded, punctuation and symbols are blanks, invisible
    format characters are dropped. Marks stay: accents, vowel signs, harakat. Whisper's
    own basic normaliser is not used, since it blanks out marks, which tears Hindi,
    Thai and vocalised Arabic words apart, and drops all that stands in brackets.
``whisper-english``
    Whisper's English normaliser: contractions, spellings, numbers, titles, fillers,
    bracketed notes and accents are made equal. It ruins other languages.

Where none is named, ``whisper-english`` is used for English, and for a reference of
unknown language that is not mainly in letters other than Latin ones; ``basic`` is used
for everything else. The choice looks at the reference alone, so that what a server
sends cannot change it. A corpus in another language with Latin letters should state
its language. One's own is found by its name as well (`normalizer_named`).

What a server sends can be long, and made to hurt. So every cost here is linear:

- A normaliser that cannot take a text, or takes longer than `PATIENCE`, is replaced by
  ``basic`` for both texts of the pair; the alignment names the one that was used, and
  the reason. ``whisper-english`` takes texts of up to `MOST_CHARACTERS`.
- Two texts whose numbers of words, multiplied, are over `MOST_CELLS` are cut where both
  have the same run of words, and aligned part by part. The edits are then not the
  least that there are, but mostly the same. Parts of this size that have no run in
  common are aligned word by word, in order.
"""

from __future__ import annotations

import enum
import re
import textwrap
import unicodedata
import warnings
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, version
from threading import Thread
from types import MappingProxyType
from typing import Any

import jiwer
import numpy as np
import numpy.typing as npt

with warnings.catch_warnings():
    # Python warns of an escape in it where it is not compiled yet; where warnings are
    # errors, that would end the run.
    warnings.simplefilter("ignore")
    from whisper_normalizer.english import EnglishTextNormalizer

_ENGLISH = frozenset({"en", "eng"})
_UNSPACED_LANGUAGES = frozenset(
    {
        *("zh", "zho", "chi", "cmn", "yue", "wuu", "nan", "hak"),
        *("ja", "jpn", "th", "tha", "lo", "lao", "km", "khm", "my", "mya", "bur"),
    }
)
_UNSPACED_SCRIPTS = (
    *("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA"),
    *("THAI", "LAO", "KHMER", "MYANMAR"),
)
_MARGIN = 5  # columns of the name of a line in an alignment
GROUP = "pytest_realtime_asr.normalizers"  # the entry points of one's own normalisers
PATIENCE = 10.0  # s that one's own normaliser may take for a text
MOST_CHARACTERS = 200_000  # of a text for whisper-english; about four hours of speech
MOST_CELLS = 4 * 10**9  # words of one text times words of the other
LONGEST_PHRASE = 250  # words of a phrase that is looked for three times in a row
_MARKS = 30  # marks in a row (UAX #15: no language has so many); others are left out
_RUN = 12  # words in a row that both texts have, where they are cut
_PART = 1_000  # words between two cuts, at least
_SHOWN = 120  # characters of an error in a line
_LINES = 8  # blocks of an alignment that are shown
EDGE = 3  # words that are the head of a reference, or its tail
SYNTHETIC = "synthetic speech: a smoke test, not accuracy"


class Unit(enum.StrEnum):
    """What an error rate counts."""

    WORD = "word"
    CHARACTER = "character"


@dataclass(frozen=True, slots=True)
class Normalizer:
    """A named and versioned way to make texts comparable."""

    name: str
    version: str
    function: Callable[[str], str]

    @property
    def id(self) -> str:
        """Name and version, as every number made with it shows them."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class Errors:
    """Counts of an alignment, or the sum of several (``+``).

    ``unspoken`` counts what was heard where the reference is empty. It has no part in
    the rate.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    unspoken: int = 0

    @property
    def reference(self) -> int:
        """Words (or characters) of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def wrong(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Wrong ones over those of the reference; ``None`` where there are none."""
        return self.wrong / self.reference if self.reference else None

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.unspoken + other.unspoken,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """What was said and what was heard for it; ``None`` on one side at most."""

    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True, slots=True)
class Alignment:
    """A reference and a hypothesis, normalised, word by word or by characters.

    ``normalizer`` is the id of the one that was used. ``reason`` says why it is another
    one than was asked for, else it is empty.
    """

    unit: Unit
    normalizer: str
    pairs: tuple[Pair, ...]
    reason: str = ""

    @property
    def errors(self) -> Errors:
        """The counts."""
        kinds = Counter(map(_kind, self.pairs))
        spoken = kinds["I"] < len(self.pairs)
        return Errors(
            hits=kinds[""],
            substitutions=kinds["S"],
            deletions=kinds["D"],
            insertions=kinds["I"] if spoken else 0,
            unspoken=0 if spoken else kinds["I"],
        )


@dataclass(frozen=True, slots=True)
class Keywords:
    """Which of the entities that were said are in a text, each as often as it is."""

    normalizer: str
    found: tuple[str, ...]
    missed: tuple[str, ...]


def words(
    reference: str,
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Alignment:
    """The alignment of two texts by words, whose rate is the WER.

    In scripts that put no spaces between words (by ``language``, or else by the
    letters of the reference) it goes by characters, and the rate is the CER.
    ``hypothesis`` is ``None`` for a session that gave none.

    Formula: (substitutions + deletions + insertions) / words of the reference
    Unit: ratio
    Needs: a reference
    Better: down
    Source: jiwer's alignment (least edits); pooled as sclite and the Open ASR
        Leaderboard do, since a mean over utterances overrates the short ones
    """
    unit = Unit.CHARACTER if unspaced(reference, language) else Unit.WORD
    return _align(reference, hypothesis, unit, normalizer, language)


def characters(
    reference: str,
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Alignment:
    """The alignment of two texts by characters, blanks left out: the rate is the CER.

    Formula: (substitutions + deletions + insertions) / characters of the reference
    Unit: ratio
    Needs: a reference
    Better: down
    Source: as `words`; blanks are left out because their place is a matter of style
        in the scripts for which the rate is meant
    """
    return _align(reference, hypothesis, Unit.CHARACTER, normalizer, language)


def pooled(errors: Iterable[Errors]) -> Errors:
    """The sum of the counts."""
    return sum(errors, Errors())


def error_rate(errors: Iterable[Errors]) -> float | None:
    """The pooled rate; ``None`` where no reference has a word."""
    return pooled(errors).rate


def head_deletions(alignment: Alignment) -> int:
    """How many of the first three words of the reference were not heard at all.

    Formula: deletions among the first `EDGE` words (or characters) of the reference
    Unit: count
    Needs: a reference
    Better: down
    Source: a first chunk that is lost costs the first words and little of the WER
    """
    return _deleted(_spoken(alignment)[:EDGE])


def tail_deletions(alignment: Alignment) -> int:
    """How many of the last three words of the reference were not heard at all.

    Formula: deletions among the last `EDGE` words (or characters) of the reference
    Unit: count
    Needs: a reference
    Better: down
    Source: as `head_deletions`, for a last chunk that is lost or a cut that is early
    """
    return _deleted(_spoken(alignment)[-EDGE:])


def repeated(alignment: Alignment) -> str:
    """What a text says three times in a row, where the reference does not.

    It is empty where there is no such thing. Of characters, it is two of them at least:
    three in a row may be a number or a long vowel. Phrases of up to `LONGEST_PHRASE`
    words (or characters) are looked for.
    """
    said = [p.hypothesis for p in alignment.pairs if p.hypothesis is not None]
    spoken = [p.reference for p in alignment.pairs if p.reference is not None]
    numbers: dict[str, int] = {}
    heard, known = _numbered(said, numbers), _numbered(spoken, numbers)
    shortest = 1 if alignment.unit is Unit.WORD else 2
    for size in range(shortest, min(len(said) // 3, LONGEST_PHRASE) + 1):
        phrases = (said[at : at + size] for at in _thrice(heard, size))
        if first := next(phrases, None):
            theirs = [spoken[at : at + size] for at in _thrice(known, size)]
            others = (each for each in (first, *phrases) if each not in theirs)
            if found := next(others, None):
                return " ".join(found)
    return ""


def _numbered(words: Sequence[str], numbers: dict[str, int]) -> npt.NDArray[np.int64]:
    """A number for each word, the same for the same word."""
    return np.array([numbers.setdefault(w, len(numbers)) for w in words], np.int64)


def _thrice(words: npt.NDArray[np.int64], size: int) -> Iterator[int]:
    """Where something of this size stands three times in a row, each phrase once."""
    if len(words) < 3 * size:
        return
    alike = np.zeros(len(words) - size + 2, bool)
    alike[1:-1] = words[size:] == words[:-size]
    starts, stops = np.flatnonzero(np.diff(alike)).reshape(-1, 2).T
    for start, stop in zip(starts, stops, strict=True):
        # What begins later in the same run has been there before.
        yield from range(start, min(stop - 2 * size + 1, start + size))


def unspoken_rate(takes: Iterable[tuple[Alignment, float]]) -> float | None:
    """Words per minute that were heard where nothing was said.

    Each take is an alignment and the seconds of its audio; those whose reference has a
    word have no part in it. ``None`` where all have. (Of a language whose script puts
    no spaces between words, characters are counted.)

    Formula: words heard / minutes of audio, over utterances with an empty reference
    Unit: words per minute
    Needs: utterances with an empty reference: silence, noise, music
    Better: down; 0 for silence
    Source: the hallucination rate on clips without speech, as audiobench has it
    """
    heard, minutes = 0, 0.0
    for alignment, seconds in takes:
        errors = alignment.errors
        if not errors.reference:
            heard += errors.unspoken
            minutes += seconds / 60
    return heard / minutes if minutes else None


def keywords(
    entities: Sequence[str],
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Keywords:
    """Which of the entities that were said are in a text, word for word.

    An entity is a name, a number, a term, of one word or several; one that was said
    twice is listed twice, and must be heard twice. Both sides are normalised alike.
    ``hypothesis`` is ``None`` for a session that gave none. An entity of which the
    normaliser leaves nothing is a ``ValueError``.
    """
    text = " ".join(entities)
    chosen = normalizer or normalizer_for(text, language)
    unit = Unit.CHARACTER if unspaced(text, language) else Unit.WORD
    chosen, normal, _ = _normalised(chosen, [hypothesis or "", *entities])
    heard = _tokens(normal[0], unit)
    said: Counter[tuple[str, ...]] = Counter()
    found: list[str] = []
    missed: list[str] = []
    for entity, plain in zip(entities, normal[1:], strict=True):
        tokens = tuple(_tokens(plain, unit))
        if not tokens:
            raise ValueError(f"{chosen.id} leaves nothing of the entity {entity!r}")
        said[tokens] += 1
        there = _count(tokens, heard) >= said[tokens]
        (found if there else missed).append(entity)
    return Keywords(chosen.id, tuple(found), tuple(missed))


def keyword_recall(takes: Iterable[Keywords]) -> float | None:
    """The share of the entities that were heard, pooled; ``None`` where there are none.

    Formula: entities found / entities said
    Unit: ratio
    Needs: the entities of each utterance
    Better: up
    Source: 1 - the Missed Entity Rate of AssemblyAI (entities that are not in the
        text / entities of the reference), without its weights by kind
    """
    every = list(takes)
    found = sum(len(take.found) for take in every)
    said = found + sum(len(take.missed) for take in every)
    return found / said if said else None


def normalizer_named(name: str) -> Normalizer:
    """The normaliser of this name: one of `NORMALIZERS`, or else one's own.

    One's own is an entry point in the group `GROUP`, a function from text to text that
    has its version as a text in its attribute ``version``. It is called in a thread of
    its own. It may raise any exception, and take up to `PATIENCE` for a text: then that
    text is scored with ``basic``, and one that took too long is not called again. A
    regular expression cannot be interrupted: one that takes the square of a text's
    length holds up the run for as long as it takes. Raises LookupError, which says what
    is wrong with it, or which there are.
    """
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    own = {point.name: point for point in entry_points(group=GROUP)}
    if name not in own:
        raise LookupError(
            f"there is no normalizer {name!r}; "
            f"there are {', '.join([*NORMALIZERS, *sorted(own)])} "
            f"(one's own is an entry point in {GROUP})"
        )
    return _own(own[name])


def _own(point: EntryPoint) -> Normalizer:
    where = f"the normalizer {point.name} ({point.value})"
    try:
        function = point.load()
    except (ImportError, AttributeError) as error:
        raise LookupError(f"{where} cannot be loaded: {error}") from error
    stated = getattr(function, "version", None)
    if not (isinstance(stated, str) and stated):
        raise LookupError(f"{where} has no version; set one: function.version = '1'")
    own = _Own(function)
    try:
        own("a")
    except Exception as error:
        said = f"{where} does not make a text of a text: {_told(error)}"
        raise LookupError(said) from error
    return Normalizer(point.name, stated, own)


class _Own:
    """One's own normaliser, given `PATIENCE` for each text.

    Raises what it raises, TypeError where it gives no text, and TimeoutError.
    """

    def __init__(self, function: Callable[[str], Any]) -> None:
        self._function = function
        self._late = ""

    def __call__(self, text: str) -> str:
        if self._late:
            raise TimeoutError(self._late)
        found: list[Any] = []

        def call() -> None:
            try:
                found.append(self._function(text))
            except BaseException as error:
                found.append(error)

        thread = Thread(target=call, name="normalizer", daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if not found:
            self._late = (
                f"it took more than {PATIENCE:g} s for a text of {len(text):,} "
                "characters, and is not called again"
            )
            raise TimeoutError(self._late)
        if isinstance(found[0], BaseException):
            raise found[0]
        if not isinstance(found[0], str):
            raise TypeError(f"it gave {type(found[0]).__name__}, not a text")
        return found[0]


def _normalised(
    chosen: Normalizer, texts: Sequence[str]
) -> tuple[Normalizer, list[str], str]:
    """The normaliser that was used, the texts by it, and why it is not the chosen one.

    It is the same one for all texts, since they are compared.
    """
    try:
        return chosen, [chosen.function(text) for text in texts], ""
    except Exception as error:
        reason = f"{chosen.id} was not used: {_told(error)}"
    return BASIC, [BASIC.function(text) for text in texts], reason


def _told(error: Exception) -> str:
    """An error in a line."""
    said = ": ".join(filter(None, (type(error).__name__, str(error))))[:_SHOWN]
    return "".join(sign if sign.isprintable() else " " for sign in said)


def normalizer_for(reference: str, language: str = "") -> Normalizer:
    """The normaliser that is used where none is named."""
    code = _code(language)
    if code:
        return WHISPER_ENGLISH if code in _ENGLISH else BASIC
    return WHISPER_ENGLISH if _mainly(reference, ("LATIN",)) else BASIC


def unspaced(reference: str, language: str = "") -> bool:
    """Whether the words of a text are not set apart, so that characters are counted."""
    code = _code(language)
    if code:
        return code in _UNSPACED_LANGUAGES
    return any(map(_letter, reference)) and _mainly(reference, _UNSPACED_SCRIPTS)


def lines(alignment: Alignment, *, width: int = 80) -> str:
    """The alignment to be read: reference, hypothesis and errors under each other.

    Lines are at most ``width`` columns, at least 20; a longer word is cut. Of a long
    alignment the first `_LINES` blocks with an error are shown, and it is said how much
    there is.
    """
    if width < 20:
        raise ValueError(f"an alignment needs 20 columns, not {width}")
    gap = " " if alignment.unit is Unit.WORD else ""
    room = width - _MARGIN
    blocks: list[list[tuple[str, str, str]]] = []
    used = room
    for pair in alignment.pairs:
        cells, columns = _cells(pair, room)
        if used + len(gap) + columns > room:
            blocks.append([])
            used = -len(gap)
        blocks[-1].append(cells)
        used += len(gap) + columns
    shown, hidden = blocks, list[str]()
    if len(blocks) > _LINES:
        wrong = [block for block in blocks if any(kind.strip() for *_, kind in block)]
        shown = wrong[:_LINES]
        note = f"... {len(shown)} of {len(blocks)} lines, {len(wrong)} with errors"
        hidden = textwrap.wrap(note, width)
    texts = []
    for block in shown:
        rows = zip(("ref: ", "hyp: ", "     "), zip(*block, strict=True), strict=True)
        texts += [(name + gap.join(row)).rstrip() for name, row in rows]
    return "\n".join(text for text in (*texts, *hidden) if text)


def _align(
    reference: str,
    hypothesis: str | None,
    unit: Unit,
    normalizer: Normalizer | None,
    language: str,
) -> Alignment:
    chosen = normalizer or normalizer_for(reference, language)
    used, normal, reason = _normalised(chosen, (reference, hypothesis or ""))
    said, heard = (_tokens(text, unit) for text in normal)
    return Alignment(unit, used.id, align(said, heard), reason)


def align(said: Sequence[str], heard: Sequence[str]) -> tuple[Pair, ...]:
    """Words that were said and words that were heard, with the least edits.

    No word is empty or has a blank in it. Over `MOST_CELLS`, there may be more edits.
    """
    if len(said) * len(heard) <= MOST_CELLS:
        return _least(said, heard)
    pairs: list[Pair] = []
    for left, right in _parts(said, heard):
        if len(left) * len(right) <= MOST_CELLS:
            pairs += _least(left, right)
        else:
            pairs += map(Pair, left, right)
            pairs += [Pair(word, None) for word in left[len(right) :]]
            pairs += [Pair(None, word) for word in right[len(left) :]]
    return tuple(pairs)


def _parts(
    said: Sequence[str], heard: Sequence[str]
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Both texts, cut where the same run of words stands in both, and once in each.

    Of these runs, as many are taken as stand in the same order in both (the patience
    diff of Bram Cohen).
    """
    numbers: dict[str, int] = {}
    left, lefts = _once(_numbered(said, numbers))
    right, rights = _once(_numbered(heard, numbers))
    _, one, other = np.intersect1d(left, right, True, return_indices=True)
    places = sorted(zip(lefts[one].tolist(), rights[other].tolist(), strict=True))
    start, begin = 0, 0
    for at, place in _rising(places):
        if at - start >= _PART and place > begin:
            yield said[start:at], heard[begin:place]
            start, begin = at, place
    yield said[start:], heard[begin:]


def _once(
    words: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The runs of `_RUN` words that stand once in a text, as hashes, and where."""
    hashes = np.zeros(max(0, len(words) - _RUN + 1), np.uint64)
    for number in range(_RUN):
        following = words[number : number + len(hashes)].astype(np.uint64)
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + following + np.uint64(1)
    values, places, counts = np.unique(hashes, return_index=True, return_counts=True)
    return values[counts == 1], places[counts == 1]


def _rising(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """As many of these pairs as rise on both sides; they rise on the left."""
    ends: list[int] = []  # the least end on the right of a chain of each length
    tops: list[int] = []  # and its index
    before: list[int] = []
    for index, (_, place) in enumerate(places):
        length = bisect_left(ends, place)
        ends[length : length + 1] = [place]
        tops[length : length + 1] = [index]
        before.append(tops[length - 1] if length else -1)
    chain = []
    index = tops[-1] if tops else -1
    while index >= 0:
        chain.append(places[index])
        index = before[index]
    return chain[::-1]


def _least(said: Sequence[str], heard: Sequence[str]) -> tuple[Pair, ...]:
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    pairs: list[Pair] = []
    for chunk in found.alignments[0]:
        left = said[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "delete":
            pairs += [Pair(token, None) for token in left]
        elif chunk.type == "insert":
            pairs += [Pair(None, token) for token in right]
        else:
            pairs += map(Pair, left, right)
    return tuple(pairs)


def _spoken(alignment: Alignment) -> list[Pair]:
    return [pair for pair in alignment.pairs if pair.reference is not None]


def _deleted(pairs: Iterable[Pair]) -> int:
    return sum(pair.hypothesis is None for pair in pairs)


def _count(run: Sequence[str], tokens: Sequence[str]) -> int:
    """How often a run stands among tokens, without overlap."""
    count = at = 0
    while at <= len(tokens) - len(run):
        same = all(map(str.__eq__, run, tokens[at : at + len(run)]))
        count += same
        at += len(run) if same else 1
    return count


def _tokens(text: str, unit: Unit) -> list[str]:
    tokens = text.split()
    return tokens if unit is Unit.WORD else list("".join(tokens))


def _kind(pair: Pair) -> str:
    if pair.reference is None:
        return "I"
    if pair.hypothesis is None:
        return "D"
    return "" if pair.reference == pair.hypothesis else "S"


def _cells(pair: Pair, room: int) -> tuple[tuple[str, str, str], int]:
    """Both sides and the kind of error at the same width, and that width."""
    texts = [
        None if text is None else _cut(text, room)
        for text in (pair.reference, pair.hypothesis)
    ]
    width = max(1, *(_columns(text or "") for text in texts))
    left, right = (
        "*" * width if text is None else text + " " * (width - _columns(text))
        for text in texts
    )
    return (left, right, _kind(pair).ljust(width)), width


def _cut(text: str, room: int) -> str:
    text = "".join("\ufffd" if _category(c) in ("Cc", "Cs") else c for c in text)
    if _columns(text) <= room:
        return text
    text = text[:room]
    while _columns(text) > room - 3:
        text = text[:-1]
    return text + "..."


def _columns(text: str) -> int:
    return sum(map(_column, text))


def _column(char: str) -> int:
    if _category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _category(char: str) -> str:
    return unicodedata.category(char)


def _code(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].strip().lower()


def _letter(char: str) -> bool:
    return _category(char)[0] == "L"


def _mainly(text: str, scripts: tuple[str, ...]) -> bool:
    """Whether at least half of the letters are of these scripts, or there are none."""
    plain = unicodedata.normalize("NFKC", text)
    names = [unicodedata.name(char, "") for char in plain if _letter(char)]
    return 2 * sum(name.startswith(scripts) for name in names) >= len(names)


_PLAIN = {code: " " for code in range(128) if _category(chr(code))[0] in "PS"}


def _basic(text: str) -> str:
    if text.isascii():  # the same, and soon done
        return text.lower().translate(_PLAIN)
    seen = "".join(char for char in text if _category(char) != "Cf")
    folded = unicodedata.normalize("NFKC", _fewer_marks(seen)).casefold()
    plain = unicodedata.normalize("NFKC", folded)
    return "".join(" " if _category(char)[0] in "PS" else char for char in plain)


def _fewer_marks(text: str) -> str:
    """The text with no more than `_MARKS` marks in a row.

    Unicode puts marks in order, and Python takes the square of their number for it.
    """
    if text.isascii():
        return text
    kept, row = [], 0
    for char in text:
        row = row + 1 if unicodedata.combining(char) else 0
        if row <= _MARKS:
            kept.append(char)
    return "".join(kept)


_BRACKETS = re.compile(r"[<\[][^>\]]*[>\]]")
_PARENTHESES = re.compile(r"\([^)]+?\)")
_FILLERS = re.compile(r"\b(?:hmm|mm|mhm|mmm|uh|um)\b")
_BLANKS = re.compile(r"\s{2,}")
_STARS = str.maketrans(dict.fromkeys("<[", "*"))
_whisper = EnglishTextNormalizer()


def _english(text: str) -> str:
    """Whisper's English normaliser, on a text that makes nothing in it quadratic.

    Its first steps are done here, on the part of the text in which each of their
    patterns finds an end: what is in brackets is left out, a bracket that is never
    closed is a sign like any other, fillers are left out, and two blanks or more are
    two. None of it changes the result.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"the text has {len(text):,} characters, and it takes {MOST_CHARACTERS:,}"
        )
    text = text.lower()
    end = max(map(text.rfind, ">]")) + 1
    text = _BRACKETS.sub("", text[:end]) + text[end:].translate(_STARS)
    end = text.rfind(")") + 1
    text = _PARENTHESES.sub("", text[:end]) + text[end:].replace("(", "*")
    text = _BLANKS.sub("  ", _FILLERS.sub("", text))
    return str(_whisper(_fewer_marks(text)))


NONE = Normalizer("none", "1", str)
BASIC = Normalizer("basic", "1", _basic)
WHISPER_ENGLISH = Normalizer("whisper-english", version("whisper-normalizer"), _english)
NORMALIZERS: Mapping[str, Normalizer] = MappingProxyType(
    {each.name: each for each in (NONE, BASIC, WHISPER_ENGLISH)}
)
