"""Word-level metrics and stability, with numbers that were worked out by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.corpus import Word
from pytest_realtime_asr.metrics import growing_text, measure
from pytest_realtime_asr.metrics.alignment import TextUnit
from pytest_realtime_asr.metrics.emission import Script, emissions
from pytest_realtime_asr.metrics.normalizers import BASIC, normalizer_for
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Settled,
    Timeline,
)
from tests.support import oracles

MS = 1_000_000
RATE = 16_000
CHUNK = RATE // 10


@dataclass(frozen=True)
class Said:
    """A reference with word times in s."""

    words: tuple[Word, ...]
    text: str
    language: str = "en"
    speech_by: str = "words"

    @property
    def speech_start(self) -> float | None:
        return self.words[0].start if self.words else None

    @property
    def speech_end(self) -> float | None:
        return self.words[-1].end if self.words else None


def said(*words: tuple[str, float, float]) -> Said:
    made = tuple(Word(*word) for word in words)
    return Said(made, " ".join(word.text for word in made))


# The audio of 0.1 s ends is due at 1000 ms, that of 0.2 s at 1100, and so on.
DUES = [(1000 + 100 * n) * MS for n in range(10)]
AUDIO = [Heard(0, CHUNK * n, due, due, due, 2 * CHUNK) for n, due in enumerate(DUES, 1)]
# The ends of the words are due at 1300, 1600 and 1800; the speech begins at 1100.
THREE = said(("go", 0.2, 0.4), ("forward", 0.4, 0.7), ("ten", 0.7, 0.9))


def timeline(*shown: tuple[int, str], final: tuple[int, str] | None) -> Timeline:
    """Return a timeline with partials at these times (ms), and a final."""
    events: list[Event] = list(AUDIO)
    before = ""
    for at, text in shown:
        kept = len(before) if text.startswith(before) else 0
        events.append(Partial(0, at * MS, kept, text[kept:]))
        before = text
    events.append(Commit(0, 2000 * MS, 2000 * MS, 2000 * MS))
    if final is not None:
        events.append(Final(0, final[0] * MS, final[1]))
    return Timeline(RATE, 0, 0, tuple(events), End(Ending.CLOSED_BY_US, 0))


REVISED = timeline(
    (1350, "go"),
    (1500, "go four"),
    (1700, "go forward"),
    (1900, "go forward ten"),
    final=(2100, "Go forward ten"),
)


def test_every_number_of_a_session_that_takes_a_word_back() -> None:
    found = measure(REVISED, THREE)
    assert found["first_correct_word"] == 50.0  # 1350 - 1300
    assert found["early_text"] == 0.0
    # go 1350 - 1300, forward 1700 - 1600, ten 1900 - 1800: the middle one of 3
    assert found["word_first_emission"] == 100.0
    assert found["word_settled"] == 100.0
    assert found["word_coverage"] == 1.0
    # From 1100 on an even speaker says a word each 700 / 3 ms: the words lag by
    # 250, 600 - 233.3 and 800 - 466.7; the third one comes after the speech.
    assert found["lag_laal"] == pytest.approx((250 + 1100 / 3 + 1000 / 3) / 3)
    assert found["lag_yaal"] == pytest.approx((250 + 1100 / 3) / 2)
    # go; go four for go; go forward; go forward ten: one edit in 1 + 1 + 2 + 3 words
    assert found["partial_wer"] == pytest.approx(1 / 7)
    assert found["partial_interval"] == 200.0  # of 150, 200 and 200
    assert found["text_complete_from_speech_end"] == 100.0
    assert found["drain"] == 200.0  # 2100 - 1900
    # "four" is erased, and by the capital of the final all three words
    assert found["normalized_erasure"] == pytest.approx(4 / 3)
    assert found["revision_rate"] == pytest.approx(2 / 5)
    assert found["final_retractions"] == 0.0


def test_words_recognised_in_silence() -> None:
    babble = timeline((1500, "thank you"), final=(2100, "thank you all"))
    assert measure(babble, said())["unspoken_rate"] == pytest.approx(3 / (1 / 60))
    assert measure(timeline(final=(2100, "")), said())["unspoken_rate"] == 0.0
    assert measure(babble, THREE)["unspoken_rate"] is None
    assert measure(babble, None)["unspoken_rate"] is None


def test_a_word_that_flickers_is_shown_early_and_settles_late() -> None:
    flicker = timeline(
        (1400, "go forward"),
        (1500, "no forward"),
        (1650, "go forward"),
        final=(2100, "go forward ten"),
    )
    found = measure(flicker, THREE)
    it = emissions(flicker, THREE)
    assert [(w.word, w.first // MS, w.settled // MS) for w in it.words] == [
        ("go", 1400, 1650),
        ("forward", 1400, 1650),
        ("10", 2100, 2100),
    ]
    assert found["word_first_emission"] == 100.0  # of 100, -200 and 300
    assert found["word_settled"] == 300.0  # of 350, 50 and 300
    assert found["text_complete_from_speech_end"] == 300.0


def test_a_wrong_word_has_no_time_and_lowers_the_coverage() -> None:
    wrong = timeline((1350, "go"), (1900, "go onward"), final=(2100, "go onward"))
    found = measure(wrong, THREE)
    assert found["word_first_emission"] == 50.0  # of "go" alone
    assert found["word_coverage"] == pytest.approx(1 / 3)


def test_text_from_before_the_speech_is_early() -> None:
    early = timeline((1050, "the"), (1350, "the go"), final=(2100, "the go forward"))
    found = measure(early, THREE)
    assert found["early_text"] == 1.0
    assert found["first_correct_word"] == 50.0  # it is the second word that is right


def test_too_many_words_do_not_make_the_lag_smaller() -> None:
    """If only the length of the reference counted, too many words would look faster.

    Source: Papi et al. 2022.
    """
    few = timeline(
        (1500, "go"), (1900, "go forward ten"), final=(2000, "go forward ten")
    )
    many = timeline(
        (1500, "go"),
        (1900, "go forward ten go forward ten"),
        final=(2000, "go forward ten go forward ten"),
    )
    # few: 400 and 800 - 233.3; many: 400 and 800 - 700 / 6
    assert measure(few, THREE)["lag_laal"] == pytest.approx((400 + 800 - 700 / 3) / 2)
    assert measure(many, THREE)["lag_laal"] == pytest.approx((400 + 800 - 700 / 6) / 2)


def test_words_after_the_end_do_not_count_for_yaal() -> None:
    late = timeline(final=(2100, "go forward ten"))
    assert measure(late, THREE)["lag_yaal"] is None
    assert measure(late, THREE)["lag_laal"] == 1000.0  # the first one ends the sum


def test_without_word_times_the_lag_is_counted_over_the_audio() -> None:
    found = measure(REVISED, Said((), "go forward ten"))
    # From 1000 on, a word each 1000 / 3 ms: 350, 700 - 333.3, 900 - 666.7
    assert found["lag_laal"] == pytest.approx((350 + 1100 / 3 + 700 / 3) / 3)
    for name in ("word_settled", "first_correct_word", "early_text", "partial_wer"):
        assert found[name] is None


def test_without_a_script_only_stability_is_measured() -> None:
    found = measure(REVISED, None)
    assert found["normalized_erasure"] == pytest.approx(4 / 3)
    for name in ("word_coverage", "lag_laal", "text_complete_from_speech_end"):
        assert found[name] is None


def test_a_text_that_changes_after_its_final_is_retracted() -> None:
    taken_back = timeline((1350, "go"), final=(1500, "go forward"))
    more = Partial(0, 1600 * MS, 3, "back")
    changed = Timeline(
        RATE, 0, 0, (*taken_back.events, more), End(Ending.CLOSED_BY_US, 0)
    )
    assert measure(taken_back, None)["final_retractions"] == 0.0
    assert measure(changed, None)["final_retractions"] == 1.0


@pytest.mark.parametrize(
    ("after", "count"),
    [
        (("go four", "go forward ten"), 0.0),  # "go" stays
        (("so four",), 1.0),
        (("g", "go four"), 1.0),  # it comes back, and was not settled again
        (("so", "to", "no"), 1.0),
        ((), 0.0),
    ],
)
def test_a_settled_segment_that_changes_is_retracted(
    after: Sequence[str], count: float
) -> None:
    times = range(1400, 1900, 100)
    shown = timeline((1350, "go"), *zip(times, after, strict=False), final=None)
    place = len(AUDIO) + 1
    settled = Settled(0, 1350 * MS, 2)
    events = (*shown.events[:place], settled, *shown.events[place:])
    assert measure(shown, None)["final_retractions"] is None
    found = measure(replace(shown, events=events), None)
    assert found["final_retractions"] == count


def test_a_script_without_spaces_is_counted_by_characters() -> None:
    spoken = Said((Word("你好", 0.2, 0.4), Word("吗", 0.4, 0.7)), "你好吗", "zh")
    shown = timeline((1350, "你好"), final=(1700, "你好吗"))
    found = measure(shown, spoken)
    assert found["word_coverage"] == 1.0
    assert found["word_first_emission"] == 50.0  # of 50, 50 and 100


Texts = st.lists(st.sampled_from(["go", "on", "ten", "left"]), max_size=5)


@given(st.lists(Texts, min_size=1, max_size=5))
def test_a_server_that_only_appends_erases_nothing(pieces: Sequence[list[str]]) -> None:
    shown: list[tuple[int, str]] = []
    text: list[str] = []
    for number, piece in enumerate(pieces):
        text += piece
        shown.append((1100 + 100 * number, " ".join(text)))
    found = measure(timeline(*shown, final=(2500, " ".join(text))), None)
    assert found["normalized_erasure"] in (0.0, None)
    assert found["revision_rate"] in (0.0, None)
    assert (found["normalized_erasure"] is None) == (not text)


@given(st.lists(Texts, min_size=1, max_size=5), Texts)
def test_no_word_settles_before_it_is_shown(
    texts: Iterable[list[str]], reference: list[str]
) -> None:
    shown = [(1100 + 100 * n, " ".join(text)) for n, text in enumerate(texts)]
    script: Script = Said((), " ".join(reference))
    it = emissions(timeline(*shown, final=(2500, shown[-1][1])), script)
    settled = [word.settled for word in it.words]
    assert settled == sorted(settled)
    assert all(word.first <= word.settled for word in it.words)
    places = [word.said for word in it.words if word.said is not None]
    assert places == sorted(places)
    assert all(it.reference[w.said] == w.word for w in it.words if w.said is not None)


# The same numbers as from every text as a whole

PIECES = (
    *("go", "for", "ward", "ten", "Ten", "twenty-one", "zehn.", "e\u0301", "\u0301"),
    *(" ", "  ", "\t", "\n", "\u00a0", "\u2028", "\u3000", "\x1c", "", ".", "-", "ﾞ"),
    *("\u5f80\u524d", "\u8d70", "\uff76", "\u304b\u3099", "um", "\ud83d", "\U0001f600"),
)
SCRIPTS = (
    THREE,
    Said(THREE.words, "go forward ten", "de"),
    Said((), "", "en"),
    Said((Word("\u5f80", 0.2, 0.4), Word("\u524d", 0.4, 0.7)), "\u5f80\u524d", "zh"),
)


def edited(seed: int, pieces: Sequence[str] = PIECES) -> Timeline:
    """Return a session of random edits, some of them empty, and finals."""
    rng = random.Random(seed)
    events: list[Event] = list(AUDIO)
    text = ""
    for number in range(rng.randrange(12)):
        at = (1000 + 97 * number) * MS
        if rng.random() < 0.3:
            events.append(Settled(0, at, rng.randrange(len(text) + 3)))
        added = "".join(rng.choices(pieces, k=rng.randrange(6)))
        if rng.random() < 0.2:
            known = text if rng.random() < 0.3 else text[: rng.randrange(9)] + added
            text = known
            events.append(Final(0, at, text))
            continue
        kept = len(text)
        if rng.random() < 0.5:
            kept = rng.randrange(len(text) + 3)  # beyond its end too
        if rng.random() < 0.2:
            kept, added = 0, text + added  # a server that repeats all of it
        events.append(Partial(0, at, kept, added))
        text = text[:kept] + added
    return Timeline(RATE, 0, 0, tuple(events), End(Ending.CLOSED_BY_US, 0))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.text or "none")
def test_incremental_results_equal_those_of_the_whole_texts(script: Said) -> None:
    normalizer = normalizer_for(script.text, script.language)
    unit = TextUnit.CHARACTER if script.language == "zh" else TextUnit.WORD
    reference = oracles.split(script.text, normalizer, unit)
    changed = 0
    for seed in range(500):
        session = edited(seed)
        it = emissions(session, script)
        seen = oracles.shown(session, normalizer, unit)
        assert [(w.word, w.first, w.settled) for w in it.words] == oracles.times(seen)
        assert [each.count for each in it.shown] == [len(words) for _, words, _ in seen]
        found = measure(session, script)
        expected = {
            "normalized_erasure": oracles.normalized_erasure(session),
            "revision_rate": oracles.revision_rate(session),
            "final_retractions": oracles.final_retractions(session),
            "partial_interval": oracles.partial_interval(seen),
        }
        if script.words:
            dues = [session.due(word.end) or 0 for word in script.words]
            start, stop = session.due(script.words[0].start) or 0, dues[-1]
            expected |= {
                "partial_wer": oracles.partial_wer(seen, reference, dues),
                "early_text": oracles.early_text(seen, start),
                "first_correct_word": oracles.first_correct_word(
                    seen, reference[0], dues[0]
                ),
                "longest_stall": oracles.longest_stall(session, start, stop),
            }
        assert {name: found[name] for name in expected} == expected, seed
        assert session.texts == [text for _, text, _ in oracles.texts(session)]
        changed += bool(found["revision_rate"])
    assert changed > 200  # they were no sessions in which nothing happens


LONG = ("ab" * 150, "c" * 256, "\u5f80" * 200, "\uff76\uff9e" * 128, " ", "d")


def test_incremental_results_are_exact_for_words_of_any_length() -> None:
    for seed in range(100):
        session = edited(seed, LONG)
        found = measure(session, SCRIPTS[-1])
        assert found["normalized_erasure"] == oracles.normalized_erasure(session)
        assert found["revision_rate"] == oracles.revision_rate(session)
        seen = oracles.shown(session, BASIC, TextUnit.CHARACTER)
        it = emissions(session, SCRIPTS[-1])
        assert [each.count for each in it.shown] == [len(signs) for _, signs, _ in seen]
        assert tuple(w.word for w in it.words) == (seen[-1][1] if seen else ())


@pytest.mark.parametrize("most", [40, 400])
def test_the_error_rate_of_a_long_text_that_grows(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_text, "MAX_WORDS", most)
    rng = random.Random(most)
    names = [a + b + c for a in "bcd" for b in "fgh" for c in "jklmn"]
    spoken = [rng.choice(names) for _ in range(400)]
    script = Said(
        tuple(Word(name, n / 10, n / 10 + 0.1) for n, name in enumerate(spoken)),
        " ".join(spoken),
        "de",
    )
    due = [100 * n * MS for n in range(402)]
    events: list[Event] = [
        Heard(0, CHUNK * n, due[n], due[n], due[n], 2 * CHUNK) for n in range(1, 402)
    ]
    text = ""
    for n, name in enumerate(spoken):
        kept = text.rfind(" ", 0, -9) if rng.random() < 0.1 else len(text)
        said = "" if rng.random() < 0.1 else name if rng.random() < 0.9 else "uh"
        added = f"{text[kept:]} {said}"
        events.append(Partial(0, due[n + 1] + 300 * MS, kept, added))
        text = text[:kept] + added
    session = Timeline(RATE, 0, 0, tuple(events), End(Ending.CLOSED_BY_US, 0))
    seen = oracles.shown(session, BASIC, TextUnit.WORD)
    dues = [session.due(word.end) or 0 for word in script.words]
    expected = oracles.partial_wer(seen, tuple(spoken), dues)
    found = measure(session, script)["partial_wer"]
    assert found is not None
    assert expected is not None
    assert expected <= found <= 1.02 * expected  # from MAX_WORDS on, not the least
    if most == len(spoken):
        assert found == expected
