"""What a run announces, what it says while it runs, and what it has sent at the end."""

from __future__ import annotations

import re

import pytest

from pytest_realtime_asr.report import progress
from pytest_realtime_asr.run import forecast
from tests.support.project import Project

PACE = "--realtime-pace=8"
SPOKEN = """
def test_spoken(realtime, corpus):
    realtime.transcribe([corpus["turn-right"]] * 4)
"""


def announced(result: pytest.RunResult) -> float:
    """Return the time in s of the line about the plan of the suite."""
    (line,) = (each for each in result.outlines if "realtime conformance: " in each)
    found = re.search(r"about ([\d.]+) (s|min)$", line)
    assert found is not None, line
    return float(found[1]) * (60 if found[2] == "min" else 1)


def test_the_plan_counts_the_warm_up_and_the_spoken_corpus(project: Project) -> None:
    asked = ("--realtime-conformance", "--realtime-plan", "--realtime-pace=1")
    whole = announced(project.run(*asked))
    without = announced(project.run(*asked, "--deselect", SPEECH))
    assert 70 < whole - without < 90  # 70 s of audio, and 26 sessions
    warm = announced(project.run(*asked, "--realtime-warmup=10"))
    assert 10 < warm - whole < 30
    fake = announced(project.run(*asked, target="fake"))
    assert fake < whole - 60  # the spoken corpus is not sent to the fake server


def test_the_plan_of_the_spoken_corpus_alone_counts_only_its_audio(
    project: Project,
) -> None:
    asked = ("--realtime-budget=wer <= 12%", "--realtime-pace=1", "--realtime-plan")
    result = project.run(*asked, target="fake")
    result.stdout.fnmatch_lines(
        [
            "realtime: the spoken corpus has 26 utterances: 70.4 s of audio, "
            "about 81 s",
        ]
    )
    result.stdout.no_fnmatch_line("*0 requirements*")


def test_the_plan_counts_both_servers(project: Project) -> None:
    asked = ("--realtime-budget=wer <= 12%", "--realtime-pace=1", "--realtime-plan")
    other = "--realtime-baseline-target=http://127.0.0.1:8"
    result = project.run(*asked, other, target="http://127.0.0.1:9")
    line = (
        "realtime: the spoken corpus has 26 utterances, each for two servers: 2.3 min "
        "of audio, about 2.6 min"
    )
    result.stdout.fnmatch_lines([line])
    suite = ("--realtime-conformance", "--realtime-plan", "--realtime-pace=1")
    alone = announced(project.run(*suite))
    assert 70 < announced(project.run(*suite, other)) - alone < 95


def test_the_plan_within_a_limit_says_what_does_not_run(project: Project) -> None:
    limit = "--realtime-max-audio=2min"
    plan = project.run("--realtime-conformance", "--realtime-plan", limit)
    plan.stdout.fnmatch_lines(
        [
            "realtime conformance: * scenarios (* not run), at most 2.0 min of audio, "
            "*; the spoken corpus (70.4 s of audio) does not fit in "
            "--realtime-max-audio=120s, so it is not sent",
            "  first-utterance * one plain utterance*",
            "  utterances * three utterances*",
            "  cut-clips * NOT RUN: the scenario does not fit in *=120s; *",
        ]
    )
    budget = ("--realtime-budget=wer <= 12%", "--realtime-max-audio=30s")
    project.run(*budget, "--realtime-plan").stdout.fnmatch_lines(
        ["realtime: the spoken corpus has *; more than --realtime-max-audio=30s allows"]
    )


SPEECH = "realtime_conformance/test_speech.py"


