"""The lists for github-action-benchmark: names, numbers and directions."""

from __future__ import annotations

import json

import msgspec

from pytest_realtime_asr.metrics import Better
from pytest_realtime_asr.report import benchmark_json
from tests.support.summaries import LATE, RECALL, row, summary

TEST = "tests/test_it.py::test_late"


def test_every_judged_value_and_the_unjudged_quantiles_have_an_entry() -> None:
    found = json.loads(benchmark_json.dumps(summary(row()), Better.LOWER))
    assert [each["name"] for each in found] == [
        f"{TEST}: final_from_commit p95",
        f"{TEST}: wer",
        f"{TEST}: final_from_commit p50",
    ]
    assert found[0] == {
        "name": f"{TEST}: final_from_commit p95",
        "unit": "ms",
        "value": 912.346,
        "range": "850.0 to",
        "extra": "limit: <= 800.0\nverdict: FAIL\nn=20, 1 lost\n"
        "ws://gpu-7/v1/realtime, model m",
    }
    assert found[1]["value"] == 0.0312
    assert found[1]["range"] == "0.01 to 0.0625"


def test_values_that_are_better_if_higher_have_their_own_list() -> None:
    run = summary(row(verdicts=[LATE, RECALL]))
    bigger = json.loads(benchmark_json.dumps(run, Better.HIGHER))
    assert [each["name"] for each in bigger] == [f"{TEST}: recall keyword_recall rate"]
    smaller = json.loads(benchmark_json.dumps(run, Better.LOWER))
    assert not [each for each in smaller if "recall" in each["name"]]
    assert benchmark_json.dumps(summary(row()), Better.HIGHER) == b""


def test_each_name_occurs_once() -> None:
    twice = msgspec.structs.replace(LATE, limit=900.0)
    run = summary(row(verdicts=[LATE, twice]))
    names = [each.name for each in benchmark_json.entries(run, Better.LOWER)]
    assert len(names) == len(set(names))
    assert f"{TEST}: final_from_commit p95 (2)" in names


def test_an_infinite_value_is_left_out() -> None:
    lost = msgspec.structs.replace(LATE, value=None, over=20)
    never = {"final_from_commit": {"p50": float("inf"), "p95": float("inf"), "n": 20}}
    run = summary(row(verdicts=[lost], statistics=never, wer=None))
    assert benchmark_json.entries(run, Better.LOWER) == []
