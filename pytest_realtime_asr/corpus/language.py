"""Reads the names and tags of languages, and guesses the language of a text.

A language is a tag of BCP 47 in its canonical form, such as ``en``, ``en-US`` or
``zh-Hans``. Tags are checked against the registry of IANA (the library langcodes).
English names, such as the names that Whisper and NeMo write, are in a table of this
file, because langcodes needs a package with compiled code for such names.

A language that is not stated is guessed only from a writing system that no other
language uses in practice. For example, a text in Hangul is Korean. Cyrillic letters,
Latin letters, and Chinese characters without Kana do not prove a language.
"""

from __future__ import annotations

import difflib
import enum
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import langcodes

from pytest_realtime_asr.text.inputs import InputError, shown

_NAMES = """
aa afar, ab abkhazian, af afrikaans, ak akan, am amharic, an aragonese, ar arabic, as
assamese, ast asturian, ay aymara, az azerbaijani, ba bashkir, be belarusian, bg
bulgarian, bm bambara, bn bengali, bn bangla, bo tibetan, br breton, bs bosnian, ca
catalan, ca valencian, ceb cebuano, ckb central kurdish, ckb sorani, cs czech, cv
chuvash, cy welsh, da danish, de german, dv divehi, dv maldivian, dz dzongkha, ee ewe,
el greek, en english, eo esperanto, es spanish, es castilian, et estonian, eu basque,
fa persian, fa farsi, ff fulah, fi finnish, fil filipino, fj fijian, fo faroese, fr
french, fy western frisian, ga irish, gd scottish gaelic, gl galician, gn guarani, gu
gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian, ht
haitian creole, hu hungarian, hy armenian, ia interlingua, id indonesian, ig igbo, is
icelandic, it italian, ja japanese, jv javanese, ka georgian, kk kazakh, kl
greenlandic, km khmer, km cambodian, kn kannada, ko korean, ks kashmiri, ku kurdish,
ky kyrgyz, la latin, lb luxembourgish, lb letzeburgesch, lg ganda, lg luganda, ln
lingala, lo lao, lt lithuanian, lv latvian, mg malagasy, mi maori, mk macedonian, ml
malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my burmese, my myanmar, nb
bokmal, nb bokmål, nb norwegian bokmål, ne nepali, nl dutch, nl flemish, nn nynorsk,
nn norwegian nynorsk, no norwegian, ny chichewa, oc occitan, om oromo, or oriya, or
odia, pa punjabi, pa panjabi, pl polish, ps pashto, ps pushto, pt portuguese, qu
quechua, rm romansh, ro romanian, ro moldavian, ro moldovan, ru russian, rw
kinyarwanda, sa sanskrit, sc sardinian, sd sindhi, si sinhala, si sinhalese, sk
slovak, sl slovenian, sl slovene, sm samoan, sn shona, so somali, sq albanian, sr
serbian, st sesotho, su sundanese, sv swedish, sw swahili, ta tamil, te telugu, tg
tajik, th thai, ti tigrinya, tk turkmen, fil tagalog, tn tswana, to tongan, tok toki
pona, tr turkish, ts tsonga, tt tatar, ug uyghur, uk ukrainian, ur urdu, uz uzbek, vi
vietnamese, wo wolof, xh xhosa, yi yiddish, yo yoruba, yue cantonese, zh chinese, zh
mandarin, zh mandarin chinese, zu zulu
"""
_BY_NAME = {
    name: tag
    for entry in " ".join(_NAMES.split()).split(", ")
    for tag, _, name in [entry.partition(" ")]
}
_TAGS = frozenset(_BY_NAME.values())
_SAME = {"cmn": "zh"}  # two codes of the registry by which corpora mean the same
_NO_LANGUAGE = {"mis", "mul", "x", "zxx"}  # several languages, no speech, private use
# The writing systems that in practice one language uses, by the first words of the
# names of their characters.
_CERTAIN = {
    "ARMENIAN": "hy",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HALFWIDTH KATAKANA": "ja",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAANA": "dv",
    "THAI": "th",
}
_HAN = "CJK"
_WITH_HAN = ("ja", "ko")


class Basis(enum.Enum):
    """The way in which the language of a reference transcript is known."""

    STATED = "stated"
    SCRIPT = "script"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Language:
    """The language of a reference transcript, and the way in which it is known.

    ``tag`` is the canonical tag; it is empty if the language is unknown.
    """

    tag: str
    basis: Basis = Basis.STATED

    @property
    def primary(self) -> str:
        """The primary subtag, such as ``zh`` of ``zh-Hans``."""
        return self.tag.partition("-")[0]


@lru_cache(maxsize=1024)
def parse(text: str) -> str:
    """Return the canonical tag of a language, from its tag or its English name.

    An empty text and ``und`` (undetermined) give an empty tag. Raises `InputError` for
    an unknown language; the message says what to write.
    """
    plain = " ".join(text.split())
    if not plain:
        return ""
    name = plain.replace("_", " ").lower()
    if name in _TAGS:  # also one that is younger than the registry of langcodes
        return name
    if name in _BY_NAME:
        return _BY_NAME[name]
    if plain.isascii() and langcodes.tag_is_valid(plain):
        tag = langcodes.standardize_tag(plain)
        primary, dash, rest = tag.partition("-")
        if primary == "und":  # BCP 47: undetermined
            return ""
        if primary not in _NO_LANGUAGE:
            return f"{_SAME.get(primary, primary)}{dash}{rest}"
    near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.8)
    hint = f"; did you mean {near[0].title()} ({_BY_NAME[near[0]]})?" if near else ""
    raise InputError(
        f"{shown(text)} is not a known language; write a tag such as de, en-US or "
        f"zh-Hans, or an English name such as German{hint}"
    )


def language_of(reference: str, stated: str = "") -> Language:
    """Return the language that is stated for a reference transcript.

    If no language is stated, return the language that the letters prove. Raises
    `InputError` if the stated language is unknown.
    """
    if tag := parse(stated):
        return Language(tag)
    tag = _of_script(reference)
    return Language(tag, Basis.SCRIPT if tag else Basis.UNKNOWN)


def _of_script(text: str) -> str:
    """Return the language that the letters of a text prove, or "" if they prove none.

    At least half of the letters must belong to the writing system of the language, and
    no letter may prove another language. Chinese characters count as Japanese in a text
    with Kana, and as Korean in a text with Hangul.
    """
    letters = [char for char in text if unicodedata.category(char)[0] == "L"]
    found = Counter(map(_script, letters))
    certain = [each for each in found if each and each != _HAN]
    if len(certain) != 1:
        return ""
    (language,) = certain
    count = found[language] + (found[_HAN] if language in _WITH_HAN else 0)
    return language if 2 * count >= len(letters) else ""


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """Return the language that a letter proves, or "" if it proves none.

    The result for a Chinese character is `_HAN`.
    """
    name = unicodedata.name(char, "")
    if name.startswith(_HAN):
        return _HAN
    return next((tag for start, tag in _CERTAIN.items() if name.startswith(start)), "")
