"""Tests of the limits of a run, and of the grammar of limits on the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_realtime_asr.verdicts.budgets import budget, latency_budget, wer_threshold
from pytest_realtime_asr.verdicts.limit_grammar import Relation, nearest, parse
from pytest_realtime_asr.verdicts.limits import MAX_LIMIT
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits, run_limits

FINAL = "final_from_commit"
P95 = latency_budget(FINAL, p95="800ms")
WER = wer_threshold(0.12)
EXAMPLE = "final_from_commit p95 <= 800ms"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (f"{FINAL} p95 <= 800ms", P95),
        (f" {FINAL}  p95<=.8s , ", P95),
        (f"{FINAL} max <= 1min", latency_budget(FINAL, max=timedelta(minutes=1))),
        ("wer <= 12%", WER),
        ("wer<=0.12", WER),
        ("normalized_erasure <= 20%", budget("normalized_erasure", at_most=0.2)),
        ("false_endpoints max <= 0", budget("false_endpoints", at_most=0, stat="max")),
        ("word_coverage >= 0.9", budget("word_coverage", at_least=0.9)),
        ("goodput >= 99%", budget("goodput", at_least=0.99)),
        ("latency_drift <= 50", budget("latency_drift", at_most=50)),
        ("recovery <= 10s", latency_budget("recovery", max="10s")),
        ("recovery max <= 10s", latency_budget("recovery", max="10s")),
    ],
)
def test_a_limit_equals_the_limit_of_a_marker(text: str, made: object) -> None:
    found = run_limits([text])
    assert [*found.budgets, *found.thresholds] == [made]


def test_the_limits_of_all_lists_are_joined() -> None:
    found = run_limits([f"{FINAL} p95 <= 800ms, {FINAL} p50 <= 1s", "wer <= 12%"])
    assert found == RunLimits((P95, latency_budget(FINAL, p50="1s")), (WER,))
    assert found.metrics == {FINAL, "wer"}
    assert found.without([FINAL]) == RunLimits((), (WER,))
    assert found.without(["wer"]).metrics == {FINAL}
    assert found
    assert not NO_LIMITS
    assert found.without(["wer", FINAL]) == NO_LIMITS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no limit; write one such as final_from_commit p95 <= 800ms"),
        ("wer", r"'wer' is not a limit; write one such as .* \(character 1\)"),
        (f"{FINAL} p95", "is not a limit; write one"),
        (f"{FINAL} p95 upper <= 1s", "is not a limit; write one"),
        (
            "recovery p95 <= 10s",
            "has the statistic p95, but recovery is a single value of each level",
        ),
        ("recovery <= 10", "limits a duration: write a time with its unit"),
        ("goodput p95 >= 0.9", "goodput is a single value of each level"),
        (f"{FINAL} p95 < 1s", r"has the sign '<'; write <= or >= \(character 23\)"),
        (f"{FINAL} p95 ≤ 1s", r"has the sign '≤'; write <= or >="),
        (f"{FINAL} p95 <= fast", r"the amount is not a number .* \(character 26\)"),
        (f"{FINAL} p95 <= -1s", "the amount is not a number"),
        (f"{FINAL} p95 <= 1h", "the amount is not a number"),
        (f"{FINAL} p95 <= {'9' * 400}s", "is longer than a week; write a time such"),
        (f"{FINAL} p95 <= 1e9s", "the amount is not a number"),
        (f"{FINAL} p95 <= 9999999s", "cannot be judged: .* longer than a week"),
        (f"{FINAL} p95 <= 800", "write a time with its unit, such as final_from_com"),
        (f"{FINAL} p95 <= 8%", "write a time with its unit"),
        (f"{FINAL} p95 >= 1s", "is a lower limit of a duration; write <="),
        (f"{FINAL} <= 1s", "names no statistic; write final_from_commit p95 <= 800ms"),
        (
            f"wer <= 12%, {FINAL} p97 <= 1s",
            r"write p99 in place of p97 \(or one of p50, .*\) \(character 13\)",
        ),
        (
            "final_from_comit p95 <= 1s",
            "write final_from_commit in place of final_from_comit .*list metrics",
        ),
        ("latency_budget p95 <= 1s", "names no metric: write "),
        ("loop_lag p95 <= 3ms", "cannot be judged: it measures the client, not"),
        ("wer <= 12", "is above 100%; write wer <= 12% or wer <= 0.12"),
        ("wer <= 12pp", "has a wrong unit; write wer <= 12%"),
        ("wer p95 <= 12%", "pooled over all words of a test; write wer <= 12%"),
        ("wer >= 12%", "pooled over all words of a test; write wer <= 12%"),
        ("word_coverage >= 5pp", "write 0.2 or 20%"),
        ("false_endpoints <= 3%", "write a number without a unit"),
        ("wer:1pp", "limits a change; .* or use --realtime-compare-fail"),
        ("wer p95:1pp", "needs <= or >= in place of ':'"),
        (
            "wer <= 5%, wer <= 6%",
            "limits a value that already has a limit; keep only one limit",
        ),
        (f"false_endpoints <= {'9' * 18}", "cannot be judged: the limit .* is not"),
    ],
)
def test_invalid_limits_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        run_limits([text])


def test_limits_of_two_lists_are_checked_together() -> None:
    with pytest.raises(ValueError, match="limits a value that already has a limit"):
        run_limits(["wer <= 5%", "wer <= 6%"])


def test_an_error_names_the_position_of_the_limit() -> None:
    first, second = parse("wer <= 5% ,  drain max<=2s", example=EXAMPLE)
    assert (first.position, second.position) == (1, 14)
    assert (second.metric, second.statistic) == ("drain", "max")
    assert (second.relation, second.number, second.unit) == (Relation.AT_MOST, 2, "s")
    assert str(second.error("is odd")) == "'drain max<=2s' is odd (character 14)"


def test_the_nearest_name_is_found_for_any_text() -> None:
    assert nearest("final", [FINAL, "drain"]) == FINAL
    assert nearest("x" * 1000, ["wer"]) == "wer"
    assert MAX_LIMIT < 1e18
