"""Normalisers: named and versioned ways to make texts comparable.

A normaliser decides which words are equal; a change of normaliser alone has changed
published error rates by a tenth. So each normaliser has a version, and every number is
stored with the id of the normaliser that was used:

``none``
    changes nothing; words end at white space, and case and punctuation count.
``basic``
    folds compatibility forms and case, turns punctuation and symbols into blanks, and
    removes invisible format characters. Marks stay: accents, vowel signs, harakat.
    Whisper's own basic normaliser is not used, for two reasons: it removes marks, which
    splits words of Hindi, Thai and vocalised Arabic, and it drops all text in brackets.
``whisper-english``
    is Whisper's English normaliser. It ignores differences of contractions, spellings,
    numbers, titles, fillers, bracketed notes and accents. It damages other languages.

If no normaliser is named, ``whisper-english`` is used for English, and for a reference
of unknown language in mainly Latin letters; ``basic`` is used for all other references.
The choice depends only on the reference and its language, so that the server's text
cannot change the choice. A corpus in another language with Latin letters should state
its language. A user's own normaliser can be named as well (`normalizer_named`).

A server may send long or malicious texts, so the cost of every step is linear. If a
normaliser fails on a text, or takes longer than `PATIENCE`, ``basic`` is used for both
texts of the pair; the result names the normaliser that was used, and the reason.
``whisper-english`` accepts texts of up to `MOST_CHARACTERS` characters.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, version
from threading import Thread
from types import MappingProxyType
from typing import Any, NamedTuple

from pytest_realtime_asr.text.messages import error_text

with warnings.catch_warnings():
    # This module contains an invalid escape, about which Python warns when it compiles
    # the module. If warnings are errors, the warning would end the run.
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
GROUP = "pytest_realtime_asr.normalizers"  # the entry points of users' normalisers
PATIENCE = 10.0  # s; the longest time that a user's normaliser may take for a text
MOST_CHARACTERS = 200_000  # for whisper-english; about four hours of speech
_MARKS = 30  # marks in a row that are kept (UAX #15: no language has more)


@dataclass(frozen=True, slots=True)
class Normalizer:
    """A named and versioned way to make texts comparable."""

    name: str
    version: str
    function: Callable[[str], str]

    @property
    def id(self) -> str:
        """The name and version, as shown with every number."""
        return f"{self.name}/{self.version}"


class Normalised(NamedTuple):
    """Texts in normal form, and the normaliser that was used.

    ``reason`` says why the chosen normaliser was not used; ``None`` if it was.
    """

    normalizer: Normalizer
    texts: list[str]
    reason: str | None


def normalizer_named(name: str) -> Normalizer:
    """Return the normaliser of this name: one of `NORMALIZERS`, or a user's own.

    A user's normaliser is an entry point in the group `GROUP`: a function that takes
    and returns a string, with its version as a string in the attribute ``version``. The
    function is called in a thread of its own. If the function raises an exception or
    takes longer than `PATIENCE`, the text is scored with ``basic``. A function that
    took too long is not called again. A regular expression cannot be interrupted, so a
    slow one blocks the run until it ends. Raises LookupError, which says what is wrong
    with the normaliser, or lists the names to choose from.
    """
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    own = {point.name: point for point in entry_points(group=GROUP)}
    if name not in own:
        raise LookupError(
            f"there is no normalizer {name!r}; "
            f"choose from {', '.join([*NORMALIZERS, *sorted(own)])} "
            f"(your own normalizer must be an entry point in the group {GROUP})"
        )
    return _users(own[name])


def _users(point: EntryPoint) -> Normalizer:
    where = f"the normalizer {point.name} ({point.value})"
    try:
        function = point.load()
    except (ImportError, AttributeError) as error:
        raise LookupError(f"{where} cannot be loaded: {error}") from error
    stated = getattr(function, "version", None)
    if not (isinstance(stated, str) and stated):
        raise LookupError(f"{where} has no version; set one: function.version = '1'")
    own = _Timed(function)
    try:
        own("a")
    except Exception as error:
        why = f"{where} does not return a string for a string: {error_text(error)}"
        raise LookupError(why) from error
    return Normalizer(point.name, stated, own)


class _Timed:
    """A user's normaliser with a time limit of `PATIENCE` for each text.

    Raises what the normaliser raises, TypeError if it does not return a string, and
    TimeoutError if it takes too long.
    """

    def __init__(self, function: Callable[[str], Any]) -> None:
        self._function = function
        self._late: str | None = None

    def __call__(self, text: str) -> str:
        if self._late is not None:
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
                f"the normalizer took more than {PATIENCE:g} s for a text of "
                f"{len(text):,} characters, and is not called again"
            )
            raise TimeoutError(self._late)
        if isinstance(found[0], BaseException):
            raise found[0]
        if not isinstance(found[0], str):
            raise TypeError(
                f"the normalizer returned {type(found[0]).__name__}, not str"
            )
        return found[0]


def normalised(chosen: Normalizer, texts: Sequence[str]) -> Normalised:
    """Return texts in normal form, all by the same normaliser.

    If the chosen normaliser fails on one of the texts, ``basic`` is used for all.
    """
    try:
        return Normalised(chosen, [chosen.function(text) for text in texts], None)
    except Exception as error:
        reason = f"{chosen.id} was not used: {error_text(error)}"
    return Normalised(BASIC, [BASIC.function(text) for text in texts], reason)


def normalizer_for(reference: str, language: str = "") -> Normalizer:
    """Return the normaliser for a reference if the user has named none."""
    code = _code(language)
    if code:
        return WHISPER_ENGLISH if code in _ENGLISH else BASIC
    return WHISPER_ENGLISH if _mainly(reference, ("LATIN",)) else BASIC


def unspaced(reference: str, language: str = "") -> bool:
    """Return whether the writing system of a reference has no spaces between words."""
    code = _code(language)
    if code:
        return code in _UNSPACED_LANGUAGES
    return any(map(_letter, reference)) and _mainly(reference, _UNSPACED_SCRIPTS)


def _category(char: str) -> str:
    return unicodedata.category(char)


def _code(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].strip().lower()


def _letter(char: str) -> bool:
    return _category(char)[0] == "L"


def _mainly(text: str, scripts: tuple[str, ...]) -> bool:
    """Return whether at least half of the letters of a text are of these scripts."""
    plain = unicodedata.normalize("NFKC", text)
    names = [unicodedata.name(char, "") for char in plain if _letter(char)]
    return 2 * sum(name.startswith(scripts) for name in names) >= len(names)


_PLAIN = {code: " " for code in range(128) if _category(chr(code))[0] in "PS"}


def _basic(text: str) -> str:
    if text.isascii():  # the same result, and fast
        return text.lower().translate(_PLAIN)
    seen = "".join(char for char in text if _category(char) != "Cf")
    folded = unicodedata.normalize("NFKC", _fewer_marks(seen)).casefold()
    plain = unicodedata.normalize("NFKC", folded)
    return "".join(" " if _category(char)[0] in "PS" else char for char in plain)


def _fewer_marks(text: str) -> str:
    """Return the text with no more than `_MARKS` combining marks in a row.

    Unicode normalisation sorts marks, and Python's cost for it is quadratic.
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
    """Apply Whisper's English normaliser with linear cost.

    The first steps of the normaliser are repeated here, since its own patterns have
    quadratic cost: text in brackets is removed, a bracket that is never closed becomes
    an ordinary character, fillers are removed, and two or more blanks become two. Each
    pattern for brackets is applied only up to the last closing bracket. The result is
    the same as that of the normaliser alone.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"the text has {len(text):,} characters; at most {MOST_CHARACTERS:,} are "
            "allowed"
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
