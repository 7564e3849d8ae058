"""The strips of the worst sessions: which sessions have one, and what it shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.report import messages, worst_sessions
from pytest_realtime_asr.report.alignment import columns
from pytest_realtime_asr.run.results import BrokenRule, Results, judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.verdicts.budgets import (
    Budget,
    keyword_recall,
    latency_budget,
    wer_threshold,
)
from tests.support.servers import CLIP, took

TERMS = Terms("vllm", "", 1.0, 0.1)
FINAL = latency_budget("final_from_commit", max="0.1ms")
FIRST = latency_budget("first_partial_from_speech", max="1ms")


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


def judged(
    takes: Iterable[Transcription], *budgets: Budget, terms: Terms = TERMS
) -> Results:
    takes = tuple(takes)
    terms = replace(terms, budgets=budgets)
    return judge_test("test_it", takes, terms, pools=dict.fromkeys(budgets, takes))


def failure(results: Results, *, width: int | None = 80) -> str:
    text = messages.failure(results, width=width)
    assert text is not None
    return text


def over(take: Transcription, name: str, value: float) -> Transcription:
    """Return a transcription with a written trace, and with this value of latencies.

    Its client was never late, however busy the machine of the test is.
    """
    late = dict.fromkeys(("final_from_commit", "first_partial_from_speech"), value)
    kept = replace(
        take.measured,
        session=name,
        metrics={**take.metrics, **late},
        premature={},
        scheduling_delay=0.0,
        client_state=ClientState(),
    )
    return replace(take, kept=kept, written=take.dumps())


def test_a_latency_over_its_limit(good: Transcription) -> None:
    take = over(good, "late", 1000)
    text = failure(judged([take], FINAL))
    parts = ("  audio ", "  said ", "  heard ", "commit", "limit 0.1 ms", "final")
    assert all(part in text for part in parts)
    assert text.count("  audio ") == 1
    start = text.index("  audio ")
    lines = text[start:].splitlines()
    assert all(columns(line) <= 80 for line in lines)
    assert "  audio " not in failure(judged([take], FINAL), width=None)


def test_a_session_within_the_limit_has_no_strip(good: Transcription) -> None:
    takes = [over(good, "early", 100), over(good, "late", 1000)]
    budget = latency_budget("final_from_commit", max="500ms")
    (strips,) = worst_sessions.of_causes(judged(takes, budget), width=80)
    assert list(strips) == ["late"]


def test_a_hundred_failing_sessions_have_three_strips(good: Transcription) -> None:
    takes = [over(good, f"session-{n}", 1000.0 + n) for n in range(100)]
    text = failure(judged(takes, FINAL))
    assert text.count("  audio ") == 3
    for n in (99, 98, 97):
        assert f"session-{n} " in text
    assert len(text) < 5000
    without = [replace(take, written=None) for take in takes]
    assert "  audio " not in failure(judged(without, FINAL))


def test_a_session_over_two_limits_has_one_strip(good: Transcription) -> None:
    text = failure(judged([over(good, "late", 1000)], FINAL, FIRST))
    assert text.count("  audio ") == 1
    assert "limit 0.1 ms (final_from_commit)" in text
    assert "limit 1 ms (first_partial_from_spe" in text
    assert "start of speech" in text


def test_words_that_are_wrong(good: Transcription) -> None:
    other = replace(good, utterance=replace(CLIP, text=f"hippopotamus {CLIP.text}"))
    thresholds = (wer_threshold(0.01),)
    terms = replace(TERMS, thresholds=thresholds)
    text = failure(judged([other, good], terms=terms))
    ref, strip_ = text.index("ref: hippopotamus"), text.index("  heard ")
    assert ref < strip_
    assert text.count("  heard ") == 1


def test_a_keyword_that_is_missed(good: Transcription) -> None:
    other = replace(good, utterance=replace(CLIP, text=f"hippopotamus {CLIP.text}"))
    recalls = (keyword_recall(["hippopotamus"], at_least=0.9),)
    text = failure(judged([other], terms=replace(TERMS, recalls=recalls)))
    assert text.index("missed: 'hippopotamus'") < text.index("  heard ")


def test_a_lost_session_shows_where_it_ended(hung: Transcription) -> None:
    text = failure(judged([hung]))
    assert "end: deadline" in text
    results = judged([hung])
    for paths in ({}, {hung.label: "lost.jsonl"}):
        found = messages.evidence(replace(results, paths=paths))
        assert found.count("  audio ") == 1
        assert "end: deadline" in found


def test_a_violation_is_marked(loop: Loop) -> None:
    take = took(loop, "lost-delta")
    violation, *_ = take.violations
    failing = (BrokenRule(violation, 1),)
    text = failure(Results("test_it", (take,), failing=failing))
    assert "^violation" in text or "violation^" in text


def test_a_private_run_shows_the_marks_only(good: Transcription) -> None:
    redactor = Redactor(private=True)
    trace = replace(good.trace, redactor=redactor)
    private = replace(good, recording=replace(good.recording, trace=trace))
    late = over(private, "late", 1000)
    (strips,) = worst_sessions.of_causes(judged([late], FINAL), width=80)
    text = "\n".join(strips["late"])
    assert "commit" in text
    assert "*: a partial" in text
    assert not any(word in text for word in CLIP.text.split())
    terms = replace(TERMS, private=True)
    text = failure(judged([over(good, "late", 1000)], FINAL, terms=terms))
    assert text.count("*: a partial") == 1


def test_a_secret_is_removed_before_a_word_is_cut(good: Transcription) -> None:
    secret = "turn right and stop"
    assert secret in good.text
    trace = replace(good.trace, redactor=Redactor([secret]))
    spoken = replace(CLIP, text="", words=())
    found = replace(
        good, recording=replace(good.recording, trace=trace), utterance=spoken
    )
    late = over(found, "late", 1000)
    (strips,) = worst_sessions.of_causes(judged([late], FINAL), width=40)
    (lines,) = strips.values()
    assert lines
    assert not any(word in "".join(lines) for word in ("turn", "righ", "stop"))


def test_a_strip_that_cannot_be_made_leaves_the_verdict(
    good: Transcription, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no chart")

    monkeypatch.setattr(worst_sessions, "chart", fails)
    text = failure(judged([over(good, "late", 1000)], FINAL))
    assert text.startswith("final_from_commit max = ")
    assert "no strip could be made: RuntimeError: no chart" in text
