"""Packaged tests under load: what the options collect, announce and refuse."""

from __future__ import annotations

import pytest

from tests.plugin.test_run_limits import SPOKEN, WER, collected
from tests.support.project import Project

PLAIN = "def test_plain(): pass\n"
REAL = "--realtime-pace=1"
CAPACITY = "--realtime-capacity=final_from_commit p95 <= 800ms"
SOAK = "--realtime-soak=1h"
OF_CAPACITY = "realtime_conformance/test_capacity.py::test_capacity"
OF_SOAK = "realtime_conformance/test_soak.py::test_soak"
OWN = "test_it.py::test_plain"


@pytest.fixture
def plain(project: Project) -> Project:
    """A project with a test that uses no server."""
    project.write(PLAIN)
    return project


def test_an_option_runs_its_packaged_test(plain: Project) -> None:
    assert collected(plain, REAL, CAPACITY) == [OF_CAPACITY]
    assert collected(plain, REAL, SOAK) == [OF_SOAK]
    assert collected(plain, REAL, SOAK, CAPACITY) == [OF_CAPACITY, OF_SOAK]
    assert collected(plain, REAL, SOAK, "test_it.py") == [OWN, OF_SOAK]
    assert collected(plain, REAL, SOAK, WER) == [SPOKEN, OF_SOAK]
    assert collected(plain) == [OWN]


def test_the_suite_runs_no_load_unless_requested(plain: Project) -> None:
    words = ("--realtime-conformance", "-k", "spoken or capacity or soak")
    assert collected(plain, *words) == [SPOKEN]
    assert collected(plain, *words, REAL, CAPACITY) == [SPOKEN, OF_CAPACITY]


def test_the_plan_says_what_the_load_costs_at_most(plain: Project) -> None:
    result = plain.run(REAL, CAPACITY, SOAK, "--realtime-plan")
    result.stdout.fnmatch_lines(
        [
            "realtime capacity: from 1 to 500 streams, 60.0 s for each level and 5.0 "
            "min for the confirmation; at most 750 streams at a time and 22500.0 min "
            "of audio, about 30.0 min",
            "realtime soak: at most 8 streams at a time and 480.0 min of audio, about "
            "60.0 min",
        ]
    )
    result.stdout.no_fnmatch_line("*spoken corpus*")


@pytest.mark.parametrize("asked", [CAPACITY, SOAK])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "realtime_pace in the ini file: --realtime-* needs audio in real time; *"),
        (
            (REAL, "--realtime-parallel"),
            "--realtime-parallel: this option cannot be used with --realtime-*; *",
        ),
        (
            (REAL, "--realtime-baseline-target=127.0.0.1:9"),
            "--realtime-baseline-target: this option cannot be used with --realtime-*",
        ),
    ],
)
def test_an_option_that_conflicts_with_the_load_is_refused(
    plain: Project, asked: str, words: tuple[str, ...], said: str
) -> None:
    result = plain.run(asked, *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


def test_an_option_of_the_search_needs_the_search(plain: Project) -> None:
    result = plain.run(REAL, "--realtime-capacity-hold=10s")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --realtime-capacity-hold: this option needs --realtime-capacity"]
    )


def test_a_wrong_option_of_the_search_is_one_line(plain: Project) -> None:
    result = plain.run(REAL, CAPACITY, "--realtime-capacity-hold=1s")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["--realtime-capacity-hold=1s is too short for clips of up to 6.2 s: give *"]
    )
    result.stdout.no_fnmatch_line("*search_plan.py*")


ELSEWHERE = "ws://192.0.2.1:9"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            (CAPACITY, "--realtime-capacity-between=1,20"),
            "--realtime-capacity: the server is not on this machine, and the load has "
            "at most 20 streams at a time and 600.0 min of audio, about 30.0 min; if "
            "the server may get this load, add --realtime-allow=heavy and "
            "--realtime-max-audio=36000s",
        ),
        (
            (SOAK, "--realtime-allow=heavy", "--realtime-max-audio=1h"),
            "--realtime-soak: the load sends up to 480.0 min of audio, but the "
            "limit is --realtime-max-audio=3600s; *",
        ),
    ],
)
def test_a_load_of_a_remote_server_must_be_allowed(
    plain: Project, words: tuple[str, ...], said: str
) -> None:
    result = plain.run(REAL, *words, target=ELSEWHERE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    planned = plain.run(REAL, *words, "--realtime-plan", target=ELSEWHERE)
    planned.stdout.fnmatch_lines(["realtime *: * streams at a time and *"])


def test_a_search_of_a_remote_server_may_end_early(plain: Project) -> None:
    words = ("--realtime-allow=heavy", "--realtime-max-audio=1h", "--collect-only")
    result = plain.run(REAL, CAPACITY, *words, target=ELSEWHERE)
    assert result.ret == pytest.ExitCode.OK