@pytest.mark.slow
def test_what_tests_of_the_user_will_send(project: Project) -> None:
    project.write("def test_each(realtime, utterance): pass", name="test_each")
    project.write(SPOKEN, name="test_free")
    project.write("def test_plain(): pass", name="test_plain")
    told = project.run(
        "--realtime-pace=1", "--realtime-plan", "test_each.py", "test_free.py"
    )
    told.stdout.fnmatch_lines(
        [
            "realtime: 26 tests will send 26 utterances: 70.4 s of audio, about 79 s",
            "realtime: 1 test chooses what to send; the whole corpus has 26 "
            "utterances: 70.4 s of audio, about 79 s",
        ]
    )
    plain = ("--collect-only", "-q", "test_plain.py")
    project.write(f"@pytest.mark.realtime(pace=1){SPOKEN}", name="test_slow")
    told = project.run("--realtime-plan", "test_slow.py", "test_free.py")
    told.stdout.fnmatch_lines(["realtime: 2 tests choose *: 70.4 s *, about 79 s"])
    for asked in (("test_plain.py",), ("-q", "test_free.py"), plain):
        project.run(PACE, *asked).stdout.no_fnmatch_line("realtime: * utterances*")


EACH = """
def test_each(realtime, utterance):
    realtime.transcribe(utterance)
"""


@pytest.mark.parametrize(("code", "what"), [(SPOKEN, "utterances"), (EACH, "tests")])
@pytest.mark.parametrize(("quiet", "shown"), [(("-q",), True), (("-q", "-q"), False)])
def test_a_log_gets_lines_about_the_progress(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    quiet: tuple[str, ...],
    shown: bool,
    code: str,
    what: str,
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.05)
    monkeypatch.setattr(forecast, "TICK", 0.02)
    project.write(code)
    assert project.run(PACE, *quiet, "-k", "spoken or turn or door").ret == 0
    lines = re.findall(
        rf"^realtime: \d of \d {what}, about \d s left$",
        capfd.readouterr().out,
        re.MULTILINE,
    )
    assert bool(lines) is shown


@pytest.mark.slow
def test_the_end_says_what_was_sent(project: Project) -> None:
    project.write(SPOKEN)
    project.run(PACE).stdout.fnmatch_lines(["realtime: sent 6.7 s of audio"])
    limited = project.run(PACE, "--realtime-max-audio=7s")
    limited.assert_outcomes(passed=1)
    limited.stdout.fnmatch_lines(["realtime: sent 6.7 s of audio, of at most 7.0 s"])
    project.run("--collect-only").stdout.no_fnmatch_line("realtime: sent *")


def test_what_exceeds_the_limit_is_not_sent(project: Project) -> None:
    project.write(SPOKEN)
    project.write(SPOKEN, name="test_more")
    result = project.run(PACE, "--realtime-max-audio=8s")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "not sent: with the 6.7 s of audio of 4 utterances, the run would exceed "
            "--realtime-max-audio=8s, of which 6.7 s are used; raise this limit to at "
            "least 14s, or send less",
            "FAILED test_more.py::test_spoken - not sent: with *",
        ]
    )
    result.stdout.fnmatch_lines(["realtime: sent 6.7 s of audio, of at most 8.0 s"])
    shown = result.stdout.str()
    assert "realtime.transcribe(" not in shown  # only the sentence
    assert "Corpus(" not in shown


@pytest.mark.slow
def test_the_suite_and_own_tests_have_one_limit(project: Project) -> None:
    project.write(SPOKEN)
    asked = ("test_it.py", "--realtime-conformance", "-k", "first-utt or spoken")
    limit = "--realtime-max-audio=7.5s"
    result = project.run(PACE, *asked, "--deselect", SPEECH, limit)
    assert result.parseoutcomes()["passed"] == result.parseoutcomes()["skipped"] == 1
    result.stdout.fnmatch_lines(
        ["*1 x the scenario does not fit in --realtime-max-audio=7.5s;*"]
    )


@pytest.mark.slow
def test_the_workers_have_one_limit(project: Project) -> None:
    for name in ("test_one", "test_two", "test_three"):
        project.write(SPOKEN, name=name)
    asked = (PACE, "-n2", "--realtime-max-audio=14s", "--dist=loadfile")
    result = project.run(*asked, apart=True)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["realtime: sent 13.4 s of audio, of at most 14.0 s"])
