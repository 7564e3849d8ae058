"""Limits of a run: the tests that run if a command names none, and what is judged.

The limit that fails is a lower limit of normalized_erasure, since a latency is judged
only at pace 1.
"""

from __future__ import annotations

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance import suite_run
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.trace.records import Sender
from tests.support.project import DIALECT, Project, Servers

SPOKEN = "realtime_conformance/test_speech.py::test_spoken_corpus"
WER = "--realtime-budget=wer <= 12%"
FAILS = "--realtime-budget=normalized_erasure max >= 50%"
PLAIN = "def test_plain(): pass\n"
OWN = """
def test_own(realtime, corpus):
    realtime.transcribe(corpus)
"""
DESELECTED = sum(
    each.binds is Sender.SERVER for each in dialects.load(DIALECT).requirements
)
COLLECTED = ("--collect-only", "-q")


def collected(project: Project, *words: str) -> list[str]:
    """Return the ids of the tests that a run collects."""
    result = project.run(*words, *COLLECTED)
    assert result.ret == 0, result.outlines + result.errlines
    return [line for line in result.outlines if "::" in line]


@pytest.fixture
def mixed(project: Project) -> Project:
    """A project with one test that uses the server, and one that does not."""
    project.write(PLAIN, name="test_plain")
    project.write(OWN, name="test_own")
    return project


def test_a_limit_alone_runs_the_spoken_corpus(mixed: Project) -> None:
    own = ["test_own.py::test_own"]
    assert collected(mixed, WER) == [SPOKEN]
    assert collected(mixed, WER, "test_own.py") == own
    mixed.ini("realtime_budget = wer <= 12%")
    assert collected(mixed) == [*own, "test_plain.py::test_plain"]


@pytest.mark.parametrize(("limits", "counted"), [((), False), ((WER,), True)])
def test_the_time_left_counts_the_spoken_corpus_if_it_is_sent(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    clips: str,
    limits: tuple[str, ...],
    counted: bool,
) -> None:
    asked: list[str] = []

    def spoken_seconds(_: object, corpus: Corpus) -> float:
        asked.append(corpus.name)
        return 1.0

    monkeypatch.setattr(suite_run, "_spoken_seconds", spoken_seconds)
    words = ("--realtime-conformance", f"--realtime-corpus={clips}", *limits)
    result = project.run(*words, "-k", "spoken or plain-http-refused", target="fake")
    result.assert_outcomes(
        passed=1 + counted, skipped=1 - counted, deselected=DESELECTED - 1
    )
    assert bool(asked) is counted


def test_a_comparison_runs_the_spoken_corpus_if_no_test_measures(
    mixed: Project,
) -> None:
    other = "--realtime-baseline-target=127.0.0.1:9"
    plain, own = "test_plain.py::test_plain", "test_own.py::test_own"
    assert collected(mixed, other) == [own, plain]
    (mixed.path / "test_own.py").unlink()
    assert collected(mixed, other) == [plain, SPOKEN]
    assert collected(mixed, other, "test_plain.py") == [plain]
    assert collected(mixed, other, "-k", "spoken") == [SPOKEN]
    (mixed.path / "test_plain.py").unlink()
    assert collected(mixed, other) == [SPOKEN]
    assert collected(mixed, other, WER) == [SPOKEN]


def test_the_spoken_corpus_is_judged_by_the_limits(
    project: Project, clips: str
) -> None:
    corpus = f"--realtime-corpus={clips}"
    passed = project.run(corpus, WER, "--realtime-budget=normalized_erasure <= 20%")
    passed.assert_outcomes(passed=1)
    passed.stdout.fnmatch_lines(
        [
            "test_spoken_corpus * 2    0 * PASS",
            "  PASS *: normalized_erasure mean = 0 <= 0.2 *",
            "  PASS *: wer = 0.000 <= 0.120 *",
        ]
    )
    failed = project.run(corpus, WER, FAILS)
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(
        [
            "normalized_erasure min = 0 < 0.5 *",
            "again: pytest *'normalized_erasure max >= 50%' -k test_spoken_corpus",
        ]
    )


