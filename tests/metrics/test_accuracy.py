"""Measures beside the word error rate, which equals that of jiwer."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from random import Random
from threading import Event
from types import SimpleNamespace
from typing import Any

import jiwer
import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.metrics import alignment, english, normalizers
from pytest_realtime_asr.metrics.accuracy import (
    head_deletions,
    pooled,
    tail_deletions,
    unspoken_rate,
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment
from pytest_realtime_asr.metrics.keywords import keyword_recall, keywords
from pytest_realtime_asr.metrics.normalizers import (
    BASIC,
    ENGLISH,
    GROUP,
    NONE,
    WHISPER_ENGLISH,
    normalizer_named,
)
from pytest_realtime_asr.metrics.repetition import repeated
from pytest_realtime_asr.report.alignment import lines

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of an escape in it
    from whisper_normalizer.english import EnglishTextNormalizer


@pytest.mark.slow
def test_a_library_that_is_not_compiled_yet_ends_no_run(tmp_path: Path) -> None:
    """A compiler warning in a library does not end a run if warnings are errors.

    A library that uv has installed is compiled at its first import.
    """
    isolated = ("-W", "error", "-X", f"pycache_prefix={tmp_path}")
    code = "import pytest_realtime_asr.metrics.normalizers"
    done = subprocess.run(
        [sys.executable, *isolated, "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


WORDS = ["a", "b", "c", "d", "e", "f", "g"]


def plain(reference: str, hypothesis: str | None) -> Alignment:
    return words(reference, hypothesis, normalizer=NONE, language="en")


def random_pair(random: Random) -> tuple[str, str]:
    """Return a random reference, and a hypothesis: an edited or another text."""
    said = random.choices(WORDS, k=random.randint(1, 12))
    if random.random() < 0.3:
        return " ".join(said), " ".join(random.choices(WORDS, k=random.randint(0, 12)))
    heard = [
        edited
        for word in said
        for edited in random.choice(
            [[word]] * 5 + [[], [random.choice(WORDS)], [word, random.choice(WORDS)]]
        )
    ]
    return " ".join(said), " ".join(heard)


def edits(said: list[str], heard: list[str]) -> int:
    """Return the least number of edits, by the algorithm of Wagner and Fischer."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            least = min(row[j] + 1, row[j - 1] + 1, before + (word != other))
            before, row[j] = row[j], least
    return row[-1]


@pytest.mark.slow
def test_ten_thousand_pairs_have_the_rate_of_jiwer() -> None:
    random = Random(20260101)
    pairs = [random_pair(random) for _ in range(10_000)]
    found = [plain(*pair) for pair in pairs]
    for (one, other), aligned in zip(pairs, found, strict=True):
        theirs = jiwer.process_words(one, other)
        errors = aligned.errors
        assert (
            errors.hits,
            errors.substitutions,
            errors.deletions,
            errors.insertions,
        ) == (
            theirs.hits,
            theirs.substitutions,
            theirs.deletions,
            theirs.insertions,
        )
        assert errors.rate == theirs.wer
        assert errors.wrong == edits(one.split(), other.split())
        left = [p.reference for p in aligned.pairs if p.reference is not None]
        right = [p.hypothesis for p in aligned.pairs if p.hypothesis is not None]
        assert (left, right) == (one.split(), other.split())
    said, heard = map(list, zip(*pairs, strict=True))
    assert pooled(each.errors for each in found).rate == jiwer.wer(said, heard)


# Head and tail


@pytest.mark.parametrize(
    ("heard", "head", "tail"),
    [
        ("a b c d e f g", 0, 0),
        ("b c d e f g", 1, 0),
        ("d e f g", 3, 0),
        ("e f g", 3, 0),
        ("a b c d e f", 0, 1),
        ("a b c d", 0, 3),
        ("a b c e f g", 0, 0),
        ("x b c d e f y", 0, 0),
        ("", 3, 3),
        (None, 3, 3),
    ],
)
def test_lost_edges_are_counted_separately(
    heard: str | None, head: int, tail: int
) -> None:
    alignment = plain("a b c d e f g", heard)
    assert (head_deletions(alignment), tail_deletions(alignment)) == (head, tail)


