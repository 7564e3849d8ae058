"""Whether a server keeps its protocol: one test for each requirement."""

from __future__ import annotations

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.scenarios import SCENARIOS, Evidence, Scenario
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.ledger import Transcription
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.realtime import Realtime
from pytest_realtime_asr.rules import Requirement, Undecided, Violated

pytestmark = pytest.mark.realtime(rules="off")


@pytest.fixture(scope="module")
def evidence() -> dict[Scenario, Evidence]:
    """What each scenario gave, held once for all requirements that it serves."""
    return {}


@pytest.mark.parametrize("id", SCENARIOS)
def test_requirement(
    id: str,
    realtime: Realtime,
    corpus: Corpus,
    evidence: dict[Scenario, Evidence],
) -> None:
    dialect = dialects.load(realtime.dialect)
    requirement: Requirement = {each.id: each for each in dialect.requirements}[id]
    scenario = SCENARIOS[id]
    if scenario not in evidence:
        evidence[scenario] = scenario(realtime, corpus)
    found = requirement.judge(dialects.observe(dialect, evidence[scenario].trace))
    told = f"{requirement.level.name}: {requirement.title} ({requirement.clause})"
    match found:
        case Violated(message=message):
            pytest.fail(f"{message}; {told}", pytrace=False)
        case Undecided(reason=reason):
            pytest.fail(f"undecided: {reason}; {told}", pytrace=False)


def test_utterances_are_kept_apart(
    realtime: Realtime,
    corpus: Corpus,
    evidence: dict[Scenario, Evidence],
) -> None:
    """Nothing of the first utterance is heard in the second, nor the reverse."""
    scenario = SCENARIOS["order"]
    if scenario not in evidence:
        evidence[scenario] = scenario(realtime, corpus)
    takes = evidence[scenario].takes
    if len(takes) < 2:
        pytest.fail("undecided: the two utterances got no two finals", pytrace=False)
    first, second = takes
    for take, other in ((first, second), (second, first)):
        own, strange = _unlike(take, take), _unlike(take, other)
        if strange < own:
            pytest.fail(f"{take.text!r} is the text of the other one", pytrace=False)
        if other.text and other.text in take.text and take.text != other.text:
            pytest.fail(f"{take.text!r} holds {other.text!r}", pytrace=False)


def _unlike(take: Transcription, other: Transcription) -> float:
    """How far a text is from the reference of ``other``, as a share of its words."""
    language = other.utterance.language
    errors = words(other.utterance.text, take.text, language=language).errors
    return errors.rate or 0.0
