"""Tests of the checks of broken, control and direction characters in texts."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.requirement import Satisfied
from tests.support.check_outcomes import GOOD, Bad, Open, check, seen
from tests.support.sessions import CREATED, SPEAK, UPDATE, delta, done, part

CONTROLS = [*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))]
ALLOWED = "\t\n\r"
LRE, PDF, RLO, LRI, FSI, PDI = "\u202a\u202c\u202e\u2066\u2068\u2069"


@pytest.mark.parametrize("char", CONTROLS, ids=lambda each: f"{ord(each):02x}")
def test_a_control_character(char: str) -> None:
    for frame in (delta(f"a{char}b"), done(f"a{char}b")):
        evidence = part("it", CREATED, UPDATE, *SPEAK, frame)
        found = GOOD if char in ALLOWED else Bad(f"a control character {char!r} is in")
        check(checks.no_control_characters, evidence, found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", GOOD),
        ("\u200eshalom\u200f \u061c", GOOD),  # marks have no end
        (f"a {RLO}b{PDF} c", GOOD),
        (f"a {FSI}b {LRE}c{PDF}{PDI} d", GOOD),
        (f"a {LRI}b {LRE}c{PDI} d", GOOD),  # the isolate ends the embedding
        (f"a {RLO}b", Bad("an unpaired direction control '\\u202e' is in the text ")),
        (f"a {LRI}b{PDF}{PDI}", Bad("an unpaired direction control '\\u202c'")),
        (f"a {LRI}b", Bad("an unpaired direction control '\\u2066'")),
        (f"a{PDI}", Bad("an unpaired direction control '\\u2069'")),
        (f"a{PDF}", Bad("an unpaired direction control '\\u202c'")),
        (f"a {RLO}b\nc{PDF}", Bad("an unpaired direction control '\\u202e'")),
    ],
)
def test_changes_of_direction(text: str, found: object) -> None:
    evidence = part("it", CREATED, UPDATE, *SPEAK, delta(text), done(text))
    assert isinstance(found, Satisfied | Bad)
    check(checks.paired_directions, evidence, found)


def test_a_partial_may_end_a_change_of_direction_later() -> None:
    evidence = part("it", CREATED, UPDATE, *SPEAK, delta(f"a {RLO}b"))
    check(checks.paired_directions, evidence, Open("no final came"))


@example("session.update")  # also the type of an event
@given(st.text())
def test_the_checks_handle_any_text(text: str) -> None:
    text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    evidence = seen(part("it", CREATED, UPDATE, *SPEAK, done(text)))
    clean = not text or not set(text) & (set(CONTROLS) - set(ALLOWED))
    outcome = checks.no_control_characters(evidence)
    assert bool(text and clean) == isinstance(outcome, Satisfied)
    checks.paired_directions(evidence)
