"""Limits of the metrics of a level: their verdicts for each level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_realtime_asr.metrics.level_values import (
    Answer,
    LevelValues,
    LoadedSession,
    WitnessAnswers,
)
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.report.messages import headline, standing
from pytest_realtime_asr.verdicts.budgets import Budget, Stat, budget, latency_budget
from pytest_realtime_asr.verdicts.client_delay import tolerance
from pytest_realtime_asr.verdicts.finding import Finding
from pytest_realtime_asr.verdicts.level_limits import JudgedLevel, judge_levels
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.reasons import (
    ClientDelayed,
    NotMeasuredOfLevel,
    NotRealTime,
    Simple,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

GOODPUT = budget("goodput", at_least=0.99)
INFLATION = budget("load_inflation", at_most=2)
RECOVERY = latency_budget("recovery", max="10s")
LATE = ClientDelayed(3, 0, 400, 700.0, 5.0, "sess_1", ClientState(send=700.0))


def session(
    final: float = 100.0, *, within: bool = True, prompt: float | None = None
) -> LoadedSession:
    own = final if prompt is None else prompt
    return LoadedSession(
        Answer("one", 5.0, final, own), 0, 5.0, 6.0, within, within or own < final
    )


def level(*sessions: LoadedSession, streams: int = 12, number: int = 1) -> JudgedLevel:
    values = LevelValues(sessions, alone=(Answer("one", 0.0, 100.0, 100.0),))
    return JudgedLevel(streams, number, values)


def only(made: Budget, judged: JudgedLevel, *, pace: float = 1.0) -> Finding:
    (found,) = judge_levels(made, [judged], pace=pace).findings
    return found


SOUND = level(*[session()] * 400)
BROKEN = level(*[session()] * 380, *[session(within=False)] * 20, number=2)


def test_a_level_that_meets_its_limit_passes() -> None:
    found = only(GOODPUT, SOUND)
    assert (found.verdict, found.proven, found.observed) == (Verdict.PASS, True, 1.0)
    assert (found.n, found.over, found.reason) == (400, 0, None)
    assert standing(found) == "PASS (proven: n=400)"
    assert headline(found) == (
        "goodput at 12 streams = 1 >= 0.99 (95% CI 0.991-1; 400 sessions; proven)"
    )


def test_a_level_that_misses_its_limit_fails() -> None:
    judged = replace(BROKEN, lost=(("refused", 20),))
    found = only(GOODPUT, judged)
    assert (found.verdict, found.proven, found.observed) == (Verdict.FAIL, True, 0.95)
    assert headline(found) == (
        "goodput at 12 streams = 0.95 < 0.99 (95% CI 0.924-0.969; 400 sessions, "
        "20 refused; proven)"
    )


def test_a_small_level_passes_without_a_proof() -> None:
    found = only(GOODPUT, level(*[session()] * 40))
    assert (found.verdict, found.proven) == (Verdict.PASS, False)
    assert standing(found) == "PASS (not proven: n=40)"


def test_each_level_is_judged_and_the_worst_counts() -> None:
    judged = judge_levels(GOODPUT, [SOUND, BROKEN])
    assert [each.verdict for each in judged.findings] == [Verdict.PASS, Verdict.FAIL]
    levels = [each.of_level for each in judged.findings]
    assert [each.number for each in levels if each is not None] == [1, 2]
    assert judged.verdict is Verdict.FAIL
    assert judge_levels(GOODPUT, [SOUND, SOUND]).verdict is Verdict.PASS


def test_both_limits_of_a_budget_are_judged() -> None:
    both = budget("load_inflation", at_least=0.5, at_most=2)
    found = judge_levels(both, [level(session(300.0))])
    assert [each.verdict for each in found.findings] == [Verdict.FAIL, Verdict.PASS]


def test_without_a_level_nothing_was_judged() -> None:
    (found,) = judge_levels(GOODPUT, []).findings
    assert (found.verdict, found.reason) == (Verdict.FAIL, Simple.NO_LEVEL)
    assert headline(found) == (
        "goodput >= 0.99: no level of load was run: nothing was measured; call "
        "realtime.load in the test"
    )


def test_a_metric_that_cannot_be_measured_fails() -> None:
    found = only(RECOVERY, SOUND)
    assert found.verdict is Verdict.FAIL
    assert isinstance(found.reason, NotMeasuredOfLevel)
    assert headline(found).startswith(
        "recovery at 12 streams <= 10000 ms: cannot be measured: needs a witness stream"
    )


def test_a_lost_session_makes_the_value_infinite() -> None:
    found = only(INFLATION, level(session(math.inf)))
    assert (found.verdict, found.observed) == (Verdict.FAIL, math.inf)
    assert headline(found) == (
        "load_inflation at 12 streams = inf > 2 (1 clip; not proven)"
    )


def test_a_delay_of_the_client_that_decides_makes_the_verdict_invalid() -> None:
    judged = replace(level(session(900.0, prompt=120.0)), client=LATE)
    found = only(INFLATION, judged)
    assert (found.verdict, found.reason) == (Verdict.INVALID, LATE)
    assert not found.proven
    assert "not attributed to the server: the client was delayed in 3" in headline(
        found
    )


def test_a_delay_without_load_that_decides_is_invalid_as_well() -> None:
    judged = replace(level(session(300.0)), client=LATE)
    alone = (Answer("one", 0.0, 200.0, 100.0),)
    hidden = replace(judged, values=replace(judged.values, alone=alone))
    assert only(INFLATION, judged).verdict is Verdict.FAIL
    assert only(INFLATION, hidden).verdict is Verdict.INVALID
    both = replace(level(session(900.0, prompt=120.0)), client=LATE)
    unsure = replace(both, values=replace(both.values, alone=alone))
    assert only(INFLATION, unsure).verdict is Verdict.INVALID


def test_a_delay_that_decides_nothing_leaves_the_verdict() -> None:
    slow = replace(level(session(900.0, prompt=800.0)), client=LATE)
    found = only(INFLATION, slow)
    assert found.verdict is Verdict.FAIL
    assert headline(found).endswith(
        "server, not client "
        "(the FAIL does not depend on the client's delay of up to 700 ms)"
    )
    fast = replace(level(session(150.0, prompt=100.0)), client=LATE)
    assert only(INFLATION, fast).verdict is Verdict.PASS


def test_a_delay_that_puts_sessions_over_their_budget_is_invalid() -> None:
    late = [session(900.0, within=False, prompt=100.0)] * 20
    judged = replace(level(*[session()] * 380, *late), client=LATE)
    assert only(GOODPUT, judged).verdict is Verdict.INVALID


def test_at_another_pace_only_the_text_is_judged() -> None:
    found = only(GOODPUT, SOUND, pace=2.0)
    assert (found.verdict, found.reason) == (Verdict.INVALID, NotRealTime(2.0))
    text = budget("wer_under_load", at_most=0.01)
    assert only(text, SOUND, pace=2.0).verdict is Verdict.FAIL  # it has no reference
    beside = judge_levels(GOODPUT, [SOUND], parallel=True).findings[0]
    assert beside.reason is Simple.OTHER_WORKERS


def test_recovery_is_proven_by_its_interval() -> None:
    after = tuple(
        Answer("one", 62.0 + 2 * n, f, f) for n, f in enumerate((900, 90, 90))
    )
    before = (Answer("one", 0.0, 100.0, 100.0),)
    values = LevelValues((), witness=WitnessAnswers(before, (), after), end=60.0)
    found = only(RECOVERY, JudgedLevel(8, 1, values))
    assert (found.verdict, found.proven) == (Verdict.PASS, True)
    quick = only(latency_budget("recovery", max="3s"), JudgedLevel(8, 1, values))
    assert (quick.verdict, quick.proven) == (Verdict.FAIL, False)  # 2 s to 4 s
    quicker = only(latency_budget("recovery", max="1s"), JudgedLevel(8, 1, values))
    assert (quicker.verdict, quicker.proven) == (Verdict.FAIL, True)


# The budgets of a level


def test_a_limit_is_judged_by_the_worst_level() -> None:
    assert [limit.stat for limit in GOODPUT.limits] == [Stat.MAX]
    assert [limit.stat for limit in RECOVERY.limits] == [Stat.MAX]
    assert not GOODPUT.provable


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda: latency_budget("recovery", p95="10s"),
            "so it has no statistic; write",
        ),
        (lambda: latency_budget("recovery", max="9s", p50="1s"), "no statistic"),
        (lambda: budget("goodput", at_least=0.9, stat="p95"), "remove stat="),
        (lambda: budget("goodput", at_least=0.9, over="module"), "remove over="),
        (lambda: budget("goodput", at_least=0.9, confidence=0.9), "only for quantiles"),
        (lambda: budget("recovery", at_most=9), r'recovery", max="10s"\)'),
        (lambda: latency_budget("goodput", max="9s"), r'budget\("goodput", at_most'),
    ],
)
def test_a_wrong_budget_of_a_level_is_refused_with_a_reason(
    make: Callable[[], Budget], why: str
) -> None:
    with pytest.raises(BudgetError, match=why):
        make()


def test_a_budget_of_a_level_does_not_disturb_sessions() -> None:
    final = latency_budget("final_from_commit", p95="800ms")
    assert tolerance([RECOVERY]) is None
    assert tolerance([RECOVERY, final]) == tolerance([final])
