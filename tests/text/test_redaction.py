"""Secrets and control characters are removed in each spelling that a server may use."""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.redaction import REMOVED, Redactor
from pytest_realtime_asr.text.secret_spellings import PART
from tests.support.spellings import KEY, SPELLINGS

SPELT = pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)


@SPELT
@pytest.mark.parametrize("before", ["", "x", "Bearer ", "é\\n \\\\ "])
def test_a_secret_is_removed_in_each_spelling(
    spell: Callable[[str], str], before: str
) -> None:
    redactor = Redactor([KEY])
    text = f"{before}{spell(KEY)} and more"
    assert redactor.shows(text)
    cleaned = redactor.clean(text)
    assert REMOVED in cleaned
    assert cleaned.endswith(" and more")
    assert cleaned.startswith(before)
    assert not redactor.shows(cleaned)
    assert not any(KEY[at : at + PART] in cleaned for at in range(len(KEY) - PART))


def test_a_secret_that_is_learned_later_is_removed_by_all_related_redactors() -> None:
    first = Redactor()
    second = first.also(["another-secret"])
    assert second.clean(f"<{KEY}>") == f"<{KEY}>"
    assert not first
    second.learn(KEY)
    third = second.also(["a-third-secret"])
    for each in (first, second, third):
        assert each
        assert each.shows(KEY)
        assert each.clean(f"<{KEY}>") == f"<{REMOVED}>"
    assert not Redactor().shows(KEY)
    assert not first.shows("another-secret")


@SPELT
def test_other_text_stays_as_it_is(spell: Callable[[str], str]) -> None:
    other = KEY.swapcase()[::-1]
    text = f"before {spell(other)} after"
    redactor = Redactor([KEY])
    assert not redactor.shows(text)
    assert redactor.clean(text) == text


@pytest.mark.parametrize("at", range(len(KEY) - PART + 1))
@pytest.mark.parametrize("length", [PART, PART + 5])
def test_a_long_part_of_a_secret_is_removed(at: int, length: int) -> None:
    part = KEY[at : at + length]
    assert Redactor([KEY]).clean(f"<{part}>").replace('"', "") == f"<{REMOVED}>"
    assert not Redactor([KEY]).shows(f"<{part[: PART - 1]}>")


def test_a_short_part_of_a_secret_is_kept() -> None:
    part = KEY[: PART - 1]
    assert Redactor([KEY]).clean(part) == part


def test_a_secret_of_few_characters_is_kept() -> None:
    assert not Redactor(["go", "forward"])
    assert Redactor(["go", "forward"]).clean("go forward") == "go forward"
    assert Redactor(["forward,"]).clean("go forward, go") == f"go {REMOVED} go"


@pytest.mark.parametrize(
    "secrets", [("hush-now", "hush-now-hush"), ("hush-now-hush", "hush-now")]
)
def test_a_secret_within_another_leaves_nothing_of_it(secrets: tuple[str, str]) -> None:
    assert Redactor(secrets).clean("hush-now-hush") == REMOVED


def test_only_the_key_is_removed_from_random_texts() -> None:
    chance = random.Random(1)
    signs = string.ascii_letters + string.digits + '/+="%&\\.-_é'
    for _ in range(300):
        key = "".join(chance.choices(signs, k=chance.randint(8, 60)))
        left = "".join(chance.choices(" .,:()[]", k=9))
        spell = chance.choice(list(SPELLINGS.values()))
        cleaned = Redactor([key]).clean(f"{left}{spell(key)}{left}")
        assert cleaned.startswith(left)
        assert cleaned.endswith(left)
        assert key not in cleaned


def test_bytes_are_cleaned_like_texts() -> None:
    data = b"\x00\xff" + KEY.encode() + b"\x80"
    assert Redactor([KEY]).clean_bytes(data) == b"\x00\xff[removed]\x80"
    assert Redactor([KEY]).clean_bytes(b"\x00\xff") == b"\x00\xff"


class Pair(NamedTuple):
    one: str
    other: int


def test_values_are_cleaned_at_each_depth() -> None:
    value = {"a": [KEY, {KEY: (1, f"<{KEY}>")}], "n": 1.5, "none": None}
    assert Redactor([KEY]).clean_value(value) == {
        "a": [REMOVED, {REMOVED: (1, f"<{REMOVED}>")}],
        "n": 1.5,
        "none": None,
    }
    assert Redactor().clean_value(value) is value
    cleaned = Redactor([KEY]).clean_value(Pair(KEY, 2))
    assert (type(cleaned), cleaned) == (tuple, (REMOVED, 2))


