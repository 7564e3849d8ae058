"""The decision on a level: what its sessions prove about the limits of a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.correlation import SampleUnit
from pytest_realtime_asr.load.decision import Decision, Held, Proof, Risk, decide
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.verdicts.budgets import (
    budget,
    latency_budget,
    wer_threshold,
)
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.load_rows import level, row
from tests.support.loads import SHORT

P95 = Held((latency_budget("final_from_commit", p95="800ms"),))
GOOD, SLOW = 200.0, 900.0
TEXT = "go forward ten meters"
CLIPS = {
    "one": Utterance("one", TEXT, SHORT, language="en"),
    "two": Utterance("two", TEXT, SHORT, language="en"),
}


def spread(finals: Sequence[float | None], **changes: object) -> list[Row]:
    """Sessions of 5 s, whose ends are spread over time, ``None`` for a hung one."""
    return [
        row(
            final=final,
            at=0.7 * place,
            session=f"sess_{place}",
            lost=Loss.HUNG if final is None else Loss.NONE,
            **changes,  # type: ignore[arg-type]
        )
        for place, final in enumerate(finals)
    ]


def mixed(good: int, over: int, *, value: float | None = SLOW) -> list[float | None]:
    """``over`` finals over the limit, evenly spread among ``good`` ones."""
    whole = good + over
    places = {round((each + 0.5) * whole / over) for each in range(over)}
    return [value if place in places else GOOD for place in range(whole)]


def decision(rows: Iterable[Row], held: Held = P95, **changes: object) -> Decision:
    return decide(replace(level(rows), **changes), held)  # type: ignore[arg-type]


def test_a_level_passes_if_its_limit_is_proven_to_be_met() -> None:
    found = decision(spread([GOOD] * 59))
    assert (found.verdict, found.proof) == (Verdict.PASS, Proof.HOLDS)
    assert found.within


def test_too_few_sessions_prove_nothing() -> None:
    found = decision(spread([GOOD] * 58))
    assert (found.verdict, found.proof) == (Verdict.INCONCLUSIVE, Proof.NONE)
    assert found.within  # steers all the same


def test_a_level_fails_if_its_limit_is_proven_to_be_missed() -> None:
    found = decision(spread(mixed(60, 20)))
    assert (found.verdict, found.proof) == (Verdict.FAIL, Proof.MISSES)
    assert not found.within


def test_the_risk_of_a_level_decides_what_it_proves() -> None:
    shown = level(spread([GOOD] * 70))
    assert decide(shown, P95, Risk(0.05, 0.05)).proof is Proof.HOLDS
    strict = decide(shown, P95, Risk(0.02, 0.05))
    assert (strict.verdict, strict.proof) == (Verdict.PASS, Proof.NONE)


def test_lost_sessions_are_over_every_limit() -> None:
    found = decision(spread(mixed(60, 20, value=None)))
    assert found.verdict is Verdict.FAIL
    assert found.binding is not None
    assert (found.binding.lost, found.binding.over) == (20, 20)
    assert found.binding.by_loss


def test_a_limit_that_is_missed_without_losses_is_not_missed_by_loss() -> None:
    found = decision(spread(mixed(60, 20)))
    assert found.binding is not None
    assert not found.binding.by_loss


def test_one_lost_session_of_many_is_no_limit() -> None:
    found = decision(spread(mixed(399, 1, value=None)))
    assert found.verdict is Verdict.PASS


def test_sessions_that_the_client_cancelled_do_not_count() -> None:
    cut = [row(lost=Loss.CANCELLED, at=1.0)] * 30
    found = decision([*spread([GOOD] * 59), *cut])
    assert found.verdict is Verdict.PASS


def test_a_level_whose_sessions_this_machine_could_not_open_is_invalid() -> None:
    closed = row(lost=Loss.CANCELLED, how=Ending.CANCELLED)
    opened = replace(closed.opened, opened=None)
    closed = replace(closed, opened=opened, reason="no local port is free")
    found = decision([*spread([GOOD] * 59), closed])
    assert (found.verdict, found.by_client) == (Verdict.INVALID, True)
    assert found.reason == (
        "1 of 60 sessions could not be opened by this machine: no local port is free"
    )


def test_the_ramp_and_the_drain_do_not_count() -> None:
    others = [row(final=SLOW, phase=each) for each in (Phase.RAMP, Phase.DRAIN)] * 20
    assert decision([*spread([GOOD] * 59), *others]).verdict is Verdict.PASS


def test_correlated_sessions_count_as_fewer() -> None:
    # Two windows of 20 are late as a whole: 10 % of the sessions, but two events.
    rows = [
        row(final=SLOW if window in (7, 8) else GOOD, at=5.0 * window + 0.1 * each)
        for window in range(20)
        for each in range(10)
    ]
    found = decision(rows)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.binding is not None
    assert found.binding.unit is SampleUnit.WINDOW
    assert found.binding.effective < 40
    assert found.binding.n == 200


def test_the_binding_limit_is_the_one_that_is_missed_by_the_most() -> None:
    held = Held(
        (
            latency_budget("final_from_commit", p50="5s", p95="800ms"),
            latency_budget("first_partial_from_speech", p95="5s"),
        )
    )
    found = decision(spread(mixed(60, 20)), held)
    assert found.binding is not None
    assert found.binding.name == "final_from_commit p95"
    assert [each.verdict for each in found.limits] == [
        Verdict.PASS,
        Verdict.FAIL,
        Verdict.PASS,
    ]


def test_the_risk_of_a_miss_is_shared_by_the_limits() -> None:
    rows = spread(mixed(71, 8))
    first = latency_budget("final_from_commit", p95="800ms")
    others = latency_budget("first_partial_from_speech", p50="5s", p90="5s", p95="5s")
    risk = Risk(0.05, 0.05)
    assert decide(level(rows), Held((first,)), risk).proof is Proof.MISSES
    shared = decide(level(rows), Held((first, others)), risk)
    assert (shared.verdict, shared.proof) == (Verdict.FAIL, Proof.NONE)


def test_an_aborted_level_proves_nothing() -> None:
    found = decision(spread([SLOW] * 80), aborted="too many errors")
    assert (found.verdict, found.proof) == (Verdict.INCONCLUSIVE, Proof.NONE)
    assert found.reason == "too many errors"
    assert not found.within


def test_a_level_without_sessions_proves_nothing() -> None:
    found = decision([row(phase=Phase.DRAIN)])
    assert (found.verdict, found.proof) == (Verdict.INCONCLUSIVE, Proof.NONE)
    assert found.binding is None


def test_a_lost_worker_makes_a_level_invalid() -> None:
    found = decision(spread([GOOD] * 80), lost_workers=(ShardLost(0, "killed"),))
    assert (found.verdict, found.proof) == (Verdict.INVALID, Proof.NONE)
    assert "killed" in found.reason
    assert found.by_client


def test_the_delay_of_the_client_makes_a_level_invalid() -> None:
    late = spread(mixed(60, 20), delay=300.0)
    found = decision(late)
    assert (found.verdict, found.proof) == (Verdict.INVALID, Proof.NONE)
    assert found.by_client


def test_a_level_that_holds_in_spite_of_the_client_is_valid() -> None:
    assert decision(spread([GOOD] * 80, delay=300.0)).verdict is Verdict.PASS


def test_a_client_without_cpu_time_makes_a_level_invalid() -> None:
    busy = spread(mixed(60, 20), state=ClientState(cpu=0.9))
    assert decision(busy).verdict is Verdict.INVALID
    workers = (ShardEnd(0, cpu=0.9),)
    assert decision(spread(mixed(60, 20)), workers=workers).verdict is Verdict.INVALID
    other = (ShardEnd(0, cpu=0.3), ShardEnd(1, cpu=0.9))
    assert decision(spread(mixed(60, 20)), workers=other).verdict is Verdict.FAIL


def test_a_busy_client_does_not_excuse_lost_sessions() -> None:
    lost = spread(mixed(60, 20, value=None), state=ClientState(cpu=0.9))
    assert decision(lost).verdict is Verdict.FAIL


def test_a_lower_limit_is_proven_as_an_upper_one() -> None:
    held = Held((budget("word_coverage", at_least=0.9, stat="p90"),))
    rows = [
        replace(
            each,
            measured=replace(each.measured, metrics={"word_coverage": 0.95}),
        )
        for each in spread([GOOD] * 40)
    ]
    assert decision(rows, held).verdict is Verdict.PASS


def test_the_mean_is_proven_by_windows() -> None:
    held = Held((latency_budget("final_from_commit", mean="800ms"),))
    assert decision(spread([GOOD, 2 * GOOD] * 60), held).verdict is Verdict.PASS
    assert decision(spread([SLOW, 2 * SLOW] * 60), held).verdict is Verdict.FAIL
    few = decision(spread([GOOD, 2 * GOOD] * 6), held)
    assert few.verdict is Verdict.INCONCLUSIVE


def test_a_lost_session_makes_a_mean_infinite() -> None:
    held = Held((latency_budget("final_from_commit", mean="800ms"),))
    assert decision(spread([*[GOOD] * 60, None]), held).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [
        ((TEXT,), Verdict.PASS),
        (("go backward seven miles",), Verdict.FAIL),
        ((TEXT, "go forward ten miles"), Verdict.INCONCLUSIVE),
    ],
)
def test_the_word_error_rate_is_proven_by_windows(
    texts: tuple[str, ...], verdict: Verdict
) -> None:
    held = Held(thresholds=(wer_threshold(0.12),), clips=CLIPS)
    rows = [
        row(texts[place % len(texts)], clip=("one", "two")[place % 2], at=0.7 * place)
        for place in range(100)
    ]
    found = decision(rows, held)
    assert found.verdict is verdict
    assert found.binding is not None
    assert found.binding.name == "wer"
    assert found.binding.unit is SampleUnit.WINDOW


def test_a_lost_session_has_lost_its_words() -> None:
    held = Held(thresholds=(wer_threshold(0.12),), clips=CLIPS)
    rows = [
        row(TEXT, at=0.7 * place, lost=Loss.HUNG if place % 2 else Loss.NONE)
        for place in range(100)
    ]
    assert decision(rows, held).verdict is Verdict.FAIL


def test_a_metric_of_a_level_is_proven_by_its_interval() -> None:
    goodput = Held(
        (
            budget("goodput", at_least=0.5),
            latency_budget("final_from_commit", p50="800ms"),
        )
    )
    rows = spread([GOOD] * 80)
    for risk, proof in (
        (Risk(0.025, 0.025), Proof.HOLDS),
        (Risk(0.01, 0.01), Proof.NONE),
    ):
        assert decide(level(rows), goodput, risk).proof is proof


def test_a_metric_that_was_never_measured_is_an_error() -> None:
    held = Held((latency_budget("endpoint_delay", p95="1s"),))
    with pytest.raises(BudgetError, match="measured in no session"):
        decision(spread([GOOD] * 60), held)


def test_an_error_rate_of_clips_without_words_is_refused_before_the_search() -> None:
    silent = {"one": Utterance("one", "", SHORT, language="en")}
    with pytest.raises(BudgetError, match="no clip has a reference with words"):
        Held(thresholds=(wer_threshold(0.12),), clips=silent).check()
    Held(thresholds=(wer_threshold(0.12),), clips={**silent, **CLIPS}).check()


def test_a_capacity_needs_limits_that_can_be_proven() -> None:
    P95.check()
    with pytest.raises(BudgetError, match="needs a limit"):
        Held().check()
    with pytest.raises(BudgetError, match="set a limit of a quantile such as p99"):
        Held((latency_budget("final_from_commit", max="1s"),)).check()
    pooled = latency_budget("final_from_commit", p95="1s", over="module")
    with pytest.raises(BudgetError, match="remove over="):
        Held((pooled,)).check()


def test_the_strictest_quantile_of_several_limits() -> None:
    held = Held((latency_budget("final_from_commit", p50="1s", p99="2s"),))
    assert held.strictest == 0.99
    assert Held(thresholds=(wer_threshold(0.1),)).strictest is None
