"""Verdicts as a user sees them: proof, order, named limits, parity, accuracy."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pytest_realtime_asr.metrics import accuracy, normalizers
from tests.support.project import Faking, Project, Servers

LIMIT = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", {limit})
def test_it(realtime, corpus):
    realtime.transcribe([corpus["bit"]] * {n}, concurrency=4)
"""

SHOWN = "-Walways"  # a run in this process makes no errors of warnings

# With a confidence, and without


def test_without_a_confidence_the_output_says_whether_n_proves_the_limit(
    project: Project, bits: str
) -> None:
    project.write(LIMIT.format(limit='p95="5s"', n=4))
    result = project.run(f"--realtime-corpus={bits}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  PASS (not proven: n=4, needs 59): final_from_*"])


@pytest.mark.slow
def test_a_premature_final_passes_no_budget(
    project: Project, clips: str, faulty: Faking
) -> None:
    code = LIMIT.replace('[corpus["bit"]] * {n}', 'corpus["turn-right"]')
    project.write(code.format(limit='max="60s"'))
    given = (f"--realtime-corpus={clips}", "--realtime-rules=off")
    reports = ("--realtime-report=out.jsonl", "--junitxml=out.xml")
    result = project.run(*given, *reports, target=faulty("final-first"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*final_from_commit max > 60000 ms: 1 of 1 came too early (n=1, 1 over, "
            "1 with final before its commit; *",
            "* -*ms, final before its commit  turn-right  *",
        ]
    )
    (row,) = project.rows()
    assert row["metrics"]["final_from_commit"] < 0
    assert row["premature"]["final_from_commit"] == "final-before-commit"
    found = project.properties()["test_it"]
    assert found["realtime.final_from_commit_ms.max"] == "inf"


UNDECIDED = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p95="5s", max="6s")
def test_few(realtime, corpus):
    realtime.transcribe([corpus["bit"]] * 4, concurrency=4)

@pytest.mark.realtime(pace=8)
@pytest.mark.latency_budget("final_from_commit", max="5s")
def test_unreal(realtime, corpus):
    realtime.transcribe(corpus["bit"])

@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p50="50ms")
def test_slow(realtime, corpus):
    realtime.transcribe([corpus["bit"]] * 6, concurrency=4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["fail", "warn"])
def test_undecided_verdicts_fail_or_warn(
    project: Project, servers: Servers, bits: str, policy: str
) -> None:
    project.write(UNDECIDED)
    project.ini("realtime_confidence = 0.9")
    given = (f"--realtime-corpus={bits}", f"--realtime-undecided={policy}", SHOWN)
    result = project.run(*given, target=servers().url)
    few = (
        "INCONCLUSIVE*(90% CI by clip from *, no upper bound with 1 clip; n=4 of 1 "
        "clip, *; 41 more sessions *"
    )
    unreal = "INVALID*; not attributed to the server: a latency at pace 8 is *"
    if policy == "fail":
        result.assert_outcomes(failed=3)
        result.stdout.fnmatch_lines(["_* test_few _*", few, "_* test_unreal _*"])
        result.stdout.fnmatch_lines(["_* test_unreal _*", unreal])
    else:
        result.assert_outcomes(failed=1, passed=2, warnings=3)
        named = "*UndecidedWarning: "
        result.stdout.fnmatch_lines(
            [
                f"{named}final_from_commit p95 can never be proven at 90 % with 4 "
                "sessions: it needs 45, all within the limit; give more utterances, or "
                "until='decided'",
                f"{named}INCONCLUSIVE (not proven: n=4, needs 45): final_from_com*",
                f"{named}INVALID (not proven: n=1): final_from_commit max*",
            ]
        )
    result.stdout.fnmatch_lines(
        [
            "test_few * INCONCLUSIVE",
            "test_unreal * INVALID",
            "test_slow * FAIL",
            "*PASS (not proven: n=4): final_from_commit max*",  # no sample proves it
            "*FAIL (proven for this corpus: n=6): final_from_commit p50*",
        ]
    )


BOTH = """
INVALID = pytest.mark.latency_budget("final_from_commit", max="5s")
pytestmark = pytest.mark.latency_budget("final_from_commit", p50="5s", over="module")

@INVALID
def test_undecided(realtime, corpus):
    realtime.transcribe(corpus["bit"])

@INVALID
@pytest.mark.budget("normalized_erasure", at_least=1)
def test_fails_too(realtime, corpus):
    realtime.transcribe(corpus["bit"])

def test_last(realtime):
    pytest.skip("x")
"""