def delta(text: str, item: str = "i") -> str:
    return json.dumps({"type": "delta", "item_id": item, "delta": text})


@pytest.mark.parametrize("size", [1, 3, 9, 25])
def test_a_secret_split_over_frames_is_removed_from_each(size: int) -> None:
    said = f"so {KEY} it is, {KEY}"
    frames = [delta(said[at : at + size]) for at in range(0, len(said), size)]
    frames.insert(2, '{"type": "other", "delta": "not of it"}')
    redactor = Redactor([KEY])
    cleaned = redactor.clean_frames(frames)
    assert len(cleaned) == len(frames)
    assert cleaned[2] == frames[2]
    texts = [json.loads(f)["delta"] for i, f in enumerate(cleaned) if i != 2]
    left = "".join(texts).replace(REMOVED, "")
    assert left == "so  it is, "
    shown = set(redactor.shown_by(frames))
    assert shown == {i for i, f in enumerate(frames) if i != 2 and f != cleaned[i]}


def test_a_secret_over_frames_with_different_ids_is_removed() -> None:
    frames = [delta(KEY[:14], "a"), delta(KEY[14:28], "b"), delta(KEY[28:], "c")]
    assert Redactor([KEY]).shown_by(frames) == (0, 1, 2)
    assert "".join(Redactor([KEY]).clean_frames(frames)).count(REMOVED) == 3


def test_a_secret_between_deltas_of_another_item_is_removed() -> None:
    frames = [delta(KEY[:14], "a"), delta("so it is", "b"), delta(KEY[14:], "a")]
    assert Redactor([KEY]).shown_by(frames) == (0, 2)


def test_texts_of_other_events_are_not_joined() -> None:
    frames = [delta(KEY[:14]), delta(KEY[14:28]).replace('"delta",', '"other",')]
    frames.append(delta(KEY[28:]).replace('"delta",', '"third",'))
    assert Redactor([KEY]).shown_by(frames) == ()
    assert Redactor([KEY]).clean_frames(frames) == frames


def test_frames_that_are_not_json_are_joined_as_texts() -> None:
    frames = ["so " + KEY[:9], KEY[9:] + " it is"]
    assert Redactor([KEY]).clean_frames(frames) == [f"so {REMOVED}", f"{REMOVED} it is"]


def test_frames_without_a_secret_stay_byte_for_byte() -> None:
    frames = ['{"type" :"x", "delta":"\\u0041"}', "no json", '{"delta": "b"}', ""]
    assert Redactor([KEY]).clean_frames(frames) == frames
    assert Redactor().clean_frames(frames) == frames
    assert Redactor().shown_by(frames) == ()


def test_a_secret_in_a_deeply_nested_frame_is_removed() -> None:
    deep = "[" * 5000 + f'"{KEY}"' + "]" * 5000
    assert REMOVED in Redactor([KEY]).clean_frames([deep, deep])[0]


@pytest.mark.parametrize("sign", ["\\", "%41", "&amp;", "a", "\\u0041", KEY[:8]])
def test_the_cost_grows_with_the_text(sign: str) -> None:
    def spent(size: int) -> float:
        text = sign * (size // len(sign))
        begun = time.process_time()
        redactor.clean(text)
        return time.process_time() - begun

    redactor = Redactor([KEY])
    few = min(spent(50_000) for _ in range(3))
    assert min(spent(200_000) for _ in range(3)) < 4 * 4 * few


# Control characters


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 100%: fine", "plain text, 100%: fine"),
        ("größe 三 \U0001f600", "größe 三 \U0001f600"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m\x07\x00\x7f", "\\x9b31m\\x07\\x00\\x7f"),
        ("\u202eevil\u2066\u200b", "\\u202eevil\\u2066\\u200b"),
        ("half \ud83d", "half \\ud83d"),
        ("::error::pwned", "\\x3a:error::pwned"),
        ("so ::error file=a::b", "so \\x3a:error file=a::b"),
        ("##[error]pwned", "\\x23#[error]pwned"),
        ("so ##vso[task.complete]", "so \\x23#vso[task.complete]"),
        ("##teamcity[x]", "\\x23#teamcity[x]"),
        ("std::string, a::b, # heading, ##", "std::string, a::b, # heading, ##"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
