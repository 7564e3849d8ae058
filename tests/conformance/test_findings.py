"""Which violations are one finding: those by the end of one session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.results import Findings, Result, Status
from pytest_realtime_asr.requirements.requirement import Level
from tests.support.sessions import spoke

VLLM = {each.id: each for each in dialects.load("vllm").requirements}
LOST = spoke("a", None)


def violated(id: str, **changes: object) -> Result:
    found = Result(VLLM[id], Status.VIOLATED, "it broke off", LOST, by_end=True)
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_second_violation_by_the_same_end_refers_to_the_first() -> None:
    findings = Findings()
    first = violated("one-final")
    assert findings.add(first) is first
    second = findings.add(violated("finishes-1s"))
    assert second.status is Status.SAME_CAUSE
    assert second.reason == "the same cause as one-final: it broke off"
    assert not second.fails(strict=True)


@pytest.mark.parametrize(
    "other",
    [
        violated("finishes-1s", session=spoke("a", None)),  # another session
        violated("finishes-1s", by_end=False),
        violated("finishes-1s", status=Status.UNDECIDED),
    ],
)
def test_other_violations_are_findings_of_their_own(other: Result) -> None:
    findings = Findings()
    findings.add(violated("one-final"))
    assert findings.add(other) is other


def test_a_violated_must_is_not_grouped_under_a_should() -> None:
    findings = Findings()
    assert VLLM["closes-are-explained"].level is Level.SHOULD
    findings.add(violated("closes-are-explained"))
    must = violated("one-final")
    assert findings.add(must) is must
    assert findings.add(violated("finishes-1s")).status is Status.SAME_CAUSE