def test_an_undecided_warning_turned_into_an_error_shows_its_verdict(
    project: Project, bits: str
) -> None:
    project.write(BOTH)
    undecided = "INVALID (not proven: n=1): final_from_commit max = *"
    given = (f"--realtime-corpus={bits}", "--realtime-undecided=warn")
    result = project.run(*given, "-Werror::pytest_realtime_asr.UndecidedWarning")
    result.assert_outcomes(failed=2, errors=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*_ ERROR at teardown of test_last _*",
            "INVALID (not proven: n=2): final_from_commit p50 = *",
            "again: pytest * test_it.py",
            "*_ test_undecided _*",
            undecided,
            "again: pytest * test_it.py",
            "*_ test_fails_too _*",
            "normalized_erasure mean >= 1: cannot be measured in 1 of 1 sessions: *",
            "again: pytest * test_it.py",
            undecided,
        ]
    )
    result.stdout.no_fnmatch_line("*plugin.py*")


@pytest.mark.slow
def test_too_few_utterances_for_a_proof_are_reported_before_a_session(
    project: Project, bits: str
) -> None:
    """With -Werror no session opens. Single calls get no warning: n is not known."""
    project.write(
        """
import pytest

BUDGET = pytest.mark.latency_budget("final_from_commit", p50="5s", confidence=0.9)

pytestmark = pytest.mark.realtime(pace=1)

@BUDGET
def test_at_once(realtime, corpus):
    realtime.transcribe(corpus)

@pytest.mark.wer_threshold(0.1, confidence=0.9)
def test_error_rate(realtime, corpus):
    realtime.transcribe(corpus)

@BUDGET
def test_one_by_one(realtime, corpus):
    for _ in range(4):
        realtime.transcribe(corpus["bit"])
    realtime.transcribe(corpus)
"""
    )
    given = (f"--realtime-corpus={bits}", "--realtime-report=out.jsonl")
    result = project.run(*given, "-Werror")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "E *UndecidedWarning: final_from_commit p50 can never be proven at 90 % "
            "with 2 sessions: it needs 4, all within the limit; give more *",
            "E *UndecidedWarning: *cannot prove wer_threshold: at least 20 *",
        ]
    )
    tests = [row["test"].partition("::")[2] for row in project.rows()]
    assert tests == ["test_one_by_one"] * 6


# Sequential tests


IN_ORDER = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p50="{limit}", max="9s")
def test_it(realtime, corpus):
    takes = realtime.transcribe(corpus, until="decided", concurrency=2)
    assert 1 < len(takes) < 40
"""


@pytest.mark.slow
def test_sessions_continue_until_the_budget_is_decided(
    project: Project, servers: Servers, bits: str
) -> None:
    given = (f"--realtime-corpus={bits}", "--realtime-report=out.jsonl")
    orders = []
    for limit, verdict, end in (
        ("5s", "PASS", " of 2 clips.*?, 0 over"),
        ("50ms", "FAIL", ".*?, 2 over"),
    ):
        project.write(IN_ORDER.format(limit=limit))
        result = project.run(*given, target=servers().url)
        passed = verdict == "PASS"
        result.assert_outcomes(passed=passed, failed=not passed)
        text = " ".join(" ".join(result.outlines).split())
        said = (
            rf"{verdict} \(proven.*?: n=(\d+)\): final_from_commit p50 = .*? \(n=\1 in "
        )
        assert re.search(f"{said}order{end}", text)
        (seed,) = re.findall(
            r"in random order \(seed (\d+)\), until the verdict was decided or 400",
            text,
        )
        spoken = [row for row in project.rows() if not row["again"]]
        spoken.sort(key=lambda row: row["started"])
        orders.append((seed, [row["utterance"] for row in spoken][:2]))
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    ("markers", "call", "said"),
    [
        (
            '@pytest.mark.latency_budget("final_from_commit", p95="5s")',
            'corpus, until="decided", max_sessions=20',
            "ValueError: final_from_commit p95 can never be proven at 95 % with 20 "
            "sessions: it needs 7*, all within the limit; give a larger max_*",
        ),
        (
            '@pytest.mark.latency_budget("final_from_commit", max="5s")',
            'corpus, until="decided"',
            "ValueError: until='decided' has nothing to decide: give a budget with a*",
        ),
        ("", 'corpus, until="bored"', "ValueError: until='bored' is not known; *"),
        (
            '@pytest.mark.latency_budget("final_from_commit", p95="5s")',
            'corpus["bit"], until="decided"',
            "ValueError: until='decided' needs more than one utterance; give a list or "
            "a corpus",
        ),
    ],
)
def test_a_call_that_cannot_decide_is_refused_before_a_session(
    project: Project, bits: str, markers: str, call: str, said: str
) -> None:
    project.write(
        f"{markers}\ndef test_it(realtime, corpus):\n    realtime.transcribe({call})"
    )
    arguments = (f"--realtime-corpus={bits}", "--realtime-report=out.jsonl")
    result = project.run(*arguments)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E * {said}"])
    result.stdout.no_fnmatch_line("*realtime.py*")
    assert project.rows() == []


@pytest.mark.slow
def test_the_awaited_transcribe_stops_when_decided(project: Project, bits: str) -> None:
    project.write(
        """
