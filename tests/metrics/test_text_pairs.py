"""Pairs of texts by language, with the number of errors that a person counts.

Each pair has the source of the judgement: a standard, a rule of spelling, or a thread
in which users of speech recognition found a number wrong.
"""

from __future__ import annotations

import pytest

from pytest_realtime_asr.metrics.accuracy import words

Pair = tuple[str, str, str, int, str]  # language, said, heard, errors, source

APOSTROPHE = "Unicode 16.0, chapter 6.2: U+2019 is preferred for apostrophe"
IGNORABLE = "UAX #44, Default_Ignorable_Code_Point: not visible"
DIGITS = "UAX #44, Numeric_Type=Decimal: digits of any script have the same value"
TELEPHONE = "ITU-T E.123: spaces group the digits of a telephone number"
TIME = "CLDR 46, day periods and time formats: am, a.m.; 7:30, 7.30"

GIVEN: list[Pair] = [  # reported with the task of this normaliser
    ("en", "I don't know", "I don\u2019t know", 0, APOSTROPHE),
    ("en", "well I think so", "Well, I think so...", 0, "punctuation is not spoken"),
    ("en", "hello world", "hello\u200b world", 0, IGNORABLE),
    ("en", "okay", "OK", 0, "NOTSOFAR1-Challenge pull request 27: ok == okay"),
    ("English", "twenty three dollars", "$23", 0, "Whisper paper, appendix C"),
    (
        "ar",
        "\u0645\u062d\u0645\u062f",
        "\u0645\u062d\u0640\u0640\u0640\u0645\u062f",
        0,
        "Unicode 16.0, chapter 9.2: tatweel only stretches",
    ),
    ("en", "thirty six members", "36 members", 0, "coval-ai/benchmarks issue 218"),
    ("fr", "caf\u00e9", "cafe\u0301", 0, "UAX #15: canonically equivalent"),
    ("", "wir treffen uns um acht", "wir treffen uns acht", 1, "a word is missing"),
    ("", "wir treffen uns um acht Uhr", "Wir treffen uns acht Uhr.", 1, "a word"),
    ("", "ich bitte um Ruhe", "Ich bitte Ruhe.", 1, "a word is missing"),
    ("", "sch\u00f6n dass du da bist", "Schon dass du da bist.", 1, "another word"),
    ("", "er f\u00e4hrt um die Ecke", "Er fahrt die Ecke.", 2, "one of each"),
    ("", "tengo un a\u00f1o", "tengo un ano", 1, "RAE: ñ is a letter of its own"),
    (
        "en",
        "hello world",
        "[STREAMING_WORD] hello <unk> world",
        2,
        "speechbrain issue 2863: tokens in a final text are insertions",
    ),
]
PAIRS: list[Pair] = [
    ("en", "one two three four five", "67890", 5, "each digit was said and is wrong"),
    ("en", "one two three four five", "1 2 3 4 5", 0, TELEPHONE),
    ("en", "one two three four five", "one two four five", 1, "one digit is missing"),
    ("en", "call five five five oh one oh oh", "Call 555-0100.", 0, TELEPHONE),
    (
        "en",
        "9 1 9 6 9 6 3 9 0 1",
        "(919) 696-3901",
        0,
        "ServiceNow/eva pull request 81",
    ),
    ("en", "at seven thirty a m", "at 7:30 a.m.", 0, TIME),
    ("en", "at 12:05 AM", "at 1205 a.m.", 0, "rgbkrk/voice pull request 281"),
    ("en", "at seven thirty", "at 7.30 a.m.", 1, "a.m. was not said"),
    ("en", "at ten A M", "at 10:00 AM", 0, "ServiceNow/eva pull request 81"),
    ("en", "at seven o'clock", "at 7:00", 0, TIME),
    (
        "en",
        "born in nineteen eighty four",
        "born in 1984",
        0,
        "CLDR: spelled-out years",
    ),
    ("en", "fifteen people", "50 people", 1, "one word was misheard"),
    ("en", "fifty turns", "50 turns", 0, "seed-tts-eval issue 12"),
    ("en", "on june third", "on June 3,", 0, "whisper_normalizer issue 5"),
    ("en", "on the twenty first", "on the 21st", 0, "ServiceNow/eva pull request 81"),
    ("en", "\u201cco\u00adoperate\u201d", "cooperate", 0, f"{IGNORABLE}: soft hyphen"),
    ("en", "go on", "\ufeffGo on.", 0, "Unicode FAQ: a byte order mark is no text"),
    ("en", "so it goes", "So it goes\u2026", 0, "UAX #15: U+2026 is equivalent to ..."),
    (
        "en",
        "go on",
        "go \u2047 on",
        1,
        "NeMo issue 6651: sentencepiece's unknown token",
    ),
    ("en", "go [laughter] on", "go on", 0, "Kaldi scoring: notes are not spoken words"),
    ("de", "Gr\u00fc\u00dfe", "GR\u00dcSSE", 0, "Rechtschreibrat, § 25 E3: ss for ß"),
    ("de", "sch\u00f6n", "schon", 1, "Duden: two words of the language"),
    ("de", "3,5 Prozent", "35 Prozent", 1, "DIN 5008: the comma is decimal"),
    ("de", "um 7.30 Uhr", "um 7:30 Uhr", 0, "DIN 5008 and Duden: both are correct"),
    ("de", "0171 234567", "0171 23 45 67", 0, TELEPHONE),
    ("de", "1.000 Euro", "1000 Euro", 0, "DIN 5008: groups of thousands"),
    ("fr", "l'homme", "L\u2019homme", 0, APOSTROPHE),
    ("fr", "un c\u0153ur", "un coeur", 0, "CLDR Latin-ASCII: \u0153 is oe"),
    (
        "fr",
        "il dit oui",
        "il dit \u00ab oui \u00bb",
        0,
        "quotation marks are not spoken",
    ),
    (
        "ar",
        "\u0663\u0665 \u0643\u062a\u0627\u0628",
        "35 \u0643\u062a\u0627\u0628",
        0,
        DIGITS,
    ),
    (
        "ar",
        "\u0643\u062a\u0628",
        "\u0643\u064e\u062a\u064e\u0628\u064e",
        0,
        "Open Universal Arabic ASR Leaderboard: diacritics are removed",
    ),
    ("ar", "\u0642\u0627\u0644", "\u0645\u0627\u0644", 1, "another letter"),
    (
        "he",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
        0,
        "Academy of the Hebrew Language: text without niqqud is the norm",
    ),
    (
        "yi",
        "\u05d0\u05b7",
        "\u05d0\u05b8",
        1,
        "YIVO: pasekh alef and komets alef are two letters",
    ),
    ("fa", "\u06cc\u06a9", "\u064a\u0643", 0, "ISIRI 6219: Persian yeh and kaf"),
    (
        "fa",
        "\u0645\u06cc\u200c\u0631\u0648\u0645",
        "\u0645\u06cc\u0631\u0648\u0645",
        0,
        IGNORABLE,
    ),
    ("hi", "\u0967\u0968 \u0932\u094b\u0917", "12 \u0932\u094b\u0917", 0, DIGITS),
    (
        "hi",
        "\u0915\u0940",
        "\u0915\u093f",
        1,
        "openai/whisper pull request 2849: vowel signs are letters",
    ),
    (
        "ru",
        "\u0451\u043b\u043a\u0430",
        "\u0435\u043b\u043a\u0430",
        0,
        "Lopatin 2006, § 5: \u0451 is optional",
    ),
    (
        "uk",
        "\u043c'\u044f\u043a\u0438\u0439",
        "\u043c\u02bc\u044f\u043a\u0438\u0439",
        0,
        APOSTROPHE,
    ),
    ("tr", "\u0131\u015f\u0131k", "I\u015eIK", 0, "SpecialCasing.txt: tr, az"),
    ("tr", "\u0130stanbul", "istanbul", 0, "SpecialCasing.txt: tr, az"),
    ("ro", "\u0219tiu", "\u015ftiu", 0, "Unicode 16.0, chapter 7.1: comma below"),
    (
        "ja",
        "\uff13\u6642\u306b",
        "3\u6642\u306b\u3002",
        0,
        "UAX #15: full-width digits",
    ),
    ("ja", "\uff76\uff9e\uff8a", "\u30ac\u30cf", 0, "UAX #15: half-width kana"),
    (
        "ko",
        "\ud55c\uad6d",
        "\u1112\u1161\u11ab\u1100\u116e\u11a8",
        0,
        "UAX #15: Hangul",
    ),
    (
        "zh-Hans",
        "\u4f60\u597d\uff0c\u4e16\u754c",
        "\u4f60\u597d \u4e16\u754c",
        0,
        "punctuation is not spoken",
    ),
    ("Chinese", "\u4f60\u597d", "\u4f60\u5988", 1, "another character"),
    ("th", "\u0e55 \u0e04\u0e19", "5\u0e04\u0e19", 0, DIGITS),
]


@pytest.mark.parametrize(
    ("language", "said", "heard", "errors", "source"), GIVEN + PAIRS
)
def test_a_person_counts_as_many_errors(
    language: str, said: str, heard: str, errors: int, source: str
) -> None:
    assert source
    found = words(said, heard, language=language)
    assert found.errors.wrong == errors, found.pairs
    assert found.reason is None


def test_there_are_thirty_pairs_and_more() -> None:
    assert len(PAIRS) >= 30
    assert len({language for language, *_ in PAIRS}) >= 15
    assert any(errors for *_, errors, _ in PAIRS)
