"""Comparisons of a run: with an earlier run, and with another server.

The slower server is 230 ms slower, and the limit of a regression is 100 ms.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_realtime_asr import audio
from tests.support.project import SOON, Project, Servers

pytestmark = pytest.mark.slow

SPEAKS = """
def test_it(realtime, corpus):
    realtime.transcribe(corpus, concurrency=8)
"""
GATE = "--realtime-compare-fail=final_from_commit:100ms"
NONE = "--realtime-compare-fail=none"
BEFORE = "--realtime-report=before.jsonl"
COMPARE = "--realtime-compare=before.jsonl"


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a manifest of eight very short sounds, enough to detect a change."""
    path = tmp_path_factory.mktemp("many") / "many.jsonl"
    audio.write(path.with_name("bit.wav"), audio.silence(0.1))
    rows = [
        {"id": f"bit-{n}", "audio_filepath": "bit.wav", "text": ""} for n in range(8)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)]
)
def test_a_slower_server_fails_only_the_affected_tests(
    project: Project, servers: Servers, many: str, workers: tuple[str, ...]
) -> None:
    project.write(SPEAKS)
    corpus = f"--realtime-corpus={many}"
    project.run(corpus, BEFORE, "--realtime-label=gpu=L4").assert_outcomes(passed=1)
    project.write(SPEAKS + SPEAKS.replace("test_it", "test_new"))
    given = (corpus, COMPARE, GATE, "--realtime-label=gpu=H100")
    equal = project.run(*given)
    equal.assert_outcomes(passed=2)
    equal.stdout.fnmatch_lines(
        [
            "  compared with before.jsonl: model scripted; gpu L4 -> H100; 8 pairs",
            "  final_from_commit *: * <= 100 ms (95% CI *",
            "  compared with before.jsonl: *the other run does not have this test",
        ]
    )
    slower = project.run(
        *(*given, *workers, "--junitxml=out.xml"),
        target=servers().url,
        apart=bool(workers),
    )
    slower.assert_outcomes(passed=1, failed=1)
    slower.stdout.fnmatch_lines(
        [
            "_* test_it _*",
            "compared with before.jsonl: final_from_commit worse: +2?? ms > 100 ms "
            "(95% CI *; p=0.0* of 1 comparison; n=8 pairs; *); worst bit-?: *",
            "again: pytest *--realtime-compare=before.jsonl*",
            "test_it * FAIL",
        ]
    )
    assert project.properties()["test_it"]["realtime.verdict"] == "FAIL"


def test_default_limits_apply_unless_compare_fail_is_none(
    project: Project, servers: Servers, many: str
) -> None:
    project.write(SPEAKS)
    corpus = f"--realtime-corpus={many}"
    project.run(corpus, BEFORE)
    judged = project.run(corpus, COMPARE, target=servers().url)
    judged.assert_outcomes(failed=1)
    judged.stdout.fnmatch_lines(
        [
            "compared with before.jsonl: final_from_commit worse: +* > 10.0% *",
            "test_it * FAIL",
        ]
    )
    shown = project.run(corpus, COMPARE, NONE, target=servers().url)
    shown.assert_outcomes(passed=1)
    shown.stdout.fnmatch_lines(
        ["test_it * not judged", "  final_from_commit worse, not judged: +*% (95% CI *"]
    )
    shown.stdout.no_fnmatch_line("*% > *")
    same = project.run(corpus, COMPARE, "--realtime-compare-fail=final_from_commit:3s")
    same.assert_outcomes(passed=1)
    same.stdout.fnmatch_lines(["test_it * PASS", "  final_from_commit same: * <= 3*"])


