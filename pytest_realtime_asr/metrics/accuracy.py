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
"""

from __future__ import annotations

import enum
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, version
from types import MappingProxyType

import jiwer

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
    """A reference and a hypothesis, normalised, word by word or by characters."""

    unit: Unit
    normalizer: str
    pairs: tuple[Pair, ...]

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
    three in a row may be a number or a long vowel.
    """
    said = [p.hypothesis for p in alignment.pairs if p.hypothesis is not None]
    spoken = [p.reference for p in alignment.pairs if p.reference is not None]
    shortest = 1 if alignment.unit is Unit.WORD else 2
    for size in range(shortest, len(said) // 3 + 1):
        for at in range(len(said) - 3 * size + 1):
            thrice = said[at : at + size] * 3
            if said[at : at + 3 * size] == thrice and not _count(thrice, spoken):
                return " ".join(said[at : at + size])
    return ""


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
    heard = _tokens(chosen.function(hypothesis or ""), unit)
    said: Counter[tuple[str, ...]] = Counter()
    found: list[str] = []
    missed: list[str] = []
    for entity in entities:
        tokens = tuple(_tokens(chosen.function(entity), unit))
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
    has its version as a text in its attribute ``version``. Raises LookupError, which
    says what is wrong with it, or which there are.
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
    if not (callable(function) and isinstance(function("a"), str)):
        raise LookupError(f"{where} does not make a text of a text")
    return Normalizer(point.name, stated, function)


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

    Lines are at most ``width`` columns, at least 20; a longer word is cut.
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
    texts = []
    for block in blocks:
        rows = zip(("ref: ", "hyp: ", "     "), zip(*block, strict=True), strict=True)
        texts += [(name + gap.join(row)).rstrip() for name, row in rows]
    return "\n".join(text for text in texts if text)


def _align(
    reference: str,
    hypothesis: str | None,
    unit: Unit,
    normalizer: Normalizer | None,
    language: str,
) -> Alignment:
    chosen = normalizer or normalizer_for(reference, language)
    said = _tokens(chosen.function(reference), unit)
    heard = _tokens(chosen.function(hypothesis or ""), unit)
    return Alignment(unit, chosen.id, align(said, heard))


def align(said: Sequence[str], heard: Sequence[str]) -> tuple[Pair, ...]:
    """Words that were said and words that were heard, with the least edits.

    No word is empty or has a blank in it.
    """
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


def _basic(text: str) -> str:
    seen = "".join(char for char in text if _category(char) != "Cf")
    folded = unicodedata.normalize("NFKC", seen).casefold()
    plain = unicodedata.normalize("NFKC", folded)
    return "".join(" " if _category(char)[0] in "PS" else char for char in plain)


NONE = Normalizer("none", "1", str)
BASIC = Normalizer("basic", "1", _basic)
WHISPER_ENGLISH = Normalizer(
    "whisper-english", version("whisper-normalizer"), EnglishTextNormalizer()
)
NORMALIZERS: Mapping[str, Normalizer] = MappingProxyType(
    {each.name: each for each in (NONE, BASIC, WHISPER_ENGLISH)}
)
