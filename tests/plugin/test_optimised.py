"""Verdicts do not depend on docstrings, which ``python -OO`` strips."""

from __future__ import annotations

import sys

import pytest

from tests.support.project import Project

SUITE = """
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.verdicts.budgets import latency_budget
from pytest_realtime_asr.verdicts.limits import BudgetError


@pytest.mark.latency_budget("final_from_commit", p50="60s")
@pytest.mark.budget("normalized_erasure", at_most=0.2)
@pytest.mark.budget("word_coverage", at_least=0.5)
def test_fits(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])


@pytest.mark.budget("word_coverage", at_least=1.01)
def test_higher_is_better(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])


def test_a_ratio_is_not_a_duration():
    assert CATALOGUE["normalized_erasure"].summary is None  # stripped
    with pytest.raises(BudgetError, match="is not a duration; write budget"):
        latency_budget("normalized_erasure", p95="800ms")
"""


@pytest.mark.slow
def test_verdicts_do_not_depend_on_docstrings(project: Project) -> None:
    project.write(SUITE)
    result = project.pytester.run(
        *(sys.executable, "-OO", "-m", "pytest", "-p", "no:cacheprovider"),
        *("--realtime-target=fake", "--realtime-pace=1"),
        timeout=60,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*word_coverage mean = 1 < 1.01*"])