def test_several_reports_are_one_comparison(
    project: Project, servers: Servers, many: str
) -> None:
    """The pattern leaves out the report of this run, and a folder is no obstacle."""
    project.write(SPEAKS)
    corpus = f"--realtime-corpus={many}"
    for number in range(3):
        report = f"--realtime-report=nights/{number}.jsonl"
        project.run(corpus, report).assert_outcomes(passed=1)
    words = (corpus, "--realtime-compare=nights/*.jsonl", GATE)
    tonight = "--realtime-report=nights/3.jsonl"
    for _ in range(2):
        result = project.run(*words, tonight, target=servers().url)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            "compared with the median of 3 earlier runs: final_from_commit worse: "
            "+2?? ms > 100 ms (95% CI *; p=0.0* of 1 comparison; n=8 pairs; *; median "
            "of 3 runs: ?.jsonl); worst bit-?: *"
        )
    twice = project.run(*words, "--realtime-compare=nights/0.jsonl", tonight)
    twice.assert_outcomes(passed=1)
    twice.stdout.fnmatch_lines("*compared with the median of 3 earlier runs: *")


def test_reports_of_other_tests_are_refused(project: Project, many: str) -> None:
    project.write(SPEAKS)
    corpus = f"--realtime-corpus={many}"
    project.run(corpus, BEFORE)
    project.write(SPEAKS.replace("test_it", "test_renamed"))
    result = project.run(corpus, COMPARE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "*before.jsonl: there is no result of the tests of this run, so nothing *"
    result.stderr.fnmatch_lines(
        [f"{told} be compared; there are results of test_it.py::test_it"]
    )


def test_runs_under_different_conditions_are_not_compared(
    project: Project, many: str
) -> None:
    project.write(SPEAKS)
    corpus = f"--realtime-corpus={many}"
    project.run(corpus, BEFORE)
    project.ini("realtime_chunk = 50ms")
    said = "no utterance could be paired: chunk 0.1 -> 0.05"
    shown = project.run(corpus, COMPARE, NONE)
    shown.assert_outcomes(passed=1)
    assert said in " ".join(" ".join(shown.outlines).split())
    gated = project.run(corpus, COMPARE, GATE)
    gated.assert_outcomes(failed=1)
    gated.stdout.fnmatch_lines(f"INVALID: compared with before.jsonl: {said}")


EACH = """
def test_it(realtime, utterance):
    realtime.transcribe(utterance)
"""


def test_tests_with_the_fixture_utterance_are_compared_together(
    project: Project, servers: Servers, many: str
) -> None:
    project.write(EACH)
    corpus = f"--realtime-corpus={many}"
    project.run(corpus, BEFORE).assert_outcomes(passed=8)
    result = project.run(corpus, COMPARE, GATE, target=servers().url)
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(
        [
            "_* test_it[[]bit-7[]] _*",
            "compared with before.jsonl over test_it[[]*[]]: final_from_commit worse: "
            "+2?? ms > 100 ms "
            "(95% CI *; p=0.0* of 1 comparison; n=8 pairs; *); worst bit-?: *",
            "again: pytest *--realtime-compare=before.jsonl* test_it.py::test_it",
        ]
    )
    # The last test fails by itself, and the others are compared all the same.
    project.write(EACH + "    assert utterance.id != 'bit-7'\n")
    project.run(corpus, COMPARE, GATE, target=servers().url).assert_outcomes(
        passed=7, failed=1, errors=1
    )
    split = project.run(corpus, COMPARE, GATE, "-n2", apart=True)
    split.stdout.fnmatch_lines(
        "*a comparison of a test that uses the fixture utterance needs all tests of a "
        "module in one worker of xdist; run with --dist loadfile"
    )
    assert split.ret == pytest.ExitCode.TESTS_FAILED


def test_too_few_clips_are_reported(project: Project, bits: str) -> None:
    project.write(SPEAKS)
    corpus = f"--realtime-corpus={bits}"
    project.run(corpus, BEFORE)
    result = project.run(corpus, COMPARE, GATE, "-Walways")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        "*UndecidedWarning: compared with before.jsonl: final_from_commit cannot "
        "show a change: it has 2 clips, but 1 comparison needs at least 6"
    )


