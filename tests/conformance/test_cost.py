"""The cost of a conformance run."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.conformance import clips, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.cost import Cost, cost, total
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.requirements.requirement import (
    Harm,
)

VLLM = dialects.load("vllm")

SPOKEN = clips.choose(corpus.load("bundled:english"))
EVERYTHING = list(scenarios(VLLM).values())


def test_the_cost_counts_only_the_scenarios_that_run() -> None:
    there = selection.bounds(SuiteConfig(), here=False)
    safe = cost(EVERYTHING, SPOKEN, there, pace=1.0)
    harmful = [each for each in EVERYTHING if each.harm is not Harm.SAFE]
    assert set(safe.not_run) == {each.name for each in harmful}
    assert safe.scenarios == len(EVERYTHING) - len(harmful)
    assert safe.streams == 2
    here = selection.bounds(SuiteConfig(), here=True)
    whole = cost(EVERYTHING, SPOKEN, here, pace=1.0)
    assert (whole.scenarios, whole.not_run) == (len(EVERYTHING), {})
    one = [each for each in EVERYTHING if each.sessions == 1][:1]
    single = cost(one, SPOKEN, here, pace=1.0)
    assert (single.scenarios, single.connections, single.streams) == (1, 1, 1)
    assert whole.seconds < safe.seconds  # more at a time
    assert whole.audio > safe.audio
    assert cost(EVERYTHING, SPOKEN, here, pace=8.0).seconds < 25
    short = replace(here, audio=30.0)
    assert cost(EVERYTHING, SPOKEN, short, pace=1.0).audio <= 30.0


def test_a_small_limit_leaves_the_simplest_scenarios() -> None:
    small = replace(selection.bounds(SuiteConfig(), here=True), audio=60.0)
    rules = VLLM.requirements

    def judged(found: Cost) -> set[str]:
        return {e.id for e in rules if not found.not_run.keys() & set(e.scenarios)}

    found = cost(EVERYTHING, SPOKEN, small, pace=1.0, requirements=rules)
    assert {"first-utterance", "first-event", "text-of-speech"} <= judged(found)
    assert len(judged(found)) > len(rules) / 3
    (reason,) = set(found.not_run.values())  # one sentence for all
    whole = cost(EVERYTHING, SPOKEN, replace(small, audio=1e9), pace=1.0)
    limit = re.search(r"=60s; --realtime-max-audio=(\d+)s is enough", reason)
    assert limit is not None
    assert 0 <= int(limit[1]) - whole.audio < 1
    before = cost(EVERYTHING, SPOKEN, small, pace=1.0, requirements=rules, used=50.0)
    assert before.audio <= 10.0


def test_a_limit_that_is_set_applies_to_every_server() -> None:
    for here in (True, False):
        assert selection.bounds(SuiteConfig(max_audio=9.0), here=here).audio == 9.0
    assert selection.bounds(SuiteConfig(), here=False).audio == 600.0
    assert selection.bounds(SuiteConfig(), here=True).audio == float("inf")


def test_the_remaining_time_falls_with_each_scenario() -> None:
    here = selection.bounds(SuiteConfig(), here=True)
    whole = cost(EVERYTHING, SPOKEN, here, pace=1.0)
    assert total(EVERYTHING, whole.durations, here.streams) == whole.seconds
    left = whole.seconds
    waiting = dict(whole.durations)
    for each in EVERYTHING:
        waiting.pop(each.name, None)
        now = total(EVERYTHING, waiting, here.streams)
        assert now <= left
        left = now
    assert left == 0.0
