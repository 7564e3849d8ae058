"""The packaged suite: how it is asked for, and that each of its tests can fail."""

from __future__ import annotations

import pytest

from plugin.conftest import Project, Servers
from pytest_realtime_asr.conformance.scenarios import SCENARIOS

SUITE = "realtime_conformance"
QUICK = "--realtime-pace=0"
TESTS = len(SCENARIOS) + 2


def test_a_sound_server_passes(project: Project, clips: str) -> None:
    project.ini("testpaths = own")
    (project.path / "own").mkdir()
    project.write("def test_own(): assert False", name="own/test_own")
    corpus = f"--realtime-corpus={clips}"
    options = ("--realtime-conformance", QUICK, corpus)
    # It stands in for testpaths, and its ids are the same wherever it is installed.
    result = project.run(*options, "-v", "--junitxml=out.xml", "-W", "error")
    result.assert_outcomes(passed=TESTS)
    result.stdout.fnmatch_lines(
        [
            f"{SUITE}/test_requirements.py::test_requirement?first-event? PASSED*",
            f"{SUITE}/test_speech.py::test_spoken_corpus PASSED*",
        ]
    )
    found = project.properties()
    assert found["test_spoken_corpus"]["realtime.wer"] == "0.0"


@pytest.mark.slow
def test_it_passes_in_several_workers(project: Project, clips: str) -> None:
    arguments = ("--realtime-conformance", QUICK, f"--realtime-corpus={clips}", "-n2")
    project.run(*arguments, apart=True).assert_outcomes(passed=TESTS)


def test_what_is_collected(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.ini("testpaths = own")
    (project.path / "own").mkdir()
    project.write("def test_own(): pass", name="own/test_own")
    project.write("def test_other(): pass", name="test_other")

    def collected(*args: str) -> set[str]:
        result = project.run("--collect-only", "-q", *args)
        assert result.ret == 0
        result.stdout.no_fnmatch_line("*proves nothing*")
        return {line for line in result.outlines if "::" in line}

    own, other = "own/test_own.py::test_own", "test_other.py::test_other"
    suite = collected("--realtime-conformance")
    assert len(suite) == TESTS
    assert all(id.startswith(f"{SUITE}/test_") for id in suite)
    assert collected() == {own}
    assert collected("--realtime-conformance", "test_other.py") == suite | {other}
    assert collected("--realtime-conformance", "-k", "one-final") == {
        f"{SUITE}/test_requirements.py::test_requirement[one-final]"
    }
    monkeypatch.setenv("REALTIME_CONFORMANCE", "1")
    assert collected() == suite
    project.ini("realtime_conformance = false")
    assert collected() == {own}


@pytest.mark.parametrize("selected", [("-k", "nothing"), ("-m", "nothing")])
def test_a_run_that_judged_nothing_is_an_error(
    project: Project, selected: tuple[str, str]
) -> None:
    project.write("def test_own_nothing(): pass")
    project.ini("markers = nothing")
    result = project.run("--realtime-conformance", *selected, "test_it.py")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["no requirement was judged: this proves nothing"])


FAULTS = {
    "nameless": "test_requirement[first-event]",
    "created-twice": "test_requirement[order]",
    "no-json": "test_requirement[well-formed]",
    "novelty": "test_requirement[known-events]",
    "tolerant": "test_requirement[unknown-event-refused]",
    "lost-delta": "test_requirement[deltas-add-up]",
    "two-finals": "test_requirement[one-final]",
    "bad-usage": "test_requirement[usage-adds-up]",
    "echo": "test_utterances_are_kept_apart",
}


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        # That nothing answers is only known after some time.
        pytest.param(*each, marks=pytest.mark.slow) if each[0] == "tolerant" else each
        for each in FAULTS.items()
    ],
)
def test_each_trips_on_its_fault(
    project: Project, servers: Servers, clips: str, fault: str, test: str
) -> None:
    url = servers("--fault", fault, "--final-delay", "0s").url
    result = project.run(
        "--realtime-conformance",
        QUICK,
        "--realtime-timeout=1s",
        f"--realtime-corpus={clips}",
        f"-k{test}",
        target=url,
    )
    result.assert_outcomes(failed=1, deselected=TESTS - 1)
    name = test.partition("[")[0]
    result.stdout.fnmatch_lines([f"*_ {name}* _*", "* -k *"])


def test_a_broken_rule_of_another_test_fails_only_its_own(
    project: Project, servers: Servers, clips: str
) -> None:
    url = servers("--fault", "two-finals", "--final-delay", "0s").url
    result = project.run(
        "--realtime-conformance",
        QUICK,
        f"--realtime-corpus={clips}",
        "--realtime-rules=should",
        "-k",
        "first-event or one-final or bad-json",
        target=url,
    )
    result.assert_outcomes(passed=2, failed=1, deselected=TESTS - 3)
