"""Normalisers: named and versioned ways to make texts comparable.

A normaliser decides which words are equal, so a change of normaliser alone changes an
error rate. So each normaliser has a version, and every result is stored with the id of
the normaliser that was used:

``none``
    changes nothing; words end at white space, and case and punctuation count.
``basic``
    fits every language (`folding.basic`): it folds case and characters that differ only
    in how they are written, and turns punctuation and symbols into blanks. Accents
    and vowel signs stay. Whisper's own basic normaliser is not used, for two reasons:
    it removes marks, which splits words of Hindi, Thai and vocalised Arabic, and it
    drops all text in brackets.
``arabic``, ``hebrew``, ``persian``, ``russian``, ``turkish``
    are ``basic`` with the rules of one language, such as the removal of harakat.
``english``
    ignores differences of contractions, spellings, numbers, times, titles, fillers and
    accents (`english.english`).
``whisper-english``
    is Whisper's English normaliser, for comparison with published numbers. It ignores
    text in brackets, and counts digits in a row as one word.

If no normaliser is named, the language of the reference decides (`language_of`): the
stated language, or the only language that uses the writing system of the reference. If
the language is unknown, ``basic`` is used; no text is assumed to be English. The choice
depends only on the reference and its language, so that the server's text cannot change
the choice. A user can also write a normaliser and name it (`normalizer_named`).

A server may send long or malicious texts, so the cost of every step is linear. If a
normaliser fails on a text, or takes longer than `PATIENCE`, ``basic`` is used for both
texts of the pair; the result names the normaliser that was used, and the reason.
``english`` and ``whisper-english`` accept texts of up to `english.MOST_CHARACTERS`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points, version
from threading import Thread
from types import MappingProxyType
from typing import Any, NamedTuple

from pytest_realtime_asr.corpus.language import language_of
from pytest_realtime_asr.metrics import english, folding
from pytest_realtime_asr.text.messages import error_text

_UNSPACED_LANGUAGES = frozenset(
    {"zh", "yue", "wuu", "nan", "hak", "ja", "th", "lo", "km", "my"}
)
# Arabic and its varieties, and other languages that leave out harakat.
_LANGUAGES_WITH_HARAKAT = (
    *("ar", "arb", "arq", "ary", "arz", "aeb", "acm", "acw", "afb", "ajp", "apc"),
    *("apd", "ars", "shu", "ur", "ps", "sd"),
)
_UNSPACED_SCRIPTS = (
    *("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA"),
    *("THAI", "LAO", "KHMER", "MYANMAR"),
)
GROUP = "pytest_realtime_asr.normalizers"  # the entry points of users' normalisers
PATIENCE = 10.0  # s; the longest time that a user's normaliser may take for a text


@dataclass(frozen=True, slots=True)
class Normalizer:
    """A named and versioned way to make texts comparable.

    If ``by_sound`` is true, notes in brackets, such as ``[laughter]``, are not counted
    as words of a reference, and the digits of a hypothesis are grouped as in the
    reference (`digits.regrouped`).
    """

    name: str
    version: str
    function: Callable[[str], str]
    by_sound: bool = False

    @property
    def id(self) -> str:
        """The name and version, as shown with every result."""
        return f"{self.name}/{self.version}"


class Normalised(NamedTuple):
    """Texts in normal form, and the normaliser that was used.

    ``reason`` says why the chosen normaliser was not used; it is ``None`` if it was.
    """

    normalizer: Normalizer
    texts: list[str]
    reason: str | None


def normalizer_named(name: str) -> Normalizer:
    """Return the normaliser of this name: one of `NORMALIZERS`, or a user's own.

    A user's normaliser is a function that takes and returns a string. It is an entry
    point in the group `GROUP`, and its attribute ``version`` is a string. The function
    is called in a thread of its own. If the function raises an exception or takes
    longer than `PATIENCE`, the text is scored with ``basic``. A function that took too
    long is not called again. A regular expression cannot be interrupted, so a slow
    expression blocks the run until it ends. Raises LookupError if there is no such
    normaliser, or if a user's normaliser cannot be used; the message says why.
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
        why = f"{where} does not work for the text 'a': {error_text(error)}"
        raise LookupError(why) from error
    return Normalizer(point.name, stated, own)


class _Timed:
    """A user's normaliser with a time limit of `PATIENCE` for each text.

    An exception of the normaliser is passed on. Raises TypeError if the normaliser does
    not return a string, and TimeoutError if it takes too long.
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
    """Return the normaliser that a reference gets if the user has named none.

    ``language`` is the stated language. Raises `InputError` if the stated language is
    unknown.
    """
    return _BY_LANGUAGE.get(language_of(reference, language).primary, BASIC)


def unspaced(reference: str, language: str = "") -> bool:
    """Return whether the writing system of a reference has no spaces between words."""
    if primary := language_of(reference, language).primary:
        return primary in _UNSPACED_LANGUAGES
    return any(map(_letter, reference)) and _mainly(reference, _UNSPACED_SCRIPTS)


def _letter(char: str) -> bool:
    return unicodedata.category(char)[0] == "L"


def _mainly(text: str, scripts: tuple[str, ...]) -> bool:
    """Return whether at least half of the letters of a text belong to ``scripts``.

    A script is given by the first word of the Unicode names of its characters.
    """
    plain = unicodedata.normalize("NFKC", text)
    names = [unicodedata.name(char, "") for char in plain if _letter(char)]
    return 2 * sum(name.startswith(scripts) for name in names) >= len(names)


_WHISPER = version("whisper-normalizer")
NONE = Normalizer("none", "1", str)
BASIC = Normalizer("basic", "2", folding.basic, by_sound=True)
ENGLISH = Normalizer("english", f"1-{_WHISPER}", english.english, by_sound=True)
WHISPER_ENGLISH = Normalizer("whisper-english", _WHISPER, english.whisper_english)
_ARABIC = Normalizer("arabic", "1", folding.arabic, by_sound=True)
_HEBREW = Normalizer("hebrew", "1", folding.hebrew, by_sound=True)
_PERSIAN = Normalizer("persian", "1", folding.persian, by_sound=True)
_RUSSIAN = Normalizer("russian", "1", folding.russian, by_sound=True)
_TURKISH = Normalizer("turkish", "1", folding.turkish, by_sound=True)
_BY_LANGUAGE: Mapping[str, Normalizer] = MappingProxyType(
    {
        "en": ENGLISH,
        **dict.fromkeys(_LANGUAGES_WITH_HARAKAT, _ARABIC),
        "he": _HEBREW,
        **dict.fromkeys(("fa", "pes", "prs"), _PERSIAN),
        "ru": _RUSSIAN,
        **dict.fromkeys(("tr", "az"), _TURKISH),
    }
)
NORMALIZERS: Mapping[str, Normalizer] = MappingProxyType(
    {each.name: each for each in (NONE, BASIC, *_BY_LANGUAGE.values(), WHISPER_ENGLISH)}
)
