"""What is said of a test: its takes, its verdicts and its failures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
from servers import CLIP, VLLM, sessions, took

from pytest_realtime_asr import ledger
from pytest_realtime_asr.budgets import Verdict, budget, wer_threshold
from pytest_realtime_asr.ledger import Report, Transcription, report, statistics
from pytest_realtime_asr.loop import Loop
from pytest_realtime_asr.rules import Level
from pytest_realtime_asr.terms import Terms


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


@pytest.fixture(scope="module")
def sloppy(loop: Loop) -> Transcription:
    return took(loop, "novelty", "bad-usage")


def terms(**changes: object) -> Terms:
    return Terms("vllm", "", 1.0, 0.1, **changes)  # type: ignore[arg-type]


def judged(takes: list[Transcription], held: Terms, **paths: str) -> Report:
    return report(
        "test_it",
        takes,
        sessions(takes),
        held,
        pools={each: takes for each in held.budgets},
        paths=paths,
    )


def test_transcription(good: Transcription) -> None:
    assert good.text == CLIP.text
    assert good.partials[0] == "turn"
    assert good.partials[-1] == CLIP.text
    assert good.usage is not None
    assert good.counts.samples == CLIP.audio.samples
    assert good.counts.completion_tokens == good.usage.completion
    assert good.alignment.errors.rate == 0
    assert good.violations == ()
    assert good.label == good.session
    assert good.session.startswith("sess-")
    assert "trace" not in repr(good)
    assert (good.lost, good.reason, good.raised) == ("", "", False)


def test_lost_transcription(hung: Transcription) -> None:
    assert hung.lost == "hung"
    assert "waited 0.3 s for the final" in hung.reason
    assert hung.text == CLIP.text  # what had been said by then
    assert hung.usage is None
    assert hung.alignment.errors.rate == 1  # and yet all of it is lost
    assert hung.metrics["final_from_commit"] is None
    assert hung.metrics["first_partial_from_speech"] is not None


def test_label_of_a_later_utterance(good: Transcription) -> None:
    later = Transcription(CLIP, good.timeline, good.trace, VLLM, item=2)
    assert later.label == f"{good.session}#3"


def test_nothing_to_judge(good: Transcription) -> None:
    found = judged([good], terms())
    assert found.verdict is None
    assert (found.planned, found.lost, found.failures) == (1, 0, ())


def test_budgets_pass_and_fail(good: Transcription, hung: Transcription) -> None:
    wide = budget("final_from_commit", max="60s")
    tight = budget("final_from_commit", max="1ms")
    assert judged([good], terms(budgets=(wide,))).verdict is Verdict.PASS
    found = judged([good], terms(budgets=(tight,)), **{good.label: "a.jsonl"})
    assert found.verdict in (Verdict.FAIL, Verdict.INVALID)
    (text,) = found.failures
    assert text.startswith("final_from_commit max = ")
    assert f"turn-right  {good.label}  " in text
    assert " UTC" in text
    assert "trace: a.jsonl" in text
    assert "text: 'turn right and stop'" in text
    assert found.paths == ("a.jsonl",)
    found = judged([good, hung], terms(budgets=(wide,)))
    assert found.verdict is Verdict.FAIL
    assert found.lost == 1
    assert "1 hung" in found.failures[0]
    assert hung.reason in found.failures[0]


def test_wer(good: Transcription, hung: Transcription) -> None:
    held = terms(thresholds=(wer_threshold(0.1),), rules=None)
    assert judged([good], held).verdict is Verdict.PASS
    found = judged([good, hung], held)
    assert found.verdict is Verdict.FAIL
    (text,) = found.failures
    assert "50" in text.splitlines()[0]


def test_rules(sloppy: Transcription) -> None:
    ids = [v.requirement.id for v in sloppy.violations]
    assert ids == ["known-events", "usage-adds-up"]
    must = judged([sloppy], terms())
    assert ["rule usage-adds-up [MUST]" in text for text in must.failures] == [True]
    should = judged([sloppy, sloppy], terms(rules=Level.SHOULD))
    assert len(should.failures) == 2
    assert all(", in 2 sessions; vLLM" in text for text in should.failures)
    assert "(4 times)" in should.failures[0]
    off = judged([sloppy], terms(rules=None))
    assert off.failures == ()
    assert len(off.violations) == 2
    assert len(ledger.broken(off.violations)) == 2


def softer(take: Transcription, *ids: str) -> Transcription:
    """The same under rules of which these blame nobody."""
    rules = tuple(
        replace(rule, level=Level.INFO) if rule.id in ids else rule
        for rule in take.rules
    )
    return replace(take, rules=rules)


def test_who_is_judged_by_nothing_breaks_nothing(sloppy: Transcription) -> None:
    free = replace(sloppy, rules=())
    assert free.violations == ()
    found = judged([free], terms(rules=Level.SHOULD))
    assert (found.failures, found.violations) == ((), ())
    few = replace(
        sloppy, rules=tuple(r for r in sloppy.rules if r.id == "known-events")
    )
    assert [v.requirement.id for v in few.violations] == ["known-events"]
    assert "rules" not in repr(sloppy)


def test_what_is_known_is_seen_and_blames_nobody(sloppy: Transcription) -> None:
    known = softer(sloppy, "usage-adds-up")
    found = judged([known], terms(rules=Level.SHOULD))
    levels = [violation.requirement.level for violation, _ in found.violations]
    assert levels == [Level.SHOULD, Level.INFO]
    assert ["rule known-events [SHOULD]" in text for text in found.failures] == [True]
    assert judged([known], terms()).failures == ()
    (line,) = ledger.broken(found.violations)
    assert line.startswith("rule known-events [SHOULD]")
    (line,) = ledger.broken(found.violations, [Level.INFO])
    assert line.startswith("rule usage-adds-up [INFO]")


def test_each_session_is_judged_by_its_own_rules(sloppy: Transcription) -> None:
    takes = [sloppy, replace(sloppy, rules=()), softer(sloppy, "usage-adds-up")]
    found = judged(takes, terms())
    levels = [
        violation.requirement.level
        for violation, _ in found.violations
        if violation.requirement.id == "usage-adds-up"
    ]
    assert levels == [Level.MUST, Level.INFO]
    (text,) = found.failures
    assert text.startswith("rule usage-adds-up [MUST]")
    assert "sessions" not in text  # it is one, and not three


def test_unjudged_loss_fails(good: Transcription, hung: Transcription) -> None:
    found = judged([good, hung], terms())
    assert any(
        text.startswith("1 of 2 utterances have no final; turn-right hung: waited")
        for text in found.failures
    )
    told = replace(hung, raised=True)
    alone = judged([told], terms(rules=Level.MUST))
    assert not any("have no final" in text for text in alone.failures)
    assert judged([hung], terms(rules=None)).failures == ()


def test_statistics(good: Transcription, hung: Transcription) -> None:
    found = statistics([good, hung])
    final = found["final_from_commit"]
    assert final["n"] == 2
    assert final["max"] == final["p95"] == math.inf
    assert final["p50"] == good.metrics["final_from_commit"]
    assert found["first_partial_from_speech"]["max"] == math.inf
    assert math.isfinite(found["sender_lateness"]["max"])
    assert "final_from_commit" not in statistics([hung])
    assert statistics([]) == {}


def test_error_rates(good: Transcription, hung: Transcription) -> None:
    words = ledger.word_errors([good, hung])
    letters = ledger.character_errors([good, hung])
    spoken = CLIP.text.replace(" ", "")
    assert (words.hits, words.deletions) == (4, 4)
    assert (letters.hits, letters.deletions) == (len(spoken), len(spoken))
