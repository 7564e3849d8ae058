"""The results of a test: its transcriptions, its verdicts and its failures."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.report import messages
from pytest_realtime_asr.report.messages import headline
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.run.ledger import RandomOrder
from pytest_realtime_asr.run.results import (
    Results,
    broken_rules,
    decided,
    judge_test,
    sequential_budgets,
)
from pytest_realtime_asr.run.statistics import (
    character_errors,
    keyword_recall,
    statistics,
    unspoken,
    word_errors,
)
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.budgets import budget, latency_budget, wer_threshold
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy, Verdict
from tests.support.servers import CLIP, VLLM, took, violations


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


@pytest.fixture(scope="module")
def hasty(loop: Loop) -> Transcription:
    return took(loop, "final-first")


@pytest.fixture(scope="module")
def sloppy(loop: Loop) -> Transcription:
    return took(loop, "novelty", "bad-usage")


def terms(**changes: object) -> Terms:
    return Terms("vllm", "", 1.0, 0.1, **changes)  # type: ignore[arg-type]


def judged(takes: list[Transcription], held: Terms, **paths: str) -> Results:
    found = judge_test(
        "test_it",
        takes,
        held,
        pools={each: takes for each in held.budgets},
        violations=violations(takes),
    )
    return replace(found, paths=paths)


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
    assert re.search(r"waited 0\.\d s for the final", hung.reason)
    assert hung.text == CLIP.text  # what had been said by then
    assert hung.usage is None
    assert hung.alignment.errors.rate == 1  # and yet all of it is lost
    assert hung.metrics["final_from_commit"] is None
    assert hung.metrics["first_partial_from_speech"] is not None


def test_label_of_a_later_utterance(good: Transcription) -> None:
    later = Transcription(CLIP, good.recording, VLLM, item=2)
    assert later.label == f"{good.session}#3"


def test_nothing_to_judge(good: Transcription) -> None:
    found = judged([good], terms())
    assert found.verdict is None
    assert (found.planned, found.lost, found.failing) == (1, 0, ())


def test_budgets_pass_and_fail(good: Transcription, hung: Transcription) -> None:
    wide = latency_budget("final_from_commit", max="60s")
    tight = latency_budget("final_from_commit", max="1ms")
    assert judged([good], terms(budgets=(wide,))).verdict is Verdict.PASS
    found = judged([good], terms(budgets=(tight,)), **{good.label: "a.jsonl"})
    assert found.verdict in (Verdict.FAIL, Verdict.INVALID)
    (text,) = messages.failures(found)
    assert text.startswith("final_from_commit max = ")
    assert f"turn-right  {good.label}  " in text
    assert " UTC" in text
    assert "trace: a.jsonl" in text
    assert "text: 'turn right and stop'" in text
    assert found.paths == {good.label: "a.jsonl"}
    found = judged([good, hung], terms(budgets=(wide,)))
    assert found.verdict is Verdict.FAIL
    assert found.lost == 1
    assert "1 hung" in messages.failures(found)[0]
    assert hung.reason in messages.failures(found)[0]


def test_wer(good: Transcription, hung: Transcription) -> None:
    held = terms(thresholds=(wer_threshold(0.1),), rules=None)
    assert judged([good], held).verdict is Verdict.PASS
    found = judged([good, hung], held)
    assert found.verdict is Verdict.FAIL
    (text,) = messages.failures(found)
    assert "50" in text.splitlines()[0]


def test_rules(sloppy: Transcription) -> None:
    ids = [v.requirement.id for v in sloppy.violations]
    assert ids == ["known-events", "usage-adds-up"]
    must = judged([sloppy], terms())
    assert [
        "rule usage-adds-up [MUST]" in text for text in messages.failures(must)
    ] == [True]
    should = judged([sloppy, sloppy], terms(rules=Level.SHOULD))
    assert len(messages.failures(should)) == 2
    assert all(", in 2 sessions; vLLM" in text for text in messages.failures(should))
    assert "(4 times)" in messages.failures(should)[0]
    off = judged([sloppy], terms(rules=None))
    assert messages.failures(off) == []
    assert len(off.violations) == 2
    assert len(broken_rules(off.violations)) == 2


def softer(take: Transcription, *ids: str) -> Transcription:
    """Return a transcription for which these requirements have the level INFO."""
    rules = tuple(
        replace(rule, level=Level.INFO) if rule.id in ids else rule
        for rule in take.rules
    )
    return replace(take, rules=rules)


def test_without_requirements_there_is_no_violation(sloppy: Transcription) -> None:
    free = replace(sloppy, rules=())
    assert free.violations == ()
    found = judged([free], terms(rules=Level.SHOULD))
    assert (messages.failures(found), found.violations) == ([], ())
    few = replace(
        sloppy, rules=tuple(r for r in sloppy.rules if r.id == "known-events")
    )
    assert [v.requirement.id for v in few.violations] == ["known-events"]
    assert "rules" not in repr(sloppy)


def test_a_known_failure_is_recorded_and_fails_no_test(sloppy: Transcription) -> None:
    known = softer(sloppy, "usage-adds-up")
    found = judged([known], terms(rules=Level.SHOULD))
    levels = [violation.requirement.level for violation in found.violations]
    assert levels == [Level.SHOULD, Level.INFO]
    assert [
        "rule known-events [SHOULD]" in text for text in messages.failures(found)
    ] == [True]
    assert messages.failures(judged([known], terms())) == []
    (broken,) = broken_rules(found.violations)
    assert messages.rule(broken).startswith("rule known-events [SHOULD]")
    (broken,) = broken_rules(found.violations, [Level.INFO])
    assert messages.rule(broken).startswith("rule usage-adds-up [INFO]")


def test_each_session_is_judged_by_its_own_rules(sloppy: Transcription) -> None:
    takes = [sloppy, replace(sloppy, rules=()), softer(sloppy, "usage-adds-up")]
    found = judged(takes, terms())
    levels = [
        violation.requirement.level
        for violation in found.violations
        if violation.requirement.id == "usage-adds-up"
    ]
    assert levels == [Level.MUST, Level.INFO]
    (text,) = messages.failures(found)
    assert text.startswith("rule usage-adds-up [MUST]")
    assert "sessions" not in text  # it is one, and not three


def test_a_loss_that_no_metric_judges_fails_the_test(
    good: Transcription, hung: Transcription
) -> None:
    found = judged([good, hung], terms())
    assert any(
        text.startswith("1 of 2 utterances have no final; turn-right hung: waited")
        for text in messages.failures(found)
    )
    told = replace(hung, raised=True)
    alone = judged([told], terms(rules=Level.MUST))
    assert not any("have no final" in text for text in messages.failures(alone))
    assert messages.failures(judged([hung], terms(rules=None))) == []


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


def test_a_premature_value_is_the_worst_value(
    good: Transcription, hasty: Transcription
) -> None:
    early = hasty.premature["final_from_commit"]
    assert early is Premature.FINAL_BEFORE_COMMIT
    value = hasty.metrics["final_from_commit"]
    assert value is not None  # it is kept to be looked at
    assert value < 0
    final = statistics([good, hasty])["final_from_commit"]
    assert (final["n"], final["max"]) == (2, math.inf)
    assert final["p50"] == good.metrics["final_from_commit"]
    assert statistics([hasty])["final_from_commit"]["p50"] == math.inf


@pytest.mark.parametrize("rules", [None, Level.MUST])
def test_a_premature_value_is_over_every_limit(
    good: Transcription, hasty: Transcription, rules: Level | None
) -> None:
    wide = latency_budget("final_from_commit", max="60s")
    other = latency_budget("send_blocked", max="60s")
    found = judged([good, hasty], terms(budgets=(wide, other), rules=rules))
    over, kept = found.findings
    assert (over.verdict, over.over, over.observed) == (Verdict.FAIL, 1, math.inf)
    assert over.premature == ((Premature.FINAL_BEFORE_COMMIT, 1),)
    assert over.worst[0].label == hasty.label
    assert (kept.verdict, kept.premature) == (Verdict.PASS, ())  # it is none of these
    assert "1 with final before its commit" in messages.failures(found)[0]
    assert "ms, final before its commit  turn-right" in messages.failures(found)[0]


def test_a_lost_take_is_the_worst_in_the_direction_of_the_metric(
    good: Transcription, hung: Transcription
) -> None:
    coverage = statistics([good, hung])["word_coverage"]
    assert coverage == {"p50": 1.0, "p95": -math.inf, "min": -math.inf, "n": 2}
    erasure = statistics([good, hung])["normalized_erasure"]
    assert (erasure["p50"], erasure["max"]) == (0.0, math.inf)


def test_values_have_the_unit_of_their_metric(good: Transcription) -> None:
    held = terms(budgets=(budget("word_coverage", at_least=1.5),))
    (text,) = messages.failures(judged([good], held))
    assert text.splitlines()[1].split()[:2] == ["1", "turn-right"]
    tight = terms(budgets=(latency_budget("final_from_commit", p50="1ms"),))
    (text,) = messages.failures(judged([good] * 2, tight))
    assert text.splitlines()[1].split()[1:3] == ["ms", "turn-right"]


@pytest.mark.parametrize("policy", list(UndecidedPolicy))
def test_an_undecided_verdict_fails_warns_or_skips(
    good: Transcription, hung: Transcription, policy: UndecidedPolicy
) -> None:
    proof = latency_budget("final_from_commit", p50="60s", confidence=0.95)
    sure = terms(budgets=(proof,), undecided=policy, rules=None)
    found = judged([good], sure)
    assert found.verdict is Verdict.INCONCLUSIVE
    told = {
        UndecidedPolicy.FAIL: messages.failures(found),
        UndecidedPolicy.WARN: messages.warnings(found),
        UndecidedPolicy.SKIP: messages.skipped(found),
    }
    (line,) = told.pop(policy)
    assert line.startswith("INCONCLUSIVE")
    assert list(told.values()) == [[], []]
    # What speaks of the server fails in any case.
    assert judged([hung] * 5, sure).verdict is Verdict.FAIL
    assert len(messages.failures(judged([hung] * 5, sure))) == 1


def test_sessions_after_a_sequential_decision_do_not_count(
    good: Transcription, hung: Transcription
) -> None:
    wide = latency_budget("final_from_commit", p50="60s")
    most = latency_budget("final_from_commit", max="60s")
    held = terms(budgets=(wide, most), rules=None)
    order = RandomOrder(seed=1, most=40)
    taken = [good]
    while not decided(taken, held, order):
        taken.append(good)
    assert len(taken) < 10
    assert sequential_budgets(held) == [wide]
    found = judge_test(
        "test_it",
        [*taken, hung, hung],
        held,
        pools={each: [*taken, hung, hung] for each in held.budgets},
        order=order,
    )
    verdicts = [finding.verdict for finding in found.findings]
    assert verdicts == [Verdict.PASS, Verdict.FAIL]
    assert found.findings[0].n == len(taken)
    assert (
        "in random order (seed 1), until the verdict was decided or 40 sessions"
        in messages.lines(found)[2]
    )


def test_two_lost_sessions_decide_a_sequential_test(hung: Transcription) -> None:
    held = terms(budgets=(latency_budget("final_from_commit", p50="60s"),))
    assert decided([hung] * 2, held, RandomOrder(1, 40))


def test_a_missing_value_ends_a_sequential_test(good: Transcription) -> None:
    bare = replace(good, utterance=replace(CLIP, text="", words=()))
    held = terms(budgets=(latency_budget("first_partial_from_speech", p50="60s"),))
    assert decided([bare], held, RandomOrder(1, 40))
    assert not decided([], held, RandomOrder(1, 40))


def test_the_rate_of_words_in_silence(good: Transcription, hung: Transcription) -> None:
    silent = replace(good, utterance=replace(CLIP, text="", words=()))
    rate = 4 / (CLIP.audio.seconds / 60)
    assert unspoken([silent, good]) == pytest.approx(rate)
    assert unspoken([good]) is None
    assert statistics([silent, good, hung])["unspoken_rate"]["n"] == 1
    held = terms(budgets=(budget("unspoken_rate", at_most=0),))
    (text,) = messages.failures(judged([silent, good], held))
    assert text.startswith("unspoken_rate mean = ")
    assert " per minute > 0 per minute (n=1, 1 over; not proven)" in text


def test_error_rates(good: Transcription, hung: Transcription) -> None:
    words = word_errors([good, hung])
    letters = character_errors([good, hung])
    spoken = CLIP.text.replace(" ", "")
    assert (words.hits, words.deletions) == (4, 4)
    assert (letters.hits, letters.deletions) == (len(spoken), len(spoken))


# Coverage and keywords


def test_a_latency_of_words_comes_with_their_coverage(good: Transcription) -> None:
    held = terms(budgets=(latency_budget("word_settled", p95="10s"),))
    (found,) = judged([good], held).findings
    assert found.beside == good.metrics["word_coverage"] == 1.0
    assert "; word_coverage 1" in headline(found)
    alone = terms(budgets=(latency_budget("final_from_commit", p95="10s"),))
    (other,) = judged([good], alone).findings
    assert other.beside is None
    assert "coverage" not in headline(other)


def test_keywords_are_counted_as_often_as_they_were_said(
    good: Transcription, hung: Transcription
) -> None:
    first, *_, last = CLIP.text.split()
    nobody = "hippopotamus"
    assert keyword_recall([good], [first, last, nobody]) == 1.0
    assert keyword_recall([good, hung], [first, last]) == 0.5
    assert keyword_recall([good], [nobody]) is None
    assert keyword_recall([good], [CLIP.text]) == 1.0
    other = replace(good, utterance=replace(CLIP, text=f"{first} {first} {last}"))
    assert keyword_recall([other], [first, last]) == pytest.approx(2 / 3)