@pytest.mark.asyncio
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p50="5s")
async def test_it(realtime, corpus):
    takes = await realtime.aio.transcribe(corpus, until="decided", concurrency=4)
    assert len(takes) > 4
    assert (await realtime.aio.parity(corpus, over="repeat")).judged == 0
"""
    )
    given = (f"--realtime-corpus={bits}", "--realtime-undecided=warn", SHOWN)
    result = project.run(*given)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines("*parity over repeat: 0 of 0 *not judged: bit, bob*")


# Limits by machine


TABLE = """
erasure = 0.2

[l4]
final = "5s"

[h100]
final = "50ms"
"""
NAMED = """
@pytest.mark.realtime(pace=1)
@pytest.mark.budget("normalized_erasure", at_most="$erasure")
@pytest.mark.latency_budget("final_from_commit", p50="$final")
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""


@pytest.mark.slow
def test_limits_differ_by_machine(
    project: Project, servers: Servers, clips: str
) -> None:
    project.write(NAMED)
    (project.path / "limits.toml").write_text(TABLE)
    project.ini("realtime_budgets = limits.toml")
    for profile, passed in (("l4", 1), ("h100", 0)):
        given = (f"--realtime-corpus={clips}", f"--realtime-budget-profile={profile}")
        result = project.run(*given, target=servers().url)
        result.assert_outcomes(passed=passed, failed=1 - passed)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "test_it.py::test_it: no limit is called '$final'; define it in *"),
        (
            ["--realtime-budgets=limits.toml"],
            "test_it.py::test_it: no limit is called '$final'; choose from $erasure",
        ),
        (
            ["--realtime-budgets=limits.toml", "--realtime-budget-profile=a100"],
            "*limits.toml: no profile 'a100'; choose from l4, h100",
        ),
        (
            ["--realtime-budgets=none.toml"],
            "*none.toml: there is no such file or folder; *",
        ),
        (["--realtime-budgets=bad.toml"], "*bad.toml: Invalid value (at line 1, *"),
        (["--realtime-budget-profile=l4"], "*this option needs --realtime-budgets"),
    ],
)
def test_unknown_named_limits(project: Project, given: list[str], said: str) -> None:
    project.write(NAMED)
    (project.path / "limits.toml").write_text(TABLE)
    (project.path / "bad.toml").write_text("final = fast")
    result = project.run(*given, target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


# Metrics that are no times


def test_metrics_that_are_not_durations_have_their_own_units(
    project: Project, clips: str
) -> None:
    project.write(
        """
@pytest.mark.budget("normalized_erasure", at_most=0.2)
def test_kept(realtime, utterance):
    realtime.transcribe(utterance)

@pytest.mark.budget("word_coverage", at_least=1.5)
def test_missed(realtime, corpus):
    realtime.transcribe(corpus)
"""
    )
    result = project.run(f"--realtime-corpus={clips}", "--junitxml=out.xml")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "word_coverage mean = 1 < 1.5 (95% CI *; n=2, 2 under; not proven)",
            "             1  *",
            "*PASS (not proven: n=1): normalized_erasure mean = 0 <= 0.2 (n=1, 0 over)",
        ]
    )
    found = project.properties()["test_missed"]
    assert found["realtime.word_coverage_ratio.min"] == "1.0"
    assert found["realtime.normalized_erasure_ratio.max"] == "0.0"


def test_a_lost_session_has_the_worst_value(project: Project, faulty: Faking) -> None:
    project.write(
        """
@pytest.mark.budget("word_coverage", at_least=0.1, stat="max")
def test_it(realtime, corpus):
    realtime.transcribe([corpus["turn-right"]])
"""
    )
    result = project.run(target=faulty("close"))
    result.assert_outcomes(failed=1)
    said = "word_coverage min < 0.1: 1 of 1 lost (n=1, 1 under, 1 closed; proven)"
    result.stdout.fnmatch_lines([said, "        closed  turn-right  *"])