def test_the_edges_of_a_short_reference_overlap() -> None:
    alignment = plain("a b", None)
    assert (head_deletions(alignment), tail_deletions(alignment)) == (2, 2)
    assert head_deletions(plain("", "x y")) == tail_deletions(plain("", "x y")) == 0


# Repeats


@pytest.mark.parametrize(
    ("said", "heard", "what"),
    [
        ("go on", "go on", ""),
        ("go on", "go go on", ""),
        ("go on", "go go go on", "go"),
        ("go on", "go on go on go on", "go on"),
        ("go go go on", "go go go on", ""),
        ("", "thank you thank you thank you", "thank you"),
        ("", "", ""),
    ],
)
def test_a_text_repeated_three_times_is_flagged(
    said: str, heard: str, what: str
) -> None:
    assert (repeated(plain(said, heard)) or "") == what


def test_three_equal_characters_are_no_repeat() -> None:
    assert repeated(words("一", "一一一", language="zh")) is None
    assert repeated(words("一", "一二一二一二", language="zh")) == "一 二"


# Where nothing was said


def test_words_per_minute_in_silence() -> None:
    takes = [
        (plain("", "thank you"), 15.0),
        (plain("", ""), 45.0),
        (plain("go on", "go on and on"), 600.0),
    ]
    assert unspoken_rate(takes) == 2.0
    assert unspoken_rate(takes[1:]) == 0.0
    assert unspoken_rate(takes[2:]) is None
    assert pooled(each.errors for each, _ in takes).rate == 1.0


# Keywords


def test_entities_are_found_or_missed() -> None:
    found = keywords(
        ["Doctor Smith", "twenty-three", "New York"],
        "I saw Dr. Smith at 23 old york street",
        language="en",
    )
    assert found.found == ("Doctor Smith", "twenty-three")
    assert found.missed == ("New York",)
    assert found.normalizer == ENGLISH.id
    assert keyword_recall([found]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("entities", "heard", "found"),
    [
        (["a b"], "x a b y", 1),
        (["a b"], "x a y b", 0),
        (["a b"], "a", 0),
        (["a b"], "", 0),
        (["a b"], None, 0),
        (["a", "a"], "a", 1),
        (["a", "a"], "a x a", 2),
        (["a a"], "a a a", 1),
        (["a a", "a a"], "a a a", 1),
        (["cat"], "concatenate", 0),
    ],
)
def test_an_entity_is_found_only_as_a_whole(
    entities: list[str], heard: str | None, found: int
) -> None:
    assert len(keywords(entities, heard, normalizer=NONE).found) == found


def test_entities_of_a_script_without_spaces_are_found() -> None:
    found = keywords(["東京", "大阪"], "明日は東京へ行きます", language="ja")
    assert (found.found, found.missed) == (("東京",), ("大阪",))


def test_recall_is_pooled() -> None:
    takes = [
        keywords(["a"], "a", normalizer=NONE),
        keywords(["a", "b", "c"], "x", normalizer=NONE),
        keywords([], "x", normalizer=NONE),
    ]
    assert keyword_recall(takes) == 0.25
    assert keyword_recall(takes[2:]) is None


def test_an_entity_that_is_empty_after_normalising_is_refused() -> None:
    with pytest.raises(ValueError, match="removes all of the entity 'um'"):
        keywords(["um"], "um", language="en")


# Normalisers


def points(monkeypatch: pytest.MonkeyPatch, **found: Any) -> None:
    """Install these normalisers."""
    module: Any = SimpleNamespace(**found)
    monkeypatch.setitem(sys.modules, "their_texts", module)
    installed = [
        EntryPoint(name.replace("_", "-"), f"their_texts:{name}", GROUP)
        for name in (*found, "gone")
    ]

    def entry_points(*, group: str) -> list[EntryPoint]:
        assert group == GROUP
        return installed

    monkeypatch.setattr(normalizers, "entry_points", entry_points)


def versioned(function: Callable[[Any], Any], version: object) -> Any:
    """Return the function after adding a version."""
    function.version = version  # type: ignore[attr-defined]
    return function


def test_built_in_normalisers_are_found_by_name() -> None:
    assert normalizer_named("basic") is BASIC
    assert normalizer_named("none") is NONE


