"""User input: what is accepted, and what is refused in one line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from pytest_realtime_asr.text.inputs import (
    InputError,
    content,
    json_object,
    number,
    plain,
    reading,
    regular,
    sendable,
    shown,
    text,
    toml,
    whole,
    within,
)
from pytest_realtime_asr.text.messages import one_line


def test_a_message_is_one_printable_line() -> None:
    assert one_line("caf\u00e9 \u4f60") == "caf\u00e9 \u4f60"
    assert one_line("a\nb\x1b[2J\udcff\x00") == r"a\nb\x1b[2J\udcff\x00"
    assert str(InputError("a\nb")) == r"a\nb"


def test_the_ends_of_a_long_message_are_shown() -> None:
    found = one_line(f"here: {'x' * 10_000}; do this")
    assert len(found) < 1100
    assert found.startswith("here: ")
    assert found.endswith("; do this")
    assert one_line("x" * 1000) == "x" * 1000


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RecursionError(), "it: the content is nested too deeply"),
        (ValueError("odd"), "it: odd"),
        (OverflowError("large"), "it: large"),
        (InputError("wrong"), "it: wrong"),
    ],
)
def test_an_error_of_python_becomes_an_input_error_with_its_place(
    error: Exception, said: str
) -> None:
    with pytest.raises(InputError) as caught, reading("it"):
        raise error
    assert str(caught.value) == said


def test_a_type_error_is_not_reported_as_an_input_error() -> None:
    with pytest.raises(TypeError), reading("it"):
        raise TypeError


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 2**20)
    assert len(content(path)) == regular(path).st_size == 2**20
    path.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(
        InputError, match="/a: the file is larger than the limit of 1 MiB; check"
    ):
        content(path)
    assert len(content(path, most=2**21)) == 2**20 + 1


def test_a_text_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n" + b"c.d = '...'")
    assert text(path).startswith("a = 1")
    assert toml(path) == {"a": 1, "c": {"d": "..."}}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_text_may_be_utf_16_with_a_byte_order_mark(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffgrüß 日本語 😀\r\n".encode(encoding))
    assert text(path) == "grüß 日本語 😀\r\n"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"a\.txt: the text begins like UTF-16"):
        text(path)


def test_a_json_object() -> None:
    assert json_object('{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}
    for wrong in ("", "[]", "1", "{", '{"a": 1e999}'):
        with pytest.raises(InputError, match="not "):
            json_object(wrong)


def test_a_value_that_json_cannot_encode_is_refused() -> None:
    sendable({"a": [1, {"b": None}]})
    given: tuple[object, ...] = ([], None, {"a": object()}, {"a": "\ud800"})
    for wrong in given:
        with pytest.raises(InputError, match="not "):
            sendable(wrong)


def test_a_text_that_is_refused_is_not_shown() -> None:
    assert plain("caf\u00e9\n") == "caf\u00e9\n"
    for wrong in ("hush\udcff", "hush\0"):
        with pytest.raises(InputError) as caught:
            plain(wrong)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "found"),
    [("1", 1.0), (" -0.5 ", -0.5), (".5", 0.5), ("1.", 1.0), ("1E3", 1000.0)],
)
def test_a_number(given: str, found: float) -> None:
    assert number(given) == found


@pytest.mark.parametrize(
    "given", ["", "nan", "inf", "1_0", "\u0663", "0x1", "1 0", "e"]
)
def test_not_a_number(given: str) -> None:
    with pytest.raises(InputError, match="is not a number from"):
        number(given)


def test_bounds_are_inclusive() -> None:
    assert (number("1", 1, 2), number("2", 1, 2)) == (1.0, 2.0)
    assert (whole("1", 1, 2), whole("002", 1, 2)) == (1, 2)
    for given in ("0", "3", "9" * 5000):
        with pytest.raises(InputError, match="is not a number from 1 to 2"):
            number(given, 1, 2)
        with pytest.raises(InputError, match="is not a whole number from 1 to 2"):
            whole(given, 1, 2)
    for given in ("1.0", "-1", "+1", "\u00b2", "\u0661", ""):
        with pytest.raises(InputError):
            whole(given, 1, 2)


def test_within_accepts_only_numbers_between_the_bounds() -> None:
    assert within(1, 1, 2)
    assert within(2.0, 1, 2)
    wrong = (True, "1", None, math.nan, math.inf, 10**400, 0.999)
    assert not any(within(each, 1, 2) for each in wrong)


def test_a_value_is_shown_whatever_its_repr_does() -> None:
    assert shown("a") == "'a'"
    assert shown(10**5000) == "a value of type int"
