"""The description of missing and wrong fields over several sessions."""

from __future__ import annotations

from pytest_realtime_asr.requirements.flaws import described, distinct
from pytest_realtime_asr.trace.recording import Flaw

CREATED = Flaw("greeting: `created`", "is missing", "an integer")
USAGE = Flaw("done: `usage`", "is 5", "an object")


def test_one_session_has_no_count() -> None:
    assert (
        described([[CREATED]])
        == "greeting: `created` is missing; it must be an integer"
    )
    assert described([[Flaw("not JSON: no value")]]) == "not JSON: no value"


def test_each_field_is_named_once_with_its_sessions() -> None:
    other = Flaw(CREATED.subject, "is 1.5", "an integer")
    assert described([[CREATED, USAGE], [other], [CREATED]]) == (
        "greeting: `created` is missing in 3 sessions; it must be an integer; "
        "done: `usage` is 5 in 1 session; it must be an object"
    )
    assert distinct([CREATED, other, USAGE]) == (CREATED, USAGE)


def test_a_long_list_is_cut() -> None:
    many = [Flaw(f"done: `{number}`", "is missing", "a string") for number in range(7)]
    found = described([many])
    assert "`4`" in found
    assert found.endswith("; and 2 more wrong fields or frames")
    assert described([]) == ""
