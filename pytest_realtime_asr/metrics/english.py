"""English: Whisper's own normaliser, and a corrected form of this normaliser.

`whisper_english` is Whisper's own normaliser at linear cost. `english` changes the text
before and after Whisper's normaliser:

- first, `fold` makes apostrophes plain and removes invisible characters. Then
  compatibility forms become plain: an ellipsis, for example, becomes three dots;
- text in brackets stays, since a server that sends ``<unk>`` has sent an extra word;
- numbers next to each other stay separate. Whisper joins "one two three" to one word,
  so that three wrong digits would be one error. It also joins "7 30" with what
  follows.
  Only the words of one numeral are joined here: "twenty three", "two hundred and five";
- leading zeros stay; times of day, initials and "OK" have one form each.

The grouping of digits is a matter of style: `digits.regrouped` then groups the digits
as in the reference.
"""

from __future__ import annotations

import enum
import re
import unicodedata
import warnings

from pytest_realtime_asr.metrics.folding import fewer_marks, fold

with warnings.catch_warnings():
    # This module contains an invalid escape, about which Python warns when it compiles
    # the module. If warnings are errors, the warning would end the run.
    warnings.simplefilter("ignore")
    from whisper_normalizer.english import EnglishTextNormalizer

MOST_CHARACTERS = 200_000  # about four hours of speech
_BRACKETS = re.compile(r"[<\[][^>\]]*[>\]]")
_PARENTHESES = re.compile(r"\([^)]+?\)")
_FILLERS = re.compile(r"\b(?:hmm|mm|mhm|mmm|uh|um)\b")
_BLANKS = re.compile(r"\s{2,}")
_STARS = str.maketrans(dict.fromkeys("<[", "*"))
_whisper = EnglishTextNormalizer()


def whisper_english(text: str) -> str:
    """Apply Whisper's English normaliser with linear cost.

    The first steps of Whisper's normaliser have quadratic cost, so they are done here
    before it is called: text in brackets is removed, a bracket that is never closed
    becomes an ordinary character, fillers are removed, and two or more blanks become
    two. Each pattern for brackets is applied only up to the last closing bracket. The
    result is the same as Whisper's. Raises ValueError for a text of more than
    `MOST_CHARACTERS`.
    """
    _check_length(text)
    return _whispers(text)


def _whispers(text: str) -> str:
    text = text.lower()
    end = max(map(text.rfind, ">]")) + 1
    text = _BRACKETS.sub("", text[:end]) + text[end:].translate(_STARS)
    end = text.rfind(")") + 1
    text = _PARENTHESES.sub("", text[:end]) + text[end:].replace("(", "*")
    text = _BLANKS.sub("  ", _FILLERS.sub("", text))
    return str(_whisper(fewer_marks(text)))


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"the text has {len(text):,} characters; at most {MOST_CHARACTERS:,} are "
            "allowed"
        )


class _Kind(enum.Enum):
    """The role that a word can have in a numeral."""

    ZERO = enum.auto()
    UNIT = enum.auto()
    TEEN = enum.auto()
    TEN = enum.auto()
    MULTIPLIER = enum.auto()
    DIGITS = enum.auto()