def test_third_party_normalisers_are_found_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points(monkeypatch, no_vowels=versioned(lambda text: text.strip("aeiou"), "3"))
    own = normalizer_named("no-vowels")
    assert own.id == "no-vowels/3"
    alignment = words("go", "g", normalizer=own, language="en")
    assert (alignment.errors.wrong, alignment.normalizer) == (0, "no-vowels/3")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "basics",
            "there is no normalizer 'basics'; choose from none, basic, "
            "english, .*, whisper-english, bare, gone, numb, odd .*entry point in the "
            "group "
            "pytest_realtime_asr.normalizers",
        ),
        ("gone", r"the normalizer gone \(their_texts:gone\) cannot be loaded: .*gone"),
        ("bare", r"the normalizer bare \(their_texts:bare\) has no version; set one"),
        ("numb", "the normalizer numb .* has no version; set one: function.version"),
        ("odd", "the normalizer odd .* does not work for the text 'a'"),
    ],
)
def test_a_normalizer_that_cannot_be_used(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points(
        monkeypatch,
        bare=lambda text: text,
        numb=versioned(lambda text: text, 3),
        odd=versioned(lambda text: None, "1"),
    )
    with pytest.raises(LookupError, match=why):
        normalizer_named(name)


# Synthetic speech


def test_the_bundled_corpora_know_that_they_are_synthetic(tmp_path: Path) -> None:
    for name in ("english", "languages", "odd"):
        found = corpus.load(f"bundled:{name}")
        assert found.synthetic
        assert all(utterance.synthetic for utterance in found)
        assert found.sample(2, seed=1).synthetic
    (tmp_path / "go.txt").write_text("go on")
    english = corpus.load("bundled:english")["turn-right"]
    (tmp_path / "go.flac").write_bytes(Path(str(english.source)).read_bytes())
    own = corpus.load(tmp_path)
    assert not own.synthetic
    assert corpus.load_all([tmp_path, "bundled:english"]).synthetic


def test_a_corpus_is_known_by_its_digest() -> None:
    english = corpus.load("bundled:english")
    assert english.digest == corpus.load("bundled:english").digest
    assert len(english.digest) == 16
    others = [
        corpus.load("bundled:languages"),
        english.sample(25, seed=1),
        english.map(lambda utterance: replace(utterance, text="x")),
        english.map(lambda utterance: replace(utterance, language="de")),
        english.map(lambda utterance: replace(utterance, id=f"{utterance.id}-2")),
    ]
    digests = {english.digest, *(each.digest for each in others)}
    assert len(digests) == len(others) + 1


# What a text can cost

EVIL = (
    *("<", "[", "]", ">", "(", ")", " ", "  ", "\t", "\n", "\u00a0", " '", "'", "um"),
    *("uh", "hmm", "he'd", " been", "'s got", "and a half", "one", "two", "twenty"),
    *(
        "million",
        "hundred",
        "9",
        "0",
        ".",
        ",",
        "$",
        "\u20ac",
        "\u00a2",
        "%",
        "a",
        "b1",
    ),
    *(
        "\u03a3",
        "\u0391\u03a3",
        "\u0130",
        "\u0301",
        "\u0316",
        "\ufb01",
        "*",
        "st",
        "1st",
    ),
    *("point", "double", "\u00e9", "\u0153", "\u2028", "\x1c", "won't", "mr", "\u00a8"),
)


def test_the_linear_whisper_normaliser_gives_the_same_results() -> None:
    whisper = EnglishTextNormalizer()
    random = Random(7)
    changed = 0
    for number in range(2_000):
        text = (" " if number % 3 else "").join(random.choices(EVIL, k=number % 14))
        text = text.upper() if number % 7 == 0 else text
        expected = whisper(text)
        assert WHISPER_ENGLISH.function(text) == expected, repr(text)
        changed += expected != text
    assert changed > 1_000


def test_the_basic_normaliser_is_the_same_in_ascii() -> None:
    random = Random(8)
    for _ in range(300):
        text = "".join(map(chr, random.choices(range(128), k=20)))
        assert BASIC.function(f"{text}\u5f80") == f"{BASIC.function(text)}\u5f80"


@pytest.mark.slow
def test_a_text_that_is_too_long_for_a_normaliser_is_scored_by_another() -> None:
    most = english.MOST_CHARACTERS
    long = ("ten " * most)[:most]
    assert words("ten", long, language="en").normalizer == ENGLISH.id
    found = words("Ten.", f"{long}.", language="en")
    assert (found.normalizer, found.errors.hits) == (BASIC.id, 1)
    why = (
        f"{ENGLISH.id} was not used: ValueError: the text has 200,001 "
        "characters; at most 200,000 are allowed"
    )
    assert (found.reason or "").startswith(why)


def test_a_third_party_normaliser_that_fails_loses_no_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hung = Event()
    calls: list[str] = []

    def slow(text: str) -> str:
        calls.append(text)
        if text == "hang":
            hung.wait(20)
        return text

    def picky(text: str) -> Any:
        return 3 if text == "three" else text

    points(monkeypatch, slow=versioned(slow, "1"), picky=versioned(picky, "2"))
    monkeypatch.setattr(normalizers, "PATIENCE", 0.2)
    own = normalizer_named("picky")
    found = words("Three", "three", normalizer=own)
    assert (found.normalizer, found.errors.wrong) == (BASIC.id, 0)
    why = "picky/2 was not used: TypeError: the normalizer returned int, not str"
    assert (found.reason or "").startswith(why)
    assert words("a", "a", normalizer=own).reason is None
    assert keywords(["three"], "THREE three", normalizer=own).normalizer == BASIC.id
    own = normalizer_named("slow")
    for text in ("hang", "go"):
        found = words("Go", text, normalizer=own)
        assert found.normalizer == BASIC.id
        why = "slow/1 was not used: the normalizer took more than 0.2 s"
        assert why in (found.reason or "")
    assert calls == ["a", "Go", "hang"]  # it is not called again
    hung.set()


def slowly_repeated(said: list[str], spoken: list[str]) -> str:
    for size in range(1, len(said) // 3 + 1):
        for at in range(len(said) - 3 * size + 1):
            thrice = said[at : at + size] * 3
            there = any(
                spoken[n : n + 3 * size] == thrice for n in range(len(spoken) + 1)
            )
            if said[at : at + 3 * size] == thrice and not there:
                return " ".join(said[at : at + size])
    return ""


def test_repeats_are_found_as_by_an_exhaustive_search() -> None:
    random = Random(9)
    found = 0
    for _ in range(600):
        letters = "ab" if random.random() < 0.5 else "abc"
        said = random.choices(letters, k=random.randrange(30))
        spoken = random.choices(letters, k=random.randrange(20))
        if random.random() < 0.5:
            said += random.choices(letters, k=random.randrange(1, 6)) * 3
        expected = slowly_repeated(said, spoken)
        assert (repeated(plain(" ".join(spoken), " ".join(said))) or "") == expected
        found += bool(expected)
    assert 100 < found < 590


@pytest.mark.parametrize("unlike", [0.0, 0.05, 1.0])
def test_a_text_that_is_too_long_for_one_alignment_is_cut(
    unlike: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(10)
    names = [a + b for a in "bcdfghjklm" for b in "aeiou"]
    said = random.choices(names, k=3_000)
    heard = [
        word if random.random() >= unlike else f"not-{word}"
        for word in said
        if random.random() >= unlike / 2
    ]
    heard[1_500:1_500] = ["more"] * 200
    least = plain(" ".join(said), " ".join(heard)).errors
    monkeypatch.setattr(alignment, "MOST_CELLS", 10**6)
    monkeypatch.setattr(alignment, "_PART", 100)
    found = plain(" ".join(said), " ".join(heard))
    left = [p.reference for p in found.pairs if p.reference is not None]
    right = [p.hypothesis for p in found.pairs if p.hypothesis is not None]
    assert (left, right) == (said, heard)
    assert least.wrong <= found.errors.wrong <= 1.02 * least.wrong


def test_only_a_few_lines_of_a_long_alignment_are_shown() -> None:
    said = ["go"] * 2_000
    heard = ["stop" if n % 100 == 50 else "go" for n in range(2_000)]
    shown = lines(plain(" ".join(said), " ".join(heard))).splitlines()
    assert len(shown) == 8 * 3 + 1
    assert shown[-1] == "... 8 of 81 lines are shown; 20 of 81 lines have errors"
    assert all("stop" in line for line in shown[1:-1:3])
    whole = lines(plain("a b", "a c")).splitlines()
    assert len(whole) == 3
