"""The terms of a test: markers, and the settings that the markers override."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from pytest_realtime_asr.metrics.normalizers import NONE
from pytest_realtime_asr.plugin.markers import read
from pytest_realtime_asr.plugin.options import MARKERS
from pytest_realtime_asr.plugin.settings import Settings, settings
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.budgets import (
    PoolScope,
    budget,
    latency_budget,
    wer_threshold,
)
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy

METRIC = "final_from_commit"
NAMED = {"REALTIME_MODEL": "m", "REALTIME_DIALECT": "vllm"}
DEFAULT: Settings = settings(lambda _: None, lambda _: None, NAMED)


@dataclass(frozen=True)
class Mark:
    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def mark(name: str, *args: object, **kwargs: object) -> Mark:
    return Mark(name, args, kwargs)


def changed(
    *,
    limits: Mapping[str, object] | None = None,
    parallel: bool = False,
    **session: Any,
) -> Settings:
    """Return the default settings with these limits and session settings."""
    run = replace(
        DEFAULT.run,
        session=replace(DEFAULT.run.session, **session),
        parallel=parallel,
    )
    given: Any = limits or {}
    return replace(DEFAULT, run=run, limits=replace(DEFAULT.limits, **given))


def terms(*marks: Mark, given: Settings = DEFAULT, parallel: bool = False) -> Terms:
    return read(marks, given, parallel=parallel)


def test_without_markers_the_settings_apply() -> None:
    assert terms() == Terms("vllm", "m", 1.0, 0.1)
    other = changed(dialect="d", pace=2.0, chunk=0.5, limits={"rules": None})
    assert terms(given=other) == Terms("d", "m", 2.0, 0.5, rules=None)


def test_a_marker_overrides_the_settings() -> None:
    told = mark(
        "realtime", dialect="d", model="n", pace=0, chunk="20ms", rules="should"
    )
    assert terms(told) == Terms("d", "n", 0.0, 0.02, rules=Level.SHOULD)


def test_the_nearest_marker_wins_for_each_of_its_keywords() -> None:
    near = mark("realtime", pace=2, rules="off")
    far = mark("realtime", pace=3, model="far", rules="must")
    farthest = mark("realtime", model="farthest", chunk="1s")
    assert terms(near, far, farthest) == Terms("vllm", "far", 2.0, 1.0, rules=None)


def test_all_budgets_and_thresholds_count_farthest_marker_first() -> None:
    marks = [
        mark("latency_budget", METRIC, p95="800ms"),
        mark("wer_threshold", 0.1),
        mark("skip", reason="not ours"),
        mark("latency_budget", METRIC, max=timedelta(seconds=2), over="module"),
        mark("wer_threshold", 0.2, normalizer="none", confidence=0.9),
    ]
    found = terms(*marks)
    assert found.budgets == (
        latency_budget(METRIC, max="2s", over="module"),
        latency_budget(METRIC, p95="800ms"),
    )
    assert found.budgets[0].over is PoolScope.MODULE
    assert found.thresholds == (
        wer_threshold(0.2, normalizer=NONE, confidence=0.9),
        wer_threshold(0.1),
    )


@pytest.mark.parametrize("workers", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_sessions_overlap_only_in_workers_with_parallel(
    workers: bool, allowed: bool
) -> None:
    found = terms(given=changed(parallel=allowed), parallel=workers)
    assert found.parallel is (workers and allowed)


@pytest.mark.parametrize(
    ("value", "chunk"), [("1ms", 0.001), ("60s", 60.0), (timedelta(seconds=0.25), 0.25)]
)
def test_a_chunk_is_a_duration(value: object, chunk: float) -> None:
    assert terms(mark("realtime", chunk=value)).chunk == chunk


@pytest.mark.parametrize("value", [0, 1, 0.5, 20])
def test_a_pace_is_a_number(value: float) -> None:
    pace = terms(mark("realtime", pace=value)).pace
    assert pace == value
    assert type(pace) is float


WRONG = {
    "realtime: the marker takes no modell; choose from dialect, model, pace, chunk, "
    "rules": [mark("realtime", modell="m")],
    "realtime: the marker takes no a, b; choose from dialect": [
        mark("realtime", a=1, b=2, pace=1)
    ],
    "realtime: the marker takes no positional argument; choose from dialect": [
        mark("realtime", "vllm")
    ],
    "realtime: pace: a pace of .* cannot be used; give 0 .as fast as possible., "
    "or a number": [
        mark("realtime", pace=value)
        for value in (-1, math.nan, math.inf, True, "1", None)
    ],
    "realtime: chunk: a chunk of .* cannot be used; give a length from 1ms to 60s": [
        mark("realtime", chunk=value) for value in ("0ms", "61s")
    ],
    "is not a duration: .*'800ms'": [
        mark("realtime", chunk=100),
        mark("realtime", chunk="100"),
        mark("latency_budget", METRIC, p95=800),
        mark("latency_budget", METRIC, p95="fast"),
    ],
    "realtime: rules: .* is not a level; choose from must, should and off": [
        mark("realtime", rules=value) for value in ("may", None, Level.MUST, ["must"])
    ],
    "no metric 'ttft'; choose from .*final_from_commit": [
        mark("latency_budget", "ttft", p95="1s")
    ],
    "a budget needs a limit for a statistic, .*p95": [mark("latency_budget", METRIC)],
    "a budget has no keyword .*p96.*; choose from .*p95": [
        mark("latency_budget", METRIC, p96="1s")
    ],
    'latency_budget: .*; write the marker as in latency_budget."final_from_commit"': [
        mark("latency_budget"),
        mark("latency_budget", METRIC, "800ms"),
        mark("latency_budget", [METRIC], p95="800ms"),
    ],
    "over='all' is not known; choose from .*module": [
        mark("latency_budget", METRIC, max="1s", over="all")
    ],
    "is not a share from 0 to 1; write 0.12 for 12 %": [
        mark("wer_threshold", 12),
        mark("wer_threshold", "0.12"),
    ],
    "confidence=95 is not a share from .*: write 0.95": [
        mark("wer_threshold", 0.1, confidence=95),
        mark("latency_budget", METRIC, p95="1s", confidence=95),
    ],
    "there is no normalizer 'whisper-99'; choose from ": [
        mark("wer_threshold", 0.1, normalizer="whisper-99")
    ],
    "keyword_recall: .*; write the marker as in keyword_recall.* at_least=0.95": [
        mark("keyword_recall"),
        mark("keyword_recall", ["Anna"]),
        mark("keyword_recall", ["Anna"], 0.9),
    ],
    "wer_threshold: .*; write the marker as in wer_threshold.0.12, ": [
        mark("wer_threshold"),
        mark("wer_threshold", 0.1, 0.2),
        mark("wer_threshold", 0.1, limits=0.2),
    ],
    "capacity: at_least=.* is not a number of streams; write the marker as in "
    "capacity.at_least=40": [
        mark("capacity", at_least=value) for value in (0, -1, True, "40", 4.5, None)
    ],
    "capacity: .*; write the marker as in capacity.at_least=40": [
        mark("capacity"),
        mark("capacity", 40),
        mark("capacity", at_least=40, at_most=80),
    ],
}


@pytest.mark.parametrize(
    ("message", "wrong"),
    [(message, wrong) for message, marks in WRONG.items() for wrong in marks],
)
def test_a_wrong_marker_is_refused_with_an_example(message: str, wrong: Mark) -> None:
    with pytest.raises(BudgetError, match=message):
        terms(wrong)


def test_a_metric_that_is_not_a_duration_has_a_budget_too() -> None:
    marks = [
        mark("latency_budget", METRIC, p95="1s"),
        mark("budget", "normalized_erasure", at_most=0.2),
    ]
    assert terms(*marks).budgets == (
        budget("normalized_erasure", at_most=0.2),
        latency_budget(METRIC, p95="1s"),
    )
    with pytest.raises(BudgetError, match="a duration; write latency_budget"):
        terms(mark("budget", METRIC, at_most=0.2))
    with pytest.raises(
        BudgetError, match=r'write the marker as in budget."normalized_eras'
    ):
        terms(mark("budget"))


def test_limits_that_can_be_proven_become_a_budget_of_their_own() -> None:
    found = terms(mark("latency_budget", METRIC, p50="1s", p95="2s", max="3s"))
    assert found.budgets == (
        latency_budget(METRIC, p50="1s", p95="2s"),
        latency_budget(METRIC, max="3s"),
    )


def test_the_confidence_of_the_settings_applies_to_provable_limits() -> None:
    given = changed(limits={"confidence": 0.9, "undecided": UndecidedPolicy.WARN})
    marks = [
        mark("wer_threshold", 0.1),
        mark("wer_threshold", 0.2, confidence=0.8),
        mark("keyword_recall", ["a"], at_least=0.9),
        mark("keyword_recall", ["b"], at_least=1),
        mark("budget", "normalized_erasure", at_most=0.2),
        mark("latency_budget", METRIC, p95="2s", max="3s"),
        mark("latency_budget", METRIC, p50="1s", confidence=0.8),
    ]
    found = terms(*marks, given=given)
    assert found.budgets == (
        latency_budget(METRIC, p50="1s", confidence=0.8),
        latency_budget(METRIC, p95="2s", confidence=0.9),
        latency_budget(METRIC, max="3s"),
        budget("normalized_erasure", at_most=0.2),
    )
    assert [each.confidence for each in found.thresholds] == [0.8, 0.9]
    assert [each.confidence for each in found.recalls] == [None, 0.9]
    assert found.undecided is UndecidedPolicy.WARN


def test_the_largest_capacity_of_several_markers_applies() -> None:
    assert terms().capacity is None
    marks = [mark("capacity", at_least=each) for each in (8, 40, 12)]
    assert terms(*marks).capacity == 40


def test_a_limit_is_named() -> None:
    given = changed(limits={"named": {"final": "2s", "few": 0.2}})
    named = [
        mark("latency_budget", METRIC, p95="$final"),
        mark("budget", "normalized_erasure", at_most="$few"),
        mark("wer_threshold", "$few"),
        mark("keyword_recall", ["$Anna"], at_least="$few"),
        mark("skip", reason="$nothing"),  # not ours
    ]
    assert terms(*named, given=given) == terms(
        mark("latency_budget", METRIC, p95="2s"),
        mark("budget", "normalized_erasure", at_most=0.2),
        mark("wer_threshold", 0.2),
        mark("keyword_recall", ["$Anna"], at_least=0.2),
    )
    for wrong in (
        mark("latency_budget", METRIC, p95="$last"),
        mark("wer_threshold", "$last"),
    ):
        with pytest.raises(
            BudgetError, match=r"no limit is called '\$last'; choose from \$final"
        ):
            terms(wrong, given=given)


def test_the_names_of_the_markers() -> None:
    assert list(MARKERS) == [
        "latency_budget",
        "budget",
        "wer_threshold",
        "keyword_recall",
        "capacity",
        "realtime_requirement",
        "realtime",
    ]


def test_a_single_session_has_only_a_maximum() -> None:
    fine = [
        mark("latency_budget", METRIC, max="1s"),
        mark("latency_budget", METRIC, p95="1s", over="module"),
        mark("budget", "normalized_erasure", at_most=0.1),
        mark("wer_threshold", 0.1),
    ]
    assert read(fine, DEFAULT, parallel=False, one_session=True) == terms(*fine)
    wrong = [
        mark("latency_budget", METRIC, p95="1s", max="2s"),
        mark("latency_budget", METRIC, max="1s"),
    ]
    with pytest.raises(BudgetError) as caught:
        read(wrong, DEFAULT, parallel=False, one_session=True)
    assert str(caught.value) == (
        "latency_budget: final_from_commit p95: a test with the fixture utterance "
        'has one session, so only max= can be judged; add over="module" to judge all '
        "sessions of the module together"
    )
    with pytest.raises(BudgetError, match=r"budget: .* p90: .* only a mean can be"):
        read(
            [mark("budget", "normalized_erasure", at_most=0.1, stat="p90")],
            DEFAULT,
            parallel=False,
            one_session=True,
        )
