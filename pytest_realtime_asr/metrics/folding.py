"""Folding, which gives one form to characters that differ only in how they are written.

`fold` is the folding for every language. It removes invisible characters and the
Arabic tatweel. It gives one form to apostrophes, to the digits of all writing systems
and to a few ligatures. Each token of a model, such as ``<unk>``, becomes one word.
`basic` also folds compatibility forms and case, and turns punctuation and symbols into
blanks. The functions named after a language add the folding of this language.

A server may send long or malicious texts, so the cost of every step is linear.
"""

from __future__ import annotations

import re
import unicodedata

_MARKS = 30  # marks in a row that are kept (UAX #15: no language has more)
_APOSTROPHES = (
    "\u00b4\u02b9\u02bb\u02bc\u0060\u2018\u2019\u201b\u2032\uff07\ua78c\u055a"
)
_INVISIBLE = {  # ignored by default (UAX #44), but not of the category Cf
    *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
}
_TATWEEL = "\u0640"  # stretches an Arabic word and has no sound
_REPLACED = {
    **dict.fromkeys(_APOSTROPHES, "'"),
    "\u2047": " unk ",  # sentencepiece writes its unknown token as a double "?"
    "\u0152": "OE",
    "\u0153": "oe",
    # Romanian: the letters with a comma below, as older encodings write them.
    "\u0218": "\u015e",
    "\u0219": "\u015f",
    "\u021a": "\u0162",
    "\u021b": "\u0163",
}
_TOKEN = re.compile(r"[<\[]([^<>\[\]\s]{1,40})[>\]]")
_NOTE = re.compile(r"<[^<>]{0,100}>|\[[^\[\]]{0,100}\]")
_NUMBER = re.compile(r"(?<!\d)\d++(?:[.,:\u066b\u066c]\d++)+", re.ASCII)
_SEPARATOR = re.compile(r"[.,:\u066b\u066c]")


class _Folded(dict[int, str]):
    """A table for `str.translate` that folds characters, and is filled when needed."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        category = unicodedata.category(char)
        if char in _REPLACED:
            folded = _REPLACED[char]
        elif category == "Cf" or code in _INVISIBLE or char == _TATWEEL:
            folded = ""
        elif category == "Nd":
            folded = str(unicodedata.decimal(char))
        else:
            folded = char
        self[code] = folded
        return folded


class _Plain(dict[int, str]):
    """A table for `str.translate` that turns punctuation and symbols into blanks."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = " " if unicodedata.category(char)[0] in "PS" else char
        return self[code]


_FOLDED = _Folded()
_PLAIN = _Plain()


def fold(text: str) -> str:
    """Return a text after the folding that applies to every language."""
    return _TOKEN.sub(_word, fewer_marks(text.translate(_FOLDED)))


def _word(token: re.Match[str]) -> str:
    """Return a token of a model as one word: ``<|en|>`` as ``en``."""
    return f" {''.join(filter(str.isalnum, token[1]))} "


def without_notes(reference: str) -> str:
    """Return a reference without its notes in brackets, such as ``[laughter]``.

    Notes in the text of a server stay and count as errors, since the speaker did not
    say them.
    """
    return _NOTE.sub(" ", reference)


def basic(text: str) -> str:
    """Return a text in lower case without punctuation and symbols.

    Combining marks, such as accents and vowel signs, stay. In a number, separators of
    thousands are removed. A point, comma or colon that is not followed by three digits
    becomes a point, so that ``3,5`` differs from ``35``.
    """
    folded = unicodedata.normalize("NFKC", fold(text)).casefold()
    folded = unicodedata.normalize("NFKC", folded).translate(_FOLDED)
    parts: list[str] = []
    end = 0
    for number in _NUMBER.finditer(folded):
        parts += [folded[end : number.start()].translate(_PLAIN), _number(number[0])]
        end = number.end()
    return "".join([*parts, folded[end:].translate(_PLAIN)])


def _number(text: str) -> str:
    """Return the standard form of a number that has separators between its digits.

    A number with several separators that do not separate thousands is a date or a
    telephone number; its separators become blanks.
    """
    first, *rest = _SEPARATOR.split(text)
    signs = _SEPARATOR.findall(text)
    if _thousands(first, rest, signs):
        return first + "".join(rest)
    if len(rest) == 1:
        return f"{first}.{rest[0]}"
    if signs[-1] != signs[0] and _thousands(first, rest[:-1], signs[:-1]):
        return f"{first}{''.join(rest[:-1])}.{rest[-1]}"
    return " ".join([first, *rest])


def _thousands(first: str, rest: list[str], signs: list[str]) -> bool:
    plain = len(set(signs)) == 1 and signs[0] != ":" and not first.startswith("0")
    return plain and len(first) <= 3 and all(len(group) == 3 for group in rest)


def fewer_marks(text: str) -> str:
    """Return the text with no more than `_MARKS` combining marks in a row.

    Unicode normalisation sorts the marks, and this sorting has quadratic cost in
    Python.
    """
    if text.isascii():
        return text
    kept, row = [], 0
    for char in text:
        row = row + 1 if unicodedata.combining(char) else 0
        if row <= _MARKS:
            kept.append(char)
    return "".join(kept)


# Languages

# Short vowels and other signs that most texts leave out; hamza and madda stay.
_HARAKAT = dict.fromkeys(
    [
        *range(0x610, 0x61B),
        *range(0x64B, 0x653),
        *range(0x656, 0x660),
        0x670,
        *(code for code in range(0x6D6, 0x6EE) if unicodedata.combining(chr(code))),
    ]
)
_NIQQUD = dict.fromkeys(
    code for code in range(0x591, 0x5C8) if unicodedata.combining(chr(code))
)
_PERSIAN = str.maketrans("\u0643\u064a\u0649", "\u06a9\u06cc\u06cc")
_RUSSIAN = str.maketrans("\u0451", "\u0435")
_TURKISH = str.maketrans("I\u0130", "\u0131i")


def arabic(text: str) -> str:
    """Return the result of `basic` without harakat, which most texts do not have."""
    return basic(text).translate(_HARAKAT)


def hebrew(text: str) -> str:
    """Return the result of `basic` without niqqud and cantillation marks."""
    return basic(text).translate(_NIQQUD)


def persian(text: str) -> str:
    """Return the result of `arabic` with Persian letters for Arabic kaf and yeh."""
    return arabic(text).translate(_PERSIAN)


def russian(text: str) -> str:
    """Return the result of `basic` with the letter yo written as ye, as is usual."""
    return basic(text).translate(_RUSSIAN)


def turkish(text: str) -> str:
    """Return the result of `basic`; the letter I becomes a dotless i, as in Turkish."""
    composed = unicodedata.normalize("NFC", fewer_marks(text))
    return basic(composed.translate(_TURKISH))