def test_target_and_baseline_server_get_each_utterance_in_turn(
    project: Project, servers: Servers, many: str
) -> None:
    project.write(
        f"""
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="200ms")
{SPEAKS.strip()}
"""
    )
    slow = servers().url
    given = (f"--realtime-corpus={many}", GATE, "--realtime-report=out.jsonl")
    equal = project.run(*given, f"--realtime-baseline-target={servers(*SOON).url}")
    equal.assert_outcomes(passed=1)
    equal.stdout.fnmatch_lines(
        [
            "test_it * 8    0 * PASS",
            "  compared with ws://*: model scripted; 8 pairs",
            "  the target ws://* the baseline",
            "    ws://*",
            "* target  baseline     change  better",
            "  final_from_commit * ms * ms *",
            "  final_from_commit *: * <= 100 ms *",
        ]
    )
    # The slow one is no regression, and over no budget, where it is the baseline.
    better = project.run(*given, f"--realtime-baseline-target={slow}")
    better.assert_outcomes(passed=1)
    better.stdout.fnmatch_lines(
        [
            "  the target ws://* is better than the baseline",
            "    ws://*: final_from_commit * ms against 2?? ms",
            "* target  baseline     change  better",
            "  final_from_commit * ms * -2?? ms  target",
            "  final_from_commit better: *",
        ]
    )
    rows = [row for row in project.rows() if row["purpose"] != "disturbed"]
    assert [row["purpose"] for row in rows].count("baseline") == 8
    assert len(rows) == 16
    ports = {row["purpose"]: row["target"] for row in rows}
    assert ports["baseline"].split("/")[2] == slow.split("/")[2]
    assert ports["test"].split("/")[2] == project.url.split("/")[2]
    # Which of the two speaks first changes from turn to turn.
    first: dict[str, str] = {}
    spoken = [row for row in project.rows() if not row["again"]]
    for row in sorted(spoken, key=lambda row: row["started"]):
        first.setdefault(row["utterance"], row["target"])
    assert sorted(first.values()) == sorted([*ports.values()] * 4)
    # Read later, the rows of the baseline are not those of the run.
    (project.path / "before.jsonl").write_text((project.path / "out.jsonl").read_text())
    project.write(SPEAKS.replace("def", "@pytest.mark.realtime(pace=1)\ndef"))
    later = project.run(f"--realtime-corpus={many}", COMPARE, GATE)
    later.assert_outcomes(passed=1)
    later.stdout.fnmatch_lines("*; 8 pairs")
    worse = project.run(
        f"--realtime-corpus={many}",
        GATE,
        f"--realtime-baseline-target={project.url}",
        target=slow,
    )
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines("compared with ws://*: final_from_commit worse: +2?? *")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--realtime-compare=none.jsonl"],
            "--realtime-compare: *none.jsonl: there is no *",
        ),
        (
            ["--realtime-compare=nights/*.jsonl"],
            "*no file matches 'nights/[*].jsonl'; to make the first report, use *",
        ),
        (
            ["--realtime-compare", "a.jsonl", "a.jsonl"],
            "--realtime-compare: a.jsonl is a report, *; quote the pattern, as in *",
        ),
        (["--realtime-compare=pytest.ini"], "*pytest.ini:1: is not a line of a *"),
        (
            ["--realtime-compare=a.jsonl", "--realtime-report=a.jsonl"],
            "--realtime-compare: --realtime-report would overwrite this file; "
            "write the report to another path",
        ),
        ([GATE], "*this option needs --realtime-compare or --realtime-baseline-target"),
        (
            ["--realtime-compare=a.jsonl", "--realtime-compare-fail=wer:5%"],
            "*'wer:5%' has a wrong unit: write the limit of wer as 1pp, in *",
        ),
        (
            ["--realtime-label=H100"],
            "*'H100' is not a label; write one such as gpu=H100*",
        ),
    ],
)
def test_wrong_options_of_a_comparison_are_refused(
    project: Project, given: list[str], said: str
) -> None:
    project.write(SPEAKS)
    (project.path / "a.jsonl").write_text("{}")
    result = project.run(*given, target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert Path(project.path / "a.jsonl").read_text() == "{}"
