"""Tests of budgets: their arguments, their verdicts on samples, and the messages."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.metrics.normalizers import NONE, Normalizer
from pytest_realtime_asr.perturb import lead_silence
from pytest_realtime_asr.report.messages import details, headline, standing
from pytest_realtime_asr.verdicts.budgets import (
    Budget,
    Limit,
    PoolScope,
    Side,
    Stat,
    budget,
    latency_budget,
    wer_threshold,
)
from pytest_realtime_asr.verdicts.finding import Finding, Judgement
from pytest_realtime_asr.verdicts.fixed_sample import judge
from pytest_realtime_asr.verdicts.limits import BudgetError, parse_duration, resolve
from pytest_realtime_asr.verdicts.reasons import NotDecided, Simple, TooFew
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.sequential import judge_in_order, unprovable
from pytest_realtime_asr.verdicts.verdict import (
    Effect,
    UndecidedPolicy,
    Verdict,
    effect,
    worst,
)
from pytest_realtime_asr.verdicts.wer import WerFinding, judge_wer, too_few
from tests.support.wer_rows import ScoredText, scored

PASS, FAIL = Verdict.PASS, Verdict.FAIL
INCONCLUSIVE, INVALID = Verdict.INCONCLUSIVE, Verdict.INVALID
METRIC = "final_from_commit"


def samples(*values: float, late: float = 0.8) -> list[Sample]:
    return [
        Sample(f"s{number}", value, late_ms=late) for number, value in enumerate(values)
    ]


def one(made: Budget, given: list[Sample], **options: float) -> Finding:
    judgement = judge(made, given, pace=options.get("pace", 1.0))
    (finding,) = judgement.findings
    assert judgement.verdict is finding.verdict
    return finding


# Writing a budget


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("800ms", 800),
        ("1.2s", 1200),
        (" 1.2 s ", 1200),
        (".5s", 500),
        ("2.s", 2000),
        ("0ms", 0),
        ("10min", 600_000),
        (" .5 min", 30_000),
        (timedelta(seconds=1, microseconds=500), 1000.5),
        (timedelta(0), 0),
    ],
)
def test_durations(written: str | timedelta, ms: float) -> None:
    assert parse_duration(written) == ms


@pytest.mark.parametrize("written", [800, 0.8, True, None, "800", "", "ms", "s800"])
def test_a_number_without_a_unit_is_refused(written: object) -> None:
    with pytest.raises(BudgetError, match="with its unit, such as '800ms'"):
        parse_duration(written)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    [
        "-5ms",
        "nan ms",
        "infs",
        "1e3ms",
        "1,2s",
        "1m",
        "1mins",
        "1min 2s",
        "1.2.3s",
        "٣s",
    ],
)
def test_a_text_that_is_not_a_duration_is_refused(written: str) -> None:
    with pytest.raises(BudgetError, match="is not a duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    "written", [timedelta(seconds=-1), "9" * 400 + "ms", "9" * 305 + "min"]
)
def test_a_negative_or_very_long_duration_is_refused(written: str | timedelta) -> None:
    with pytest.raises(BudgetError, match="negative or longer than a week"):
        parse_duration(written)


def test_a_budget_keeps_its_limits_in_one_order() -> None:
    made = latency_budget(METRIC, mean="1s", max="3s", p50="500ms", over="module")
    assert made == Budget(
        METRIC,
        (Limit(Stat.P50, 500), Limit(Stat.MAX, 3000), Limit(Stat.MEAN, 1000)),
        None,
        PoolScope.MODULE,
    )
    assert latency_budget(METRIC, p95="1s", p99=None, confidence=0.9).confidence == 0.9


def refused(make: Callable[[], object], *parts: str) -> None:
    with pytest.raises(BudgetError) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    for part in parts:
        assert part in str(caught.value)


def test_an_unknown_metric_is_refused_with_the_valid_names() -> None:
    refused(
        lambda: latency_budget("ttft", p95="1s"),
        "'ttft'",
        "connect, session_ready",
        METRIC,
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sender_lateness", "the client, not the server"),
        ("loop_lag", "the client, not the server"),
        ("first_partial_from_audio", "silence before the speech"),
        ("longest_stall", "pauses"),
    ],
)
def test_a_metric_that_cannot_be_judged_is_refused_with_a_reason(
    name: str, reason: str
) -> None:
    refused(lambda: latency_budget(name, p95="1s"), name, reason, METRIC)


def test_send_blocked_can_have_a_budget() -> None:
    assert latency_budget("send_blocked", max="1s").metric == "send_blocked"


def test_an_unknown_keyword_is_refused_with_the_valid_names() -> None:
    refused(
        lambda: latency_budget(METRIC, p94="1s", q="1s"),
        "p94, q",
        "p50, p90, p95, p99, max, mean, confidence, over",
    )


def test_a_budget_needs_a_limit() -> None:
    refused(lambda: latency_budget(METRIC), "p50, p90, p95, p99, max, mean")


def test_a_confidence_for_a_maximum_or_a_mean_is_refused() -> None:
    for stat in ("max", "mean"):
        refused(
            lambda s=stat: latency_budget(
                METRIC, p95="1s", confidence=0.95, **{s: "2s"}
            ),  # type: ignore[misc]
            "only for quantiles, not for a maximum or a mean",
        )


@pytest.mark.parametrize("confidence", [95, 0, 1, -0.1, math.nan, True, "0.95"])
def test_a_confidence_is_a_share(confidence: float) -> None:
    refused(
        lambda: latency_budget(METRIC, p95="1s", confidence=confidence), "write 0.95"
    )
    refused(lambda: wer_threshold(0.1, confidence=confidence), "write 0.95")


def test_a_budget_can_be_pooled_only_over_the_module() -> None:
    refused(
        lambda: latency_budget(METRIC, p95="1s", over="session"), "'session'", "module"
    )


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_sample_without_a_valid_value_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="is not a measured value"):
        Sample("s", value)


@pytest.mark.parametrize("late", [math.nan, -1])
def test_a_sample_without_a_valid_delay_is_refused(late: float) -> None:
    with pytest.raises(ValueError, match="is not a delay"):
        Sample("s", 1, late_ms=late)


# What is no time

ERASURE, COVERAGE = "normalized_erasure", "word_coverage"


def test_the_budget_of_a_metric_that_is_not_a_duration() -> None:
    assert budget(ERASURE, at_most=0.2) == Budget(ERASURE, (Limit(Stat.MEAN, 0.2),))
    made = budget("early_text", at_most=3, at_least=1, stat="p90", confidence=0.9)
    assert made.limits == (
        Limit(Stat.P90, 3),
        Limit(Stat.P90, 1, Side.AT_LEAST),
    )
    assert budget(ERASURE, at_most=0, over="module").over is PoolScope.MODULE


def test_each_kind_of_metric_names_its_marker() -> None:
    refused(
        lambda: budget(METRIC, at_most=800),
        "final_from_commit is a duration; write latency_budget(",
    )
    refused(
        lambda: latency_budget(ERASURE, p95="1s"),
        "normalized_erasure is not a duration; write budget(",
        "at_most=",
    )


def test_a_wrong_budget_is_refused_with_the_allowed_forms() -> None:
    refused(lambda: budget("wer", at_most=1), "'wer'", ERASURE, COVERAGE)
    refused(lambda: budget("pacing_error", at_most=1), "not the server", ERASURE)
    refused(lambda: budget(ERASURE), "at_most= or at_least=")
    refused(lambda: budget(ERASURE, at_most=1, stat="p42"), "'p42'", "p95")
    refused(lambda: budget(ERASURE, at_most=1, at_least=2), "at least 2 and at most 1")
    refused(lambda: budget(ERASURE, at_most=1, over="session"), "module")
    refused(lambda: budget(ERASURE, at_most=1, confidence=0.9), "only for quantiles")
    for limit in ("20%", True, math.nan, math.inf):
        wrong: Any = limit
        refused(
            lambda it=wrong: budget(ERASURE, at_most=it),  # type: ignore[misc]
            "without quotes, such as at_most=0.2",
        )


@pytest.mark.parametrize(
    ("given", "stat", "observed", "expected"),
    [
        ({"at_most": 0.5}, "mean", 0.5, PASS),  # at most the limit passes
        ({"at_most": 0.49}, "mean", 0.5, FAIL),
        ({"at_least": 0.5}, "mean", 0.5, PASS),
        ({"at_least": 0.51}, "mean", 0.5, FAIL),
        ({"at_most": 1}, "max", 1, PASS),
        ({"at_least": 0.01}, "max", 0, FAIL),  # the worst is the smallest
        ({"at_most": 0.75}, "p90", 1, FAIL),
        ({"at_least": 0.25}, "p50", 0.5, PASS),
        ({"at_least": 0.25}, "p90", 0, FAIL),
    ],
)
def test_values_on_both_sides_of_a_limit(
    given: dict[str, float], stat: str, observed: float, expected: Verdict
) -> None:
    found = one(budget(COVERAGE, stat=stat, **given), samples(0, 0.25, 0.5, 0.75, 1))  # type: ignore[arg-type]
    assert (found.observed, found.verdict) == (observed, expected)


def test_a_lost_session_is_beyond_every_limit() -> None:
    given = [*samples(1, 1, 1), Sample("x", None, lost="hung")]
    low = one(budget(COVERAGE, at_least=0.1), given)
    assert (low.verdict, low.observed, low.over) == (FAIL, -math.inf, 1)
    assert headline(low) == (
        "word_coverage mean < 0.1: 1 of 4 lost (n=4, 1 under, 1 hung; not proven)"
    )
    high = one(budget(COVERAGE, at_most=1), given)
    assert (high.verdict, high.observed, high.over) == (FAIL, math.inf, 1)
    assert one(budget(COVERAGE, at_least=1, stat="p50"), given).verdict is PASS


def test_the_line_of_a_metric_that_is_not_a_duration() -> None:
    found = one(budget(ERASURE, at_most=0.14), samples(*[0.2, 0.1] * 20))
    assert found.interval is not None
    low, high = found.interval
    assert 0.13 < low < 0.15 < high < 0.17
    shown = f"{low:.3f}".rstrip("0"), f"{high:.3f}".rstrip("0")
    assert headline(found) == (
        f"normalized_erasure mean = 0.15 > 0.14 (95% CI {'-'.join(shown)}; n=40, 20 "
        "over; not proven)"
    )
    reached = one(
        budget(COVERAGE, at_least=0.9, stat="p95", confidence=0.95),
        samples(*[0.95] * 70),
    )
    assert (reached.verdict, reached.interval) == (PASS, (-math.inf, 0.95))
    assert headline(reached) == (
        "word_coverage p95 from above = 0.95 >= 0.9 (95% CI up to 0.95, no "
        "lower bound with n=70; n=70, 0 under; proven)"
    )
    worst_of = one(budget(COVERAGE, at_least=0.9, stat="max"), samples(0.8, 1))
    assert headline(worst_of) == (
        "word_coverage min = 0.8 < 0.9 (n=2, 1 under; proven)"
    )


def test_a_metric_that_is_not_a_duration_ignores_client_delay_and_pace() -> None:
    made, given = budget(ERASURE, at_most=0.1), samples(0.2, late=500)
    assert one(made, given).verdict is FAIL
    assert judge(made, given, pace=8, parallel=True).verdict is FAIL


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.floats(0, 1),
    st.sampled_from(list(Stat)),
)
def test_a_lower_limit_equals_an_upper_limit_of_negated_values(
    values: list[float], limit: float, stat: Stat
) -> None:
    at_least = one(budget(COVERAGE, at_least=limit, stat=stat), samples(*values))
    turned = [-value for value in values]
    at_most = one(budget(COVERAGE, at_most=-limit, stat=stat), samples(*turned))
    assert at_least.verdict is at_most.verdict
    assert at_most.observed is not None
    assert at_least.observed == -at_most.observed
    assert at_least.over == at_most.over
    assert "\n" not in headline(at_least)


# Limits by name


def test_a_limit_may_be_a_name() -> None:
    table: dict[str, str | float] = {"final": "800ms", "wer": 0.12}
    assert resolve("$final", table) == "800ms"
    assert resolve("$wer", table) == 0.12
    assert resolve("1s", table) == "1s"
    assert resolve(0.3, table) == 0.3
    assert latency_budget(METRIC, p95=resolve("$final", {"final": "1s"})).limits == (
        Limit(Stat.P95, 1000),
    )


def test_an_unknown_name_is_refused_with_the_known_names() -> None:
    refused(
        lambda: resolve("$finl", {"final": "1s", "wer": "2"}), "'$finl'", "$final, $wer"
    )
    refused(lambda: resolve("$", {"final": "1s"}), "'$'", "$final")
    refused(
        lambda: resolve("$final", {}), "define it in the file of --realtime-budgets"
    )


# Judging


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"p50": "30ms"}, PASS),  # at most the limit passes
        ({"p50": "29.9ms"}, FAIL),
        ({"max": "50ms"}, PASS),
        ({"max": "49ms"}, FAIL),
        ({"mean": "30ms"}, PASS),
        ({"mean": "29ms"}, FAIL),
        ({"p95": "50ms", "p50": "29ms"}, FAIL),  # the worst counts
        ({"p99": "50ms", "p90": "50ms"}, PASS),
    ],
)
def test_the_observed_statistic_is_judged(
    limits: dict[str, str], expected: Verdict
) -> None:
    judgement = judge(latency_budget(METRIC, **limits), samples(10, 20, 30, 40, 50))  # type: ignore[arg-type]
    assert judgement.verdict is expected
    assert len(judgement.findings) == len(limits)


def test_the_fields_of_a_finding() -> None:
    given = [*samples(*range(100, 118), 1140), Sample("hung", None, lost="hung")]
    found = one(latency_budget(METRIC, p90="800ms"), given)
    assert found.verdict is PASS
    assert (found.n, found.over, found.lost) == (20, 2, (("hung", 1),))
    assert found.observed == 117
    assert found.interval == (114, math.inf)
    assert (found.needed, found.reason) == (61, None)
    assert not found.proven
    assert [sample.label for sample in found.worst] == ["hung", "s18", "s17"]


def test_a_lost_session_is_over_every_limit() -> None:
    given = [*samples(1, 1, 1), Sample("x", 5, lost="no final")]
    for most in ({"max": "9s"}, {"p99": "9s"}, {"mean": "9s"}):
        found = one(latency_budget(METRIC, **most), given)  # type: ignore[arg-type]
        assert (found.verdict, found.observed) == (FAIL, math.inf)
    assert one(latency_budget(METRIC, p50="9s"), given).verdict is PASS


def test_a_budget_without_samples_fails() -> None:
    found = one(latency_budget(METRIC, p95="800ms"), [])
    assert found.verdict is FAIL
    assert headline(found) == (
        "final_from_commit p95 <= 800 ms: no session was judged: nothing was measured"
    )


def test_a_metric_that_cannot_be_measured_fails() -> None:
    given = [*samples(1, 2), Sample("a", None), Sample("b", None, lost="refused")]
    found = one(latency_budget("final_from_speech_end", max="1s"), given)
    assert found.verdict is FAIL
    assert found.worst == (given[2],)
    assert headline(found) == (
        "final_from_speech_end max <= 1000 ms: cannot be measured in 1 of 4 sessions: "
        "needs the end of speech, known from word times, and a final"
    )


def test_the_worst_verdict_counts() -> None:
    assert worst([PASS, INCONCLUSIVE]) is INCONCLUSIVE
    assert worst([INVALID, INCONCLUSIVE]) is INVALID
    assert worst([INVALID, FAIL, PASS]) is FAIL
    assert worst([]) is FAIL
    assert Judgement(latency_budget(METRIC, p50="1s"), ()).verdict is FAIL


# Lateness


def test_a_delayed_sample_that_decides_makes_the_verdict_invalid() -> None:
    given = [*samples(*[100] * 9), Sample("late", 840, late_ms=48)]
    found = one(latency_budget(METRIC, max="800ms"), given)
    assert (found.verdict, found.proven, found.excused) == (INVALID, False, 1)
    assert headline(found) == (
        "final_from_commit max = 840 ms > 800 ms (n=10, 1 over); not "
        "attributed to the server: the client was delayed in 1 of 10 sessions (up to "
        "48 ms; 40 ms are tolerated)"
    )


def test_a_delayed_sample_that_decides_nothing_leaves_the_failure() -> None:
    given = [*samples(*[100] * 8, 900), Sample("late", 840, late_ms=48)]
    found = one(latency_budget(METRIC, max="800ms"), given)
    assert (found.verdict, found.excused, found.late_ms) == (FAIL, 1, 0.8)
    assert headline(found) == (
        "final_from_commit max = 900 ms > 800 ms (n=10, 2 over; proven); server, not "
        "client (client delay 0.8 ms; not counted: 1 session over the limit only "
        "because of the client's delay)"
    )


@pytest.mark.parametrize(
    ("limit", "value", "late", "expected"),
    [
        ("800ms", 820, 40, FAIL),  # 5 % of the limit is not late
        ("800ms", 820, 40.1, INVALID),
        ("800ms", 900, 40.1, FAIL),  # it would be over without our lateness too
        ("20ms", 22, 5, FAIL),  # nor are 5 ms
        ("20ms", 22, 5.1, INVALID),
    ],
)
def test_a_verdict_that_depends_on_client_delay_is_invalid(
    limit: str, value: float, late: float, expected: Verdict
) -> None:
    given = samples(value, late=late)
    assert one(latency_budget(METRIC, max=limit), given).verdict is expected
    assert one(latency_budget(METRIC, mean=limit), given).verdict is expected


def test_client_delay_does_not_excuse_a_lost_session() -> None:
    given = [*samples(1, 1), Sample("hung", None, lost="hung", late_ms=5000)]
    found = one(latency_budget(METRIC, max="1s"), given)
    assert (found.verdict, found.excused, found.late_ms) == (FAIL, 0, 5000)


def test_client_delay_is_subtracted_in_a_mean() -> None:
    late = Sample("late", 1150, late_ms=100)
    assert (
        one(latency_budget(METRIC, mean="1s"), [*samples(900), late]).verdict is INVALID
    )
    assert (
        one(latency_budget(METRIC, mean="1s"), [*samples(1100), late]).verdict is FAIL
    )


@pytest.mark.parametrize("value", [100, 900])
def test_a_latency_at_another_pace_is_invalid(value: float) -> None:
    found = one(latency_budget(METRIC, p95="800ms"), samples(value), pace=4)
    assert found.verdict is INVALID
    assert headline(found).endswith(
        "; not attributed to the server: a latency at pace 4 is not in real "
        "time; measure at pace 1: mark the test with @pytest.mark.realtime(pace=1); "
        "--realtime-pace overrides this marker"
    )


def test_a_time_in_the_audio_does_not_depend_on_delay_or_pace() -> None:
    given = [Sample("late", 300, late_ms=5000, path_ms=7)]
    budget = latency_budget("word_time_error", max="200ms")
    found = one(budget, given, pace=4)
    assert (found.verdict, found.excused) == (FAIL, 0)
    assert headline(found) == (
        "word_time_error max = 300 ms > 200 ms (n=1, 1 over; proven)"
    )
    assert judge(budget, given, parallel=True).verdict is FAIL


def test_a_latency_of_overlapping_sessions_is_invalid() -> None:
    judgement = judge(latency_budget(METRIC, p95="800ms"), samples(900), parallel=True)
    assert judgement.verdict is INVALID
    assert judgement.findings[0].reason is Simple.OTHER_WORKERS


SAMPLE = st.builds(
    Sample,
    st.just("s"),
    st.one_of(st.floats(-100, 2000), st.just(math.inf)),
    lost=st.sampled_from(["", "", "hung"]),
    late_ms=st.floats(0, 200),
)
BUDGET = st.builds(
    lambda stat, ms, confidence: Budget(
        METRIC, (Limit(stat, ms),), confidence if stat.provable else None
    ),
    st.sampled_from(Stat),
    st.floats(0, 1500),
    st.sampled_from([None, 0.5, 0.9]),
)
MANY = st.lists(SAMPLE, min_size=1, max_size=40)


@given(BUDGET, MANY)
def test_client_delay_never_changes_a_pass(made: Budget, given: list[Sample]) -> None:
    punctual = one(made, [replace(sample, late_ms=0) for sample in given])
    late = one(made, given)
    assert punctual.verdict is not INVALID
    assert late.verdict in (punctual.verdict, INVALID)
    if punctual.verdict is PASS:
        assert late.verdict is PASS
    assert late.observed == punctual.observed
    assert "\n" not in headline(late)


def counted(sample: Sample) -> float:
    """Return the value of a sample under an upper limit."""
    return math.inf if sample.measured is None else sample.measured


@given(BUDGET, MANY, st.floats(0, 500))
def test_a_slower_server_never_gets_a_better_verdict(
    made: Budget, given: list[Sample], slower: float
) -> None:
    order = [PASS, INCONCLUSIVE, FAIL]
    punctual = [replace(sample, late_ms=0) for sample in given]
    slow = [replace(sample, value=counted(sample) + slower) for sample in punctual]
    before, after = one(made, punctual), one(made, slow)
    assert order.index(before.verdict) <= order.index(after.verdict)


@given(BUDGET, MANY)
def test_the_fields_of_a_finding_are_consistent(
    made: Budget, given: list[Sample]
) -> None:
    found = one(made, given)
    assert found.n == len(given)
    assert found.over == sum(counted(each) > found.limit.value for each in given)
    assert sum(count for _, count in found.lost) <= found.over
    assert found.excused <= found.over
    if found.interval is not None and found.observed is not None:
        assert found.interval[0] <= found.observed <= found.interval[1]
    if made.confidence is not None:
        assert found.proven is (found.verdict in (PASS, FAIL))


# Proof


def test_with_a_confidence_only_a_proven_limit_passes() -> None:
    made = latency_budget(METRIC, p95="800ms", confidence=0.95)
    short = one(made, samples(*[251] * 24))
    assert (short.verdict, short.needed) == (INCONCLUSIVE, 59)
    assert headline(short) == (
        "final_from_commit p95 = 251 ms <= 800 ms (95% CI from 251, no "
        "upper bound with n=24; n=24, 0 over; not proven: needs 59); "
        "35 more sessions within the limit would "
        "prove that the limit is met"
    )
    assert one(made, samples(*[251] * 59)).verdict is PASS
    assert one(made, samples(*[251] * 24, *[900] * 2)).verdict is INCONCLUSIVE
    assert one(made, samples(*[251] * 24, *[900] * 5)).verdict is FAIL


def test_client_delay_that_prevents_a_proof_is_invalid() -> None:
    made = latency_budget(METRIC, p95="800ms", confidence=0.95)
    given = [*samples(*[251] * 58), Sample("late", 840, late_ms=50)]
    assert one(made, given).verdict is INVALID
    assert one(made, [*given, *samples(*[251] * 40)]).verdict is PASS


def test_without_a_confidence_the_line_states_whether_it_is_proven() -> None:
    made = latency_budget(METRIC, p95="800ms")
    assert headline(one(made, samples(*[251] * 24))) == (
        "final_from_commit p95 = 251 ms <= 800 ms (95% CI from 251, no "
        "upper bound with n=24; n=24, 0 over; not proven: needs 59)"
    )
    assert headline(one(made, samples(*[251] * 59))) == (
        "final_from_commit p95 = 251 ms <= 800 ms (95% CI from 251, no "
        "upper bound with n=59; n=59, 0 over; proven)"
    )
    assert headline(one(made, samples(251, 900))) == (
        "final_from_commit p95 = 900 ms > 800 ms (95% CI from 251, no "
        "upper bound with n=2; n=2, 1 over; not proven); server, not "
        "client (client delay 0.8 ms)"
    )


def test_a_proof_does_not_depend_on_delayed_samples() -> None:
    made = latency_budget(METRIC, p50="800ms")
    late = [Sample("late", 900, late_ms=100)] * 4
    assert one(made, samples(*[900] * 5)).proven
    found = one(made, [*samples(*[900] * 5), *late])
    assert (found.verdict, found.proven) == (FAIL, False)


# In order

CLAIM = latency_budget(METRIC, p95="800ms", confidence=0.95)


def in_order(given: list[Sample], most: int = 400) -> Finding:
    (finding,) = judge_in_order(CLAIM, given, most=most).findings
    return finding


def test_a_sequential_test_passes_at_the_earliest_session() -> None:
    found = in_order(samples(*[251] * 80))
    assert (found.verdict, found.n, found.decided) == (PASS, 73, 73)
    assert (found.proven, found.interval) == (True, None)
    assert headline(found) == (
        "final_from_commit p95 = 251 ms <= 800 ms (n=73 in order, 0 over; proven)"
    )
    assert standing(found) == "PASS (proven: n=73)"


def test_a_sequential_test_fails_at_the_earliest_session() -> None:
    found = in_order(samples(*[251] * 5, 900, 900, 251, *[900] * 9))
    assert (found.verdict, found.n, found.over, found.decided) == (FAIL, 7, 2, 7)
    assert headline(found) == (
        "final_from_commit p95 = 900 ms > 800 ms (n=7 in order, 2 over; proven); "
        "FAIL: a good server has at most 1 % of its sessions over the limit; server, "
        "not client (client delay 0.8 ms)"
    )


def test_a_sequential_test_may_fail_a_server_just_within_its_limit() -> None:
    found = in_order(samples(*[*[251] * 20, 900] * 4))
    assert (found.verdict, found.n, found.over) == (FAIL, 84, 4)
    assert headline(found).startswith(
        "final_from_commit p95 = 251 ms <= 800 ms (n=84 in order, 4 over; proven); "
        "FAIL: a good server has at most 1 % of its sessions over the limit; "
    )


def test_a_sequential_test_counts_a_lost_session_as_over_the_limit() -> None:
    hung = Sample("x", None, lost="hung")
    assert in_order([hung, hung]).verdict is FAIL


def test_a_sequential_test_with_too_few_sessions_is_inconclusive() -> None:
    found = in_order(samples(*[251] * 72))
    assert (found.verdict, found.n, found.decided) == (INCONCLUSIVE, 72, None)
    assert headline(found) == (
        "final_from_commit p95 = 251 ms <= 800 ms (n=72, 0 over; not proven); "
        "not decided after 72 of at most 400 sessions"
    )
    # 2.5 % over, which is between what is good and what the claim allows
    between = samples(*([*[251] * 39, 900] * 20))
    found = in_order(between, most=400)
    assert (found.verdict, found.n) == (INCONCLUSIVE, 400)
    assert headline(found).endswith("; not decided within 400 sessions")
    assert standing(found) == "INCONCLUSIVE (not proven: n=400)"
    assert in_order(samples(*[251] * 80), most=60).reason == NotDecided(60, 60)


def test_client_delay_that_decides_a_sequential_test_is_invalid() -> None:
    late = Sample("late", 840, late_ms=100)
    found = in_order([late, late, *samples(*[251] * 71)])
    assert (found.verdict, found.decided) == (INVALID, 73)
    assert "the client was delayed in 2 of 73 sessions" in headline(found)
    open_yet = in_order([late, late])
    assert (open_yet.verdict, open_yet.decided) == (INVALID, None)
    # One late sample only delays the decision till both counts agree.
    assert in_order([late, *samples(*[251] * 200)]).decided == 113


def test_a_sequential_test_of_an_unmeasured_metric_does_not_pass() -> None:
    found = in_order([*samples(251), Sample("a", None)])
    assert (found.verdict, found.observed) == (FAIL, None)
    assert "cannot be measured in 1 of 2 sessions" in headline(found)
    assert in_order([]).verdict is FAIL
    # After the decision nothing counts any more.
    assert in_order([*samples(*[251] * 73), Sample("a", None)]).verdict is PASS


def test_a_sequential_test_at_another_pace_is_invalid_at_once() -> None:
    judgement = judge_in_order(CLAIM, samples(251), pace=8)
    assert (judgement.verdict, judgement.decided) == (INVALID, 0)


def test_a_sequential_test_ends_if_all_limits_pass_or_one_fails() -> None:
    made = latency_budget(METRIC, p50="300ms", p95="800ms")
    assert judge_in_order(made, samples(*[251] * 50)).decided is None
    both = judge_in_order(made, samples(*[251] * 90))
    assert (both.verdict, both.decided) == (PASS, 73)
    assert [finding.n for finding in both.findings] == [6, 73]
    missed = judge_in_order(made, samples(*[500] * 90))
    assert (missed.verdict, missed.decided) == (FAIL, 2)
    assert judge(made, samples(251)).decided is None


def test_a_sequential_test_decides_no_maximum_and_no_mean() -> None:
    for made in (latency_budget(METRIC, max="1s"), budget(ERASURE, at_most=1)):
        refused(lambda it=made: judge_in_order(it, []), "cannot decide a ")  # type: ignore[misc]


def test_a_limit_that_can_never_be_proven_is_found_in_advance() -> None:
    assert unprovable(CLAIM, 59) is unprovable(CLAIM, 73, in_order=True) is None
    assert unprovable(CLAIM, 58) == (
        "final_from_commit p95 can never be proven at 95 % with 58 sessions: it needs "
        "59, all within the limit"
    )
    assert "needs 73, all" in (unprovable(CLAIM, 72, in_order=True) or "")
    rare = latency_budget(METRIC, p50="1s", p99="2s", confidence=0.99)
    assert "p99 can never be proven at 99 % with 400" in (unprovable(rare, 400) or "")
    assert "needs 573," in (unprovable(rare, 400, in_order=True) or "")
    loose = latency_budget(METRIC, p99="2s", max="3s")
    assert unprovable(loose, 1) is None
    assert "needs 373," in (unprovable(loose, 372, in_order=True) or "")


@given(MANY, st.integers(1, 30))
def test_later_sessions_do_not_change_what_was_decided(
    given: list[Sample], most: int
) -> None:
    made = latency_budget(METRIC, p50="800ms", confidence=0.8)
    whole = judge_in_order(made, given, most=most)
    assert "\n" not in headline(whole.findings[0])
    if whole.decided is not None:
        assert whole == judge_in_order(made, given[: whole.decided], most=most)


# Clips that repeat


def test_the_line_states_the_number_of_distinct_clips() -> None:
    given = [
        Sample(f"s{n}", 200 + 10 * (n // 8) + n % 8, clip=f"c{n // 8}")
        for n in range(96)
    ]
    made = latency_budget(METRIC, p50="800ms")
    found = one(made, given)
    alone = one(made, [replace(each, clip="") for each in given])
    assert (found.clips, alone.clips) == (12, 0)
    assert found.interval is not None
    assert alone.interval is not None
    assert found.interval[0] < alone.interval[0]
    assert found.interval[1] > alone.interval[1]
    assert headline(found) == (
        f"final_from_commit p50 = 257 ms <= 800 ms (95% CI by clip "
        f"{found.interval[0]:.0f}-{found.interval[1]:.0f}; n=96 of 12 clips, 0 over; "
        "proven for this corpus)"
    )
    each_once = [replace(each, clip=each.label) for each in given]
    assert replace(one(made, each_once), worst=()) == replace(alone, worst=())


def test_a_proof_for_this_corpus_needs_no_bound_for_others() -> None:
    given = [Sample(f"s{n}", 200 + n, clip=f"c{n % 10}") for n in range(80)]
    assert headline(one(CLAIM, given)) == (
        "final_from_commit p95 = 275 ms <= 800 ms (95% CI by clip from "
        "271, no upper bound with 10 clips; n=80 of 10 clips, 0 over; proven for this "
        "corpus)"
    )
    (ordered,) = judge_in_order(CLAIM, given).findings
    assert headline(ordered).endswith(
        "(n=73 in order of 10 clips, 0 over; proven for this corpus)"
    )


def test_a_value_over_its_maximum_is_proven_for_every_corpus() -> None:
    given = [Sample("a", 900, clip="c"), Sample("b", 1, clip="c")]
    line = headline(one(latency_budget(METRIC, max="800ms"), given))
    assert "n=2 of 1 clip, 1 over; proven)" in line


# What a verdict does


@pytest.mark.parametrize(
    ("verdict", "fail", "warn", "skip"),
    [
        (PASS, Effect.NONE, Effect.NONE, Effect.NONE),
        (INCONCLUSIVE, Effect.FAIL, Effect.WARN, Effect.SKIP),
        (INVALID, Effect.FAIL, Effect.WARN, Effect.SKIP),
        (FAIL, Effect.FAIL, Effect.FAIL, Effect.FAIL),
    ],
)
def test_the_effect_of_a_verdict(
    verdict: Verdict, fail: Effect, warn: Effect, skip: Effect
) -> None:
    assert effect(verdict) is effect(verdict, UndecidedPolicy.FAIL) is fail
    assert effect(verdict, UndecidedPolicy.WARN) is warn
    assert effect(verdict, UndecidedPolicy.SKIP) is skip


def test_a_verdict_says_whether_it_is_proven() -> None:
    made = latency_budget(METRIC, p95="800ms")
    said = [
        standing(one(made, samples(*[251] * 24))),
        standing(one(made, samples(*[251] * 60))),
        standing(one(made, samples(900))),
        standing(one(CLAIM, samples(*[251] * 24))),
        standing(one(latency_budget(METRIC, max="1s"), samples(1))),
        standing(one(made, samples(900), pace=2)),
        standing(judge_wer(wer_threshold(0.12), rows(GOOD))),
        standing(judge_wer(wer_threshold(0.12), rows(*[GOOD] * 40))),
    ]
    assert said == [
        "PASS (not proven: n=24, needs 59)",
        "PASS (proven: n=60)",
        "FAIL (not proven: n=1)",
        "INCONCLUSIVE (not proven: n=24, needs 59)",
        "PASS (not proven: n=1)",
        "INVALID (not proven: n=1)",
        "PASS (not proven: n=1)",
        "PASS (proven: n=40)",
    ]


# The line


def test_the_line_of_a_failure() -> None:
    given = samples(*[300] * 51, *[980] * 5, 1140, 1140, 1310)
    given.append(Sample("x", None, lost="hung"))
    assert headline(one(latency_budget(METRIC, p95="800ms"), given)) == (
        "final_from_commit p95 = 1140 ms > 800 ms (95% CI from 980, no "
        "upper bound with n=60; n=60, 9 over, 1 hung; proven); server, not "
        "client (client delay 0.8 ms)"
    )


def test_the_line_names_all_reasons_of_a_loss() -> None:
    lost = [Sample("x", None, lost=why) for why in ("hung", "refused", "hung\n")]
    line = headline(one(latency_budget(METRIC, p50="1s"), [*samples(1), *lost]))
    assert line == (
        "final_from_commit p50 > 1000 ms: 3 of 4 never came (no two-sided 95% CI with "
        "n=4; n=4, 3 over, 2 hung, 1 refused; not proven); server, not client "
        "(client delay 0 ms)"
    )


def test_the_line_of_a_maximum_and_of_a_mean() -> None:
    assert headline(one(latency_budget(METRIC, max="1s"), samples(12.34))) == (
        "final_from_commit max = 12.3 ms <= 1000 ms (n=1, 0 over; not proven: no "
        "sample proves a maximum)"
    )
    assert headline(one(latency_budget(METRIC, mean="1s"), samples(12, 12.5))) == (
        "final_from_commit mean = 12.2 ms <= 1000 ms (n=2, 0 over; not proven)"
    )
    assert headline(one(latency_budget(METRIC, mean="1s"), samples(1200))) == (
        "final_from_commit mean = 1200 ms > 1000 ms (n=1, 1 over; not proven); server, "
        "not client (client delay 0.8 ms)"
    )


def test_numbers_that_differ_are_printed_differently() -> None:
    def compared(value: float) -> str:
        return headline(one(latency_budget(METRIC, max="800ms"), samples(value)))[18:45]

    assert compared(800).startswith("max = 800 ms <= 800 ms (")
    assert compared(800.4).startswith("max = 800.4 ms > 800 ms (")
    assert compared(800.0004).startswith("max = 800.0004 ms > 800 ms ")
    assert compared(math.nextafter(800, 900)).startswith("max = 800 ms > 800 ms ")
    assert compared(-0.01).startswith("max = 0 ms <= 800 ms ")


def test_signed_latencies_have_a_readable_interval() -> None:
    line = headline(
        one(latency_budget(METRIC, p50="1s"), samples(*[-50] * 10, *[-20] * 10))
    )
    assert "p50 = -50 ms <= 1000 ms (95% CI -50 to -20; " in line


# Word error rate


def rows(*texts: tuple[str, str | None], language: str = "en") -> list[ScoredText]:
    return [
        scored(number, said, heard, language)
        for number, (said, heard) in enumerate(texts)
    ]


GOOD = ("turn left at the next light", "turn left at the next light")
BAD = ("turn left at the next light", "turn right at the next light please")


def test_a_threshold_is_a_share() -> None:
    for limit in (12, -0.1, math.nan, True, "0.1"):
        refused(lambda v=limit: wer_threshold(v), "write 0.12 for 12 %")  # type: ignore[misc]
    assert wer_threshold(0).limit == 0
    assert wer_threshold(1, confidence=0.9).confidence == 0.9


def test_a_threshold_accepts_only_known_normalizers() -> None:
    assert wer_threshold(0.1).normalizer is None
    assert wer_threshold(0.1, normalizer="none").normalizer is NONE
    own = Normalizer("mine", "1", str.upper)
    assert wer_threshold(0.1, normalizer=own).normalizer is own
    refused(
        lambda: wer_threshold(0.1, normalizer="nemo"),
        "'nemo'",
        "none, basic, english, ",
    )


@pytest.mark.parametrize(("limit", "expected"), [(1 / 12, PASS), (0.08, FAIL)])
def test_the_pooled_rate_is_judged(limit: float, expected: Verdict) -> None:
    given = rows(GOOD, ("turn left at the next light", "turn right at the next light"))
    found = judge_wer(wer_threshold(limit), given)
    assert found.verdict is expected
    assert found.observed == 1 / 12
    assert found.errors == Errors(11, 1, 0, 0)
    assert not found.proven


def test_the_line_of_a_rate() -> None:
    found = judge_wer(wer_threshold(0.12, normalizer="basic"), rows(GOOD, BAD))
    assert found.interval is not None
    low, high = found.interval
    assert (low, high) == (0, math.inf)
    assert headline(found) == (
        "wer = 0.167 > 0.120 (95% CI from 0.000, no upper bound with n=2; n=2, 12 "
        "words, S=1 D=0 I=1; basic/2; not proven)"
    )


def test_the_worst_utterances_are_shown_with_their_texts() -> None:
    given = rows(GOOD, BAD, ("go", None), ("one two three", "a b c"), ("x y", "x z"))
    found = judge_wer(wer_threshold(0.12, normalizer="none"), given)
    assert [row.label for row, _ in found.worst] == ["s3", "s1", "s2"]
    assert details(found) == "\n".join(
        [
            "s3 u3: 3 wrong of 3",
            "ref: one two three",
            "hyp: a   b   c",
            "     S   S   S",
            "s1 u1: 2 wrong of 6",
            "ref: turn left  at the next light ******",
            "hyp: turn right at the next light please",
            "          S                       I",
            "s2 u2: 1 wrong of 1",
            "ref: go",
            "hyp: **",
            "     D",
        ]
    )
    assert details(judge_wer(wer_threshold(0.1), rows(GOOD))) == ""


def test_a_lost_transcription_is_all_deleted() -> None:
    said, heard = GOOD
    hung = scored(9, said, heard, "en", lost="hung")
    found = judge_wer(wer_threshold(0.12), [*rows(GOOD, (said, None)), hung])
    assert found.observed == 2 / 3
    assert sorted(found.lost) == [("hung", 1), ("no final", 1)]
    assert ", 1 hung" in headline(found)
    assert "s9 u9: 6 wrong of 6, hung\n" in details(found)


def test_words_recognised_in_silence_are_named() -> None:
    found = judge_wer(wer_threshold(0.12), rows(GOOD, ("", "thank you")))
    assert (found.verdict, found.observed) == (PASS, 0)
    assert "I=0, 2 words recognised in silence" in headline(found)
    assert details(found).startswith("s1 u1: 2 wrong of 0\n")


def test_an_error_rate_without_rows_or_references_fails() -> None:
    nothing = judge_wer(wer_threshold(0.12), [])
    assert nothing.verdict is FAIL
    assert headline(nothing) == (
        "wer <= 0.120: no session was judged: nothing was measured"
    )
    silent = judge_wer(wer_threshold(0.12), rows(("", "hello")))
    assert silent.verdict is FAIL
    assert silent.errors == Errors(unspoken=1)
    assert headline(silent) == (
        "wer <= 0.120: cannot be measured: needs a reference transcript"
    )


def test_scripts_without_spaces_have_a_character_error_rate() -> None:
    han = ("今日は晴れ", "今日は雨れ")
    line = headline(judge_wer(wer_threshold(0.5), rows(han, language="ja")))
    assert line.startswith("cer = 0.200 <= 0.500 (")
    assert ", 5 characters, " in line
    mixed = judge_wer(
        wer_threshold(0.5), [*rows(han, language="ja"), *rows(GOOD, language="en")]
    )
    assert mixed.name == "wer+cer"
    assert len(mixed.normalizers) == 2
    assert ", 11 words and characters, " in headline(mixed)


def test_a_rate_is_proven_if_its_interval_excludes_the_limit() -> None:
    proof = wer_threshold(0.12, confidence=0.95)
    assert judge_wer(proof, rows(*[GOOD] * 40)).verdict is PASS
    assert judge_wer(proof, rows(*[BAD] * 40)).verdict is FAIL
    between = judge_wer(proof, rows(*[BAD] * 16, *[GOOD] * 24))
    assert between.verdict is INCONCLUSIVE
    assert headline(between).endswith(
        "; not proven); the interval includes the limit; more "
        "utterances narrow the interval"
    )
    assert judge_wer(wer_threshold(0.12), rows(*[GOOD] * 40)).proven


def test_a_few_utterances_prove_nothing() -> None:
    proof = wer_threshold(0.12, confidence=0.95)
    assert judge_wer(proof, rows(*[GOOD] * 20)).verdict is PASS
    few = judge_wer(proof, rows(*[GOOD] * 19))
    assert few.verdict is INCONCLUSIVE
    assert headline(few).endswith("fewer than 20 utterances prove nothing")
    said = rows(GOOD)[0].utterance
    again = [replace(row, utterance=said) for row in rows(*[GOOD] * 40)]
    assert judge_wer(proof, again).verdict is INCONCLUSIVE
    assert judge_wer(proof, again).interval == (0, math.inf)
    assert "95% CI from 0.000, no upper bound with n=40" in headline(
        judge_wer(proof, again)
    )


def test_a_clip_of_several_perturbations_is_one_utterance() -> None:
    plain = rows(*[GOOD] * 10)
    perturbed = [lead_silence("1ms"), lead_silence("5ms")]
    both = [
        replace(row, utterance=perturb(row.utterance))
        for row in plain
        for perturb in perturbed
    ]
    found = judge_wer(wer_threshold(0.12, confidence=0.95), both)
    assert found.verdict is INCONCLUSIVE
    assert headline(found).endswith("fewer than 20 utterances prove nothing")
    assert found.perturbations == ("lead-silence/1:1ms", "lead-silence/1:5ms")
    assert "; lead-silence/1:1ms and 1 more" in headline(found)
    assert "; lead-silence/1:5ms)" in headline(judge_wer(wer_threshold(1), both[1::2]))


def by(row: ScoredText, speaker: str) -> ScoredText:
    return replace(row, utterance=replace(row.utterance, speaker=speaker))


def test_the_utterances_of_a_speaker_are_resampled_together() -> None:
    texts = [*[GOOD] * 60, *[BAD] * 12]
    alone = rows(*texts)
    named = [by(row, f"p{n // 6}") for n, row in enumerate(alone)]
    by_row = judge_wer(wer_threshold(0.2), alone)
    by_speaker = judge_wer(wer_threshold(0.2), named)
    assert (by_row.speakers, by_speaker.speakers) == (0, 12)
    assert (by_row.proven, by_speaker.proven) == (True, False)
    assert by_row.interval is not None
    assert by_speaker.interval is not None
    assert by_row.interval[1] < by_speaker.interval[1]
    assert "n=72 of 12 speakers, 432 words" in headline(by_speaker)


def test_a_few_speakers_prove_nothing() -> None:
    proof, many = wer_threshold(0.12, confidence=0.95), rows(*[GOOD] * 40)

    def spoken(speakers: int) -> WerFinding:
        rows = [by(row, f"p{n % speakers}") for n, row in enumerate(many)]
        return judge_wer(proof, rows)

    assert spoken(10).verdict is PASS
    assert spoken(9).verdict is INCONCLUSIVE
    assert headline(spoken(9)).endswith("fewer than 10 speakers prove nothing")
    one_named = [by(many[0], "p"), *many[1:]]
    assert judge_wer(proof, one_named).verdict is PASS


def test_a_speaker_and_an_utterance_of_the_same_name_are_different() -> None:
    """A speaker and an utterance with the same name are not counted as one."""
    said = [(f"u{n}", f"p{n % 10}") for n in range(20)]
    assert too_few(said) is None
    nine = [*said[:9], *((f"v{n}", "p0") for n in range(11))]
    assert too_few(nine) == TooFew(10, speakers=True)
    assert too_few([*said[:8], *((f"p{n}", "") for n in range(12))]) is None
    both = [("u0", ""), *((f"u{n}", "u0") for n in range(1, 20))]
    assert too_few(both) == TooFew(10, speakers=True)
    unnamed = [(f"p{n}", "") for n in range(8)]  # none of which is the speaker
    assert too_few([*unnamed, *((f"v{n}", f"p{n % 2}") for n in range(12))]) is None


TEXT = st.text("ab ", max_size=12)


@given(
    st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=12),
    st.floats(0, 1),
    st.sampled_from([None, 0.9]),
)
def test_a_rate_lies_in_its_interval(
    texts: list[tuple[str, str | None]], limit: float, confidence: float | None
) -> None:
    found = judge_wer(wer_threshold(limit, confidence=confidence), rows(*texts))
    assert isinstance(found, WerFinding)
    assert "\n" not in headline(found)
    if found.interval is not None and found.observed is not None:
        assert found.interval[0] <= found.observed <= found.interval[1]
    assert found.verdict is not INVALID