_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"),
    "ninth",
)
_TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
    *("seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_MULTIPLIERS = ("hundred", "thousand", "million", "billion", "trillion")
_KINDS = {
    "zero": _Kind.ZERO,
    **dict.fromkeys([*_UNITS, *_ORDINALS], _Kind.UNIT),
    **dict.fromkeys(_TEENS, _Kind.TEEN),
    **dict.fromkeys(_TENS, _Kind.TEN),
    **dict.fromkeys(
        [each + end for each in _MULTIPLIERS for end in ("", "s", "th")],
        _Kind.MULTIPLIER,
    ),
}
_OH = {"oh", "o"}  # zero, if it stands beside a number
_REPEATED = {"double": 2, "triple": 3}
# The pairs of words that belong to one numeral: "twenty three", "three hundred".
_ONE_NUMERAL = {
    (_Kind.TEN, _Kind.UNIT),
    *((kind, _Kind.MULTIPLIER) for kind in _Kind if kind is not _Kind.ZERO),
    *(
        (_Kind.MULTIPLIER, kind)
        for kind in (_Kind.UNIT, _Kind.TEEN, _Kind.TEN, _Kind.MULTIPLIER)
    ),
}
_PUNCTUATION = ".,;:!?\"'"
_APART = "\ue000"  # a word between two numbers; a text has no character of private use
_DIGITS = re.compile(r"[$\u20ac\u00a3]?\d+(?:\.\d+)?", re.ASCII)
_NUMBER = f"[0-9]+|oclock|{'|'.join(_KINDS)}"
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.ASCII), replacement)
    for pattern, replacement in (
        # Signs between words; text in brackets stays, unlike in Whisper's normaliser.
        ('[\ue000<>\\[\\](){}"\u201c\u201d\u201e\u00ab\u00bb]', " "),
        (r"(?<=\w)[-/*+=~|\u2010-\u2015](?=\w)", " "),
        (r"&", " and "),
        (r"\.{2,}", " "),
        # Times: "7.30 a.m.", "7:00 am" as "7 am", "7:00" as "7 o'clock", "7:30".
        (r"\bo'? ?clock\b", "oclock"),
        (r"\b0?(\d{1,2})[:.]([0-5]\d) ?([ap])\.? ?m\b\.?", r"\1 \2 \3m"),
        (r"\b(\d{1,2}) 00(?= [ap]m\b)", r"\1"),
        (r"(?<![\d:.])0?(\d{1,2}):00(?![\d:])(?: oclock\b)?", r"\1 oclock"),
        (r"(?<![\d:.])0?(\d{1,2}):([0-5]\d)(?![\d:])", r"\1 \2"),
        (r"(?<=\d)(?=[ap]m\b)", " "),
        (rf"\b({_NUMBER}) ([ap])\.? ?m\b\.?", r"\1 \2m"),
        # Numbers
        (r"\ba (hundred|thousand|million|billion)\b", r"one \1"),
        (r"(?<![\w.])[-\u2212](?=\d)", " minus "),
        # Words
        (r"\bcannot\b", "can not"),
        (r"\bok\b", "okay"),
    )
)
_INITIALS = re.compile(r"\b[a-z](?:\.[a-z])+\b\.?", re.ASCII)
_LEADING_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)", re.ASCII)
_ONE = re.compile(r"\bone\b")
_DAY = re.compile(
    r"\b((?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december) \d{1,2})(?:st|nd|rd|th)\b",
    re.ASCII,
)
_PLUS = re.compile(r"\+(?=\d)")


def english(text: str) -> str:
    """Return an English text in the form in which its words are counted.

    Raises ValueError for a text of more than `MOST_CHARACTERS`.
    """
    _check_length(text)
    text = unicodedata.normalize("NFKC", fold(text)).lower()
    text = _INITIALS.sub(
        lambda found: found[0].replace(".", ""), " ".join(text.split())
    )
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    text = _LEADING_ZEROS.sub(lambda zeros: f"0 {_APART} " * len(zeros[0]), text)
    text = _whispers(" ".join(_separated(text.split())))
    text = _ONE.sub("1", " ".join(text.replace(_APART, " ").split()))
    return _DAY.sub(r"\1", _PLUS.sub("", text))


def _separated(words: list[str]) -> list[str]:
    """Return the words, with `_APART` between numbers that are separate numerals."""
    found: list[str] = []
    before: _Kind | None = None
    ended = decimals = False
    repeat = 1
    plains = [word.strip(_PUNCTUATION) for word in words]
    for word, plain, after in zip(words, plains, [*plains, ""][1:], strict=True):
        if plain in _REPEATED and _kind(after) in (_Kind.ZERO, _Kind.UNIT):
            repeat = _REPEATED[plain]
            continue
        if not any(map(str.isalnum, word)):  # Whisper would join "one / two"
            found.append(word)
            ended = True
            continue
        kind = _kind(plain)
        if plain in _OH:
            beside = before is not None or _kind(after) is not None
            kind = _Kind.ZERO if beside or after in _OH else None
            word = word.replace(plain, "zero" if kind else f"oh{_APART}")
        decimals = decimals and kind in (_Kind.ZERO, _Kind.UNIT)
        for _ in range(repeat):
            joined = (before, kind) in _ONE_NUMERAL
            if ended and before is not _Kind.MULTIPLIER:
                joined = False  # "twenty, three"
            if not (before is None or kind is None or joined or decimals):
                found.append(_APART)
            found.append(word)
            before, ended = kind, not word.endswith(plain)
        repeat = 1
        decimals = decimals or plain == "point"
    return found


def _kind(word: str) -> _Kind | None:
    if word in _KINDS:
        return _KINDS[word]
    return _Kind.DIGITS if _DIGITS.fullmatch(word) else None