QUIET = """
@pytest.mark.budget("unspoken_rate", at_most=0)
@pytest.mark.wer_threshold(0.5)
def test_it(realtime, corpus):
    realtime.transcribe(corpus)
"""


@pytest.mark.parametrize("fault", ["", "babbles-in-silence"])
def test_words_recognised_in_silence(
    project: Project, bits: str, clips: str, faulty: Faking, fault: str
) -> None:
    project.write(QUIET)
    given = [f"--realtime-corpus={each}" for each in (bits, clips)]
    result = project.run(*given, target=faulty(*filter(None, [fault])))
    result.assert_outcomes(passed=not fault, failed=bool(fault))
    sign = ">" if fault else "<="
    result.stdout.fnmatch_lines(f"*unspoken_rate mean = * per minute {sign} 0 per min*")
    result.stdout.fnmatch_lines("*recognised in silence: * words per minute")


# Parity


PARITY = """
def test_it(realtime, corpus):
    found = [realtime.parity(iter(corpus), over=over) for over in {over}]
    assert [each.texts for each in found] == [6] * len(found)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "over"),
    [("", "crowd"), ("crowd-loses", "crowd"), ("", "chunk"), ("", "pace")],
)
def test_parity(
    project: Project, clips: str, faulty: Faking, fault: str, over: str
) -> None:
    project.write(PARITY.format(over=[over]))
    arguments = (f"--realtime-corpus={clips}", "--realtime-report=out.jsonl")
    result = project.run(*arguments, target=faulty(*filter(None, [fault])))
    result.assert_outcomes(passed=not fault, failed=bool(fault))
    assert {row["purpose"] for row in project.rows()} == {"parity"}
    if fault:
        result.stdout.fnmatch_lines(
            [
                "parity over crowd: 2 of 2 utterances differ (the server's own *",
                "turn-right: * of 4 words differ; in * of 3 sessions",
                "ref: turn *right *and stop",
                "hyp: *",
            ]
        )


@pytest.mark.slow
def test_parity_counts_a_lost_session(
    project: Project, clips: str, faulty: Faking
) -> None:
    project.write(
        "def test_it(realtime, corpus):\n"
        "    found = realtime.parity(corpus, over='crowd')\n"
        "    print('counts:', found.texts, found.lost, found.verdict.value)\n"
    )
    arguments = (f"--realtime-corpus={clips}", "--realtime-timeout=2", "-s")
    result = project.run(*arguments, target=faulty("third-is-silent"))
    result.stdout.fnmatch_lines(
        [
            "*counts: 5 1 PASS",  # one of three lost sessions of a clip is no failure
            "rule one-final *waited 2.0 s for the final of utterance *",
        ]
    )


def test_wrong_arguments_of_parity(project: Project) -> None:
    """Each error is raised before a session opens."""
    project.write(
        PARITY.format(over=["noise"])
        + """
def test_of_nothing(realtime):
    realtime.parity([], over="crowd")
"""
    )
    result = project.run("--realtime-report=out.jsonl")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E *over='noise' is not known; choose from chunk, *",
            "E *ValueError: parity has no utterances to compare; give one or more",
        ]
    )
    assert project.rows() == []


# Accuracy


@pytest.fixture
def shouting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the normaliser ``shout`` for processes that are started from now on."""
    (tmp_path / "shouting.py").write_text(
        "def shout(text):\n    return text.upper()\n\nshout.version = '7'\n"
    )
    info = tmp_path / "shouting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n"
    )
    entry = f"[{normalizers.GROUP}]\nshout = shouting:shout\n"
    (info / "entry_points.txt").write_text(entry)
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [str(tmp_path), before]))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.mark.slow
@pytest.mark.usefixtures("shouting")
def test_a_third_party_normaliser(project: Project) -> None:
    project.write(
        """
@pytest.mark.wer_threshold(0.1, normalizer="shout")
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    result = project.run(apart=True)
    result.assert_outcomes(passed=1)
    text = " ".join(" ".join(result.outlines).split())
    assert f"; shout/7; {accuracy.SYNTHETIC})" in text


def test_an_unknown_normaliser(project: Project, servers: Servers) -> None:
    project.write(
        """
@pytest.mark.wer_threshold(0.1, normalizer="whisper")
def test_it(realtime): pass
"""
    )
    result = project.run(target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("*no normalizer 'whisper'; choose from none, basic, *")
