"""Tests of known failures: reading a list, its errors, and its effect."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.known_failures import (
    Expected,
    Known,
    check,
    read,
    softened,
    soon,
)
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Outcome,
    Requirement,
    Satisfied,
)

TODAY = date(2026, 11, 24)
ENTRY = Known(
    id="binary-answered",
    kind=Expected.KNOWN,
    reason="the session ends without a word",
    issue="https://example.org/1",
    until=date(2027, 1, 31),
)
FULL = """
[[known]]
id = "binary-answered"
reason = "the session ends without a word"
issue = "https://example.org/1"
until = 2027-01-31
"""


def written(path: Path, text: str | bytes) -> Path:
    file = path / "known.toml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_a_list_is_read_in_its_order(tmp_path: Path) -> None:
    text = FULL.replace("[[known]]", "[[flaky]]").replace(
        "binary-answered", "one-final"
    )
    more = 'version = ">=0.22,<0.34"\nmodel = "voxtral"\n'
    assert read(written(tmp_path, FULL + text + more)) == (
        ENTRY,
        replace(
            ENTRY,
            id="one-final",
            kind=Expected.FLAKY,
            versions=">=0.22,<0.34",
            model="voxtral",
        ),
    )


def test_a_list_may_be_empty(tmp_path: Path) -> None:
    assert read(written(tmp_path, "# nothing is known\n")) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[known]\n", "Expected ']]' at the end of an array declaration"),
        (
            'title = "a"',
            "Object contains unknown field `title`; write",
        ),
        ("[[unknown]]", "Object contains unknown field `unknown`; write [[known]]"),
        ("[known]", "known: Expected `array`, got `object`; write [[known]]"),
        (
            "flaky = 1",
            "flaky: Expected `array`, got `int`; write",
        ),
        ("known = [1]", "[[known]] 1: Expected `object`, got `int`; write [[known]]"),
        (
            "[[known]]",
            "[[known]] 1: Object missing required field `id`; write",
        ),
        (
            FULL + FULL.replace("reason", "because"),
            "[[known]] 2: Object contains unknown field `because`; write [[known]]",
        ),
        (
            FULL + 'since = "0.33"',
            "[[known]] 1: Object contains unknown field `since`; write [[known]]",
        ),
        (
            FULL.replace("2027-01-31", '"2027-01-31"'),
            "[[known]] 1.until: Expected `date`, got `str`; write [[known]] or "
            "[[flaky]] with the strings `id`, `reason` and `issue`, the date `until` "
            "(such as 2027-01-31)",
        ),
        (
            FULL.replace("2027-01-31", "2027-01-31T00:00:00"),
            "[[known]] 1.until: Expected `date`, got `datetime`; write [[known]]",
        ),
        (
            FULL.replace('"https://example.org/1"', "5"),
            "[[known]] 1.issue: Expected `str`, got `int`; write [[known]]",
        ),
        (
            FULL.replace("binary-answered", " "),
            "[[known]] 1.id: the string is empty; write [[known]]",
        ),
        (
            FULL.replace("the session ends without a word", ""),
            "[[known]] 1.reason: the string is empty; write [[known]]",
        ),
        (
            FULL.replace("https://example.org/1", ""),
            "[[known]] 1.issue: the string is empty; write [[known]]",
        ),
        (FULL + 'version = ""', "[[known]] 1.version: the string is empty; write"),
        (FULL + 'model = " "', "[[known]] 1.model: the string is empty; write"),
        (FULL + "model = 5", "[[known]] 1.model: Expected `str`, got `int`"),
        (
            FULL + 'version = "0.34"',
            "[[known]] 1: the version cannot be read; write it as in '<0.34' or",
        ),
        (FULL + FULL, "[[known]] 2: binary-answered is listed twice; remove"),
        (
            FULL + FULL.replace("[[known]]", "[[flaky]]"),
            "[[flaky]] 1: binary-answered is listed twice; remove",
        ),
    ],
)
def test_an_invalid_list_is_refused(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ValueError, match="^" + re.escape(f"{file}: {message}")):
        read(file)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml: .*no such file"):
        read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("versions", "version", "holds"),
    [
        (None, "0.33.0", True),
        (None, "", True),
        ("<0.34", "0.33.0", True),
        ("<0.34", "0.34", False),
        ("<0.34", "0.34.0rc1", False),
        ("<0.34", "0.33.1.dev5+g1a2b3c", True),
        (">=0.22,<0.34", "0.21", False),
        ("<0.34", "", True),  # an unknown version is any version
        ("<0.34", "nightly", True),
    ],
)
def test_an_entry_applies_to_its_versions(
    versions: str | None, version: str, holds: bool
) -> None:
    assert replace(ENTRY, versions=versions).applies_to(version, "any") is holds


def test_an_entry_applies_to_its_model() -> None:
    assert replace(ENTRY, model="voxtral").applies_to("0.33", "voxtral")
    assert not replace(ENTRY, model="voxtral").applies_to("0.33", "whisper")
    assert ENTRY.applies_to("0.33", "whisper")


def test_an_entry_states_its_reason_and_date() -> None:
    assert str(ENTRY) == (
        "the session ends without a word (https://example.org/1, until 2027-01-31)"
    )


def test_an_expired_entry_is_refused() -> None:
    check([replace(ENTRY, until=TODAY)], {ENTRY.id}, TODAY)
    with pytest.raises(
        ValueError,
        match=r"^binary-answered: the entry expired on 2026-11-23 "
        r"\(https://example.org/1\); remove the entry, or give it a later date$",
    ):
        check([replace(ENTRY, until=date(2026, 11, 23))], {ENTRY.id}, TODAY)


def test_an_entry_for_an_unknown_requirement_is_refused() -> None:
    check([], set(), TODAY)
    with pytest.raises(
        ValueError,
        match=r"^binary-answered: there is no such requirement; "
        "--realtime-list=requirements lists all requirements$",
    ):
        check([ENTRY], {"one-final"}, TODAY)


def test_an_entry_that_expires_soon_is_announced() -> None:
    days = (
        date(2026, 11, 23),
        TODAY,
        date(2026, 11, 25),
        date(2026, 12, 8),
        date(2026, 12, 9),
    )
    assert soon([replace(ENTRY, until=day) for day in days], TODAY) == [
        "known failure binary-answered expires in 0 days, on 2026-11-24 "
        "(https://example.org/1)",
        "known failure binary-answered expires in 1 day, on 2026-11-25 "
        "(https://example.org/1)",
        "known failure binary-answered expires in 14 days, on 2026-12-08 "
        "(https://example.org/1)",
    ]


def requirement(id: str) -> Requirement:
    def judge(_: Evidence) -> Outcome:
        return Satisfied()

    return Requirement(id, "it answers", Level.MUST, "a clause", judge)


def test_a_known_failure_is_reported_at_the_level_info() -> None:
    listed, flaky, other, free = map(requirement, ("a", "b", "c", "d"))
    entries = [
        replace(ENTRY, id="a"),
        replace(ENTRY, id="b", kind=Expected.FLAKY, model="voxtral"),
        replace(ENTRY, id="c", versions="<0.33"),
    ]
    found = softened(
        (listed, flaky, other, free), entries, version="0.33", model="voxtral"
    )
    assert found[0] == replace(
        listed, level=Level.INFO, title=f"it answers (known: {entries[0]})"
    )
    assert found[1] == replace(
        flaky, level=Level.INFO, title=f"it answers (flaky: {entries[1]})"
    )
    assert found[2:] == (other, free)
