"""OpenMetrics text, read by the parser of prometheus_client."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_realtime_asr.report import openmetrics
from pytest_realtime_asr.report.run_summary import RunSummary
from tests.support.runs import RUN
from tests.support.summaries import LATE, RECALL, failure, row, summary


def families(found: RunSummary) -> dict[str, Metric]:
    """The families of a run by their names, as the parser reads them."""
    text = openmetrics.dumps(found).decode()
    assert text.endswith("\n# EOF\n")
    read = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return {each.name: each for each in read}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """The values of a family by their labels, without those of every sample."""
    return {
        tuple(v for name, v in s.labels.items() if name not in ("target", "model")): (
            s.value
        )
        for s in family.samples
    }


def test_names_units_and_labels() -> None:
    found = families(summary(row()))
    final = found["realtime_asr_final_from_commit_seconds"]
    assert (final.type, final.unit) == ("gauge", "seconds")
    assert final.documentation
    test = "tests/test_it.py::test_late"
    assert values(final) == {
        (test, "p95"): 0.9123456,
        (test, "p50"): 0.4,
        (test, "max"): 0.95,
    }
    assert final.samples[0].labels["target"] == "ws://gpu-7/v1/realtime"
    limit = found["realtime_asr_final_from_commit_limit_seconds"]
    assert values(limit) == {(test, "p95", "<="): 0.8}
    bounds = found["realtime_asr_final_from_commit_interval_seconds"]
    assert values(bounds) == {
        (test, "p95", "low"): 0.85,
        (test, "p95", "high"): math.inf,
    }
    assert values(found["realtime_asr_final_from_commit_passed"]) == {(test, "p95"): 0}
    assert values(found["realtime_asr_final_from_commit_samples"]) == {(test,): 20}
    assert values(found["realtime_asr_wer_ratio"]) == {(test, "rate"): 0.03125}
    assert values(found["realtime_asr_lost_utterances"]) == {(test,): 1}


def test_the_run_and_the_verdict_of_a_test() -> None:
    run = replace(RUN, labels={"gpu-type": 'h"100\\'})
    found = families(replace(summary(row(), failures=[failure()]), run=run))
    (info,) = found["realtime_asr_run"].samples
    assert info.labels["label_gpu_type"] == 'h"100\\'
    assert info.labels["run"] == RUN.id
    assert found["realtime_asr_failed_tests"].samples[0].value == 1
    states = found["realtime_asr_verdict"]
    assert states.type == "stateset"
    shown = {s.labels["realtime_asr_verdict"]: s.value for s in states.samples}
    assert shown["FAIL"] == 1
    assert sum(shown.values()) == 1


def test_limits_of_one_statistic_are_numbered() -> None:
    twice = msgspec.structs.replace(LATE, limit=900.0)
    found = families(summary(row(verdicts=[LATE, twice, RECALL, RECALL])))
    limits = found["realtime_asr_final_from_commit_limit_seconds"].samples
    assert [(s.labels.get("number"), s.value) for s in limits] == [
        (None, 0.8),
        ("2", 0.9),
    ]
    assert len(found["realtime_asr_keyword_recall_ratio"].samples) == 2


def test_a_value_that_lost_sessions_make_infinite() -> None:
    lost = msgspec.structs.replace(
        LATE, value=None, over=20, interval=(None, None), beyond=True
    )
    found = families(summary(row(verdicts=[lost], statistics={})))
    assert found["realtime_asr_final_from_commit_seconds"].samples[0].value == math.inf
    bounds = found["realtime_asr_final_from_commit_interval_seconds"].samples
    assert [s.value for s in bounds] == [math.inf, math.inf]


def test_a_hostile_text_stays_a_label() -> None:
    hostile = 'a"} 1\n# EOF\n\\ \x1b[31m'
    found = families(summary(row(hostile, model=hostile)))
    (sample,) = found["realtime_asr_utterances"].samples
    assert sample.labels["test"] == 'a"} 1\\n# EOF\\n\\ \\x1b[31m'