@pytest.mark.slow
def test_the_spoken_corpus_is_judged_on_a_fake_server(
    project: Project, clips: str
) -> None:
    """The suite alone skips it there, since the server knows the transcripts."""
    corpus = f"--realtime-corpus={clips}"
    words = ("-k", "spoken", "--realtime-conformance", corpus)
    project.run(*words, target="fake").assert_outcomes(skipped=1, deselected=DESELECTED)
    judged = project.run(*words, WER, target="fake")
    judged.assert_outcomes(passed=1, deselected=DESELECTED)


def test_the_printed_command_runs_the_spoken_corpus_again(
    project: Project, clips: str
) -> None:
    words = (f"--realtime-corpus={clips}", FAILS, "-k", "test_spoken_corpus")
    project.run(*words).assert_outcomes(failed=1)


TESTS = """
def test_bare(realtime, corpus):
    realtime.transcribe(corpus)

@pytest.mark.budget("normalized_erasure", at_most=0.2)
def test_own_limit(realtime, corpus):
    realtime.transcribe(corpus)

def test_session_only(realtime_session):
    realtime_session.close()

def test_single(realtime, utterance):
    realtime.transcribe(utterance)

def test_nothing(realtime):
    pass
"""


def test_a_limit_judges_the_tests_whose_markers_do_not_limit_its_metric(
    project: Project, clips: str
) -> None:
    project.write(TESTS)
    words = (f"--realtime-corpus={clips}", "test_it.py", "-rA")
    result = project.run(*words, FAILS, WER)
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        [
            "realtime: --realtime-budget does not judge tests with the fixture *",
            "test_bare * FAIL",
            "test_own_limit * PASS",
            "FAILED test_it.py::test_bare - *",
        ]
    )
    lines = [line for line in result.outlines if " wer = " in line]
    assert len(lines) == 2  # of the tests that send the corpus


def test_a_limit_of_the_ini_file_judges_own_tests(project: Project, clips: str) -> None:
    project.write(OWN)
    project.ini("realtime_budget =\n  normalized_erasure max >= 50%\n  wer <= 12%")
    result = project.run(f"--realtime-corpus={clips}")
    result.assert_outcomes(failed=1)
    given = project.run(f"--realtime-corpus={clips}", WER, "test_it.py")
    given.assert_outcomes(passed=1)  # the command line has precedence


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "--realtime-budget=limits.toml",
            "*: 'limits.toml' is the name of a file; write --realtime-budgets=limits.*",
        ),
        (
            "--realtime-budget=pytest.ini",
            "*: 'pytest.ini' is the name of a file; write --realtime-budgets=pytest.*",
        ),
        ("--realtime-budget=budgets", "*: 'budgets' is the name of a file; write *"),
        (
            "--realtime-budgets=wer <= 12%",
            "*: 'wer <= 12%' is not the name of a file; to write limits on the command "
            "line, use --realtime-budget",
        ),
        (
            "--realtime-budget=wer <= 12%, final_from_comit p95 <= 1s",
            "* write final_from_commit in place of final_from_comit *(character 13)",
        ),
        ("--realtime-budget=", "*--realtime-budget: the value is empty; *"),
    ],
)
def test_a_wrong_limit_ends_the_run(project: Project, word: str, said: str) -> None:
    (project.path / "budgets").write_text("final = '1s'")
    result = project.run(word)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


@pytest.mark.slow
def test_workers_judge_by_the_limits(
    project: Project, servers: Servers, clips: str
) -> None:
    words = (f"--realtime-corpus={clips}", FAILS, WER, "-n2")
    result = project.run(*words, target=servers().url, apart=True)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_spoken_corpus * FAIL"])
