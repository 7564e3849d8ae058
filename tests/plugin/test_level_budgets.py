"""Budgets of the metrics of a level, as markers and on the command line."""

from __future__ import annotations

import pytest

from tests.support.project import Project, Servers

LOAD = """
def test_held(realtime, corpus):
    clips = [corpus["turn-right"], corpus["open-door"]]
    realtime.load(clips, streams=4, hold="5s", ramp="1s", seed=4)
"""
TALK = """
def test_talk(realtime, corpus):
    realtime.transcribe([corpus["turn-right"]])
"""
MARKED = f"""
@pytest.mark.latency_budget("final_from_commit", p50="2s")
@pytest.mark.budget("goodput", at_least=0.9)
@pytest.mark.budget("keepup_ratio", at_least=0.5)
@pytest.mark.budget("wer_under_load", at_most=0.1){LOAD}"""


@pytest.mark.slow
def test_the_metrics_of_a_level_have_budgets(project: Project) -> None:
    project.write(MARKED)
    result = project.run("--junitxml=out.xml", "--realtime-pace=1")
    result.assert_outcomes(passed=1)
    (found,) = project.properties().values()
    assert float(found["realtime.goodput_ratio.min"]) == 1
    assert found["realtime.goodput_ratio.min.verdict"] == "PASS"
    assert 0.5 < float(found["realtime.keepup_ratio_ratio.min"]) < 1
    assert float(found["realtime.wer_under_load_ratio.max"]) == 0


@pytest.mark.slow
def test_a_level_over_its_budget_fails_the_test(
    project: Project, servers: Servers
) -> None:
    project.write(
        '@pytest.mark.latency_budget("final_from_commit", p50="1s")\n'
        '@pytest.mark.budget("goodput", at_least=0.9)'
        f"{LOAD.replace('seed=4', 'seed=4, witnesses=0')}"
    )
    url = servers("--final-delay", "1500ms", "--word-delay", "10ms").url
    result = project.run("--realtime-pace=1", target=url)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*goodput at 4 streams = 0 < 0.9 *"])


def test_a_budget_of_a_level_without_a_level_fails(project: Project) -> None:
    project.write(f'@pytest.mark.budget("goodput", at_least=0.9){TALK}')
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*goodput >= 0.9: no level of load was run: *"])


def test_a_limit_of_the_run_does_not_judge_tests_without_a_level(
    project: Project,
) -> None:
    project.write(TALK)
    result = project.run("--realtime-budget=goodput >= 99%, recovery <= 10s")
    result.assert_outcomes(passed=1)


def test_a_pool_beside_a_budget_of_a_level(project: Project) -> None:
    project.write(
        '@pytest.mark.budget("goodput", at_least=0.9)\n'
        '@pytest.mark.budget("normalized_erasure", at_most=9, over="module")'
        f"{TALK}\n"
        '@pytest.mark.budget("normalized_erasure", at_most=9, over="module")'
        f"{TALK.replace('test_talk', 'test_more')}"
    )
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["FAILED *::test_talk - goodput*no level of load*"])


def test_a_wrong_budget_of_a_level_is_refused_with_an_example(project: Project) -> None:
    project.write(f'@pytest.mark.latency_budget("recovery", p95="10s"){TALK}')
    result = project.run()
    assert result.ret != 0
    output = f"{result.stdout}{result.stderr}"
    assert 'so it has no statistic; write latency_budget("recovery", max=' in output
