"""The option --realtime-perturb as a user sees it."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.corpus import load
from pytest_realtime_asr.perturb import chain, dither, gain, lead_silence
from pytest_realtime_asr.plugin.options import BY_NAME
from tests.support.project import Project

ONE = """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
REPORT = "--realtime-report=out.jsonl"
SOFTER = "gain/1:-6dB"  # the fake server recognises clips that are not so loud
CLIP = load("bundled:english")["turn-right"]


def test_a_perturbation_is_named_in_every_report(project: Project) -> None:
    project.write(ONE)
    perturb = "--realtime-perturb=gain:-6dB,dither"
    result = project.run(perturb, REPORT, "--junitxml=out.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["realtime: *, corpus bundled:english perturbed by gain:-6dB,dither"]
    )
    (row,) = project.rows()
    name = f"{SOFTER}+dither/1:seed=1"
    assert row["utterance"] == f"{name}+turn-right"
    assert row["conditions"]["perturbation"] == name
    assert row["audio"] == dither()(gain("-6dB")(CLIP)).audio.digest
    assert row["text"] == "turn right and stop"
    assert project.properties()["test_it"]["realtime.perturbation"] == name


def test_a_perturbation_is_named_in_test_ids(project: Project) -> None:
    project.write(
        """
def test_each(realtime, utterance):
    assert realtime.transcribe(utterance).text == utterance.text
"""
    )
    result = project.run("-v", "--realtime-perturb=gain:-6dB", "-k", "turn-right")
    result.assert_outcomes(passed=1, deselected=25)
    result.stdout.fnmatch_lines("*::test_each[[]gain/1:-6dB+turn-right[]] PASSED*")


def test_the_help_shows_how_a_perturbation_is_written(project: Project) -> None:
    shown = project.run("--help", target=None)
    shown.stdout.fnmatch_lines(["  --realtime-perturb=*", "*packet-loss:5%:seed=2; *"])
    said = BY_NAME["perturb"].help
    assert [name for name in chain.NAMES if name not in said] == []


def test_each_line_of_the_ini_file_is_a_part_of_the_chain(project: Project) -> None:
    project.write(ONE)
    project.ini("realtime_perturb =\n    lead-silence:200ms\n    gain:-6dB")
    project.run(REPORT).assert_outcomes(passed=1)
    (row,) = project.rows()
    assert row["audio"] == gain("-6dB")(lead_silence("200ms")(CLIP)).audio.digest
    # The latency counts from where the speech is now.
    assert row["speech_by"] == "words"


@pytest.mark.parametrize("where", ["line", "environment"])
def test_an_unknown_perturbation_ends_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    project.write(ONE)
    words = ["--realtime-perturb=nois:10dB"] if where == "line" else []
    if where == "environment":
        monkeypatch.setenv("REALTIME_PERTURB", "nois:10dB")
    result = project.run(*words)
    assert result.ret != pytest.ExitCode.OK
    said = "*'nois' is not a perturbation; choose from babble, clipping, dither, *"
    result.stderr.fnmatch_lines([said])


def test_an_utterance_that_cannot_be_perturbed_is_named(project: Project) -> None:
    project.write("def test_it(realtime, corpus): realtime.transcribe(corpus)")
    words = ("--realtime-perturb=noise:10dB", "--realtime-corpus=bundled:odd")
    result = project.run(*words)
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*--realtime-perturb: silence: the utterance has no speech by which *"]
    )


def test_runs_with_and_without_a_perturbation_are_not_compared(
    project: Project,
) -> None:
    project.write(ONE)
    project.run("--realtime-report=before.jsonl").assert_outcomes(passed=1)
    compare = ("--realtime-compare=before.jsonl", "--realtime-compare-fail=wer:1pp")
    result = project.run(*compare, "--realtime-perturb=dither")
    result.assert_outcomes(failed=1)
    said = "*no utterance could be paired: perturbation none -> dither/1:seed=1"
    result.stdout.fnmatch_lines([said])


@pytest.mark.slow
def test_the_scenarios_of_the_suite_send_the_clips_as_they_are(
    project: Project,
) -> None:
    """The shared server would not recognise them with so much noise."""
    words = ("--realtime-conformance", "--realtime-perturb=noise:-10dB")
    result = project.run(*words, "-k", "same-text-fast")
    assert result.parseoutcomes().get("failed", 0) == 0
    assert result.parseoutcomes()["passed"]


@pytest.mark.slow
def test_the_fake_server_knows_the_perturbed_clips(project: Project) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    for take in realtime.transcribe(corpus.sample(3, seed=1)):
        assert take.text == take.utterance.text
"""
    )
    words = ("--realtime-perturb=telephone,babble:0dB", "--realtime-pace=32")
    project.run(*words, target="fake").assert_outcomes(passed=1)
    private = project.run(*words, "--realtime-private", target="fake")
    private.assert_outcomes(passed=1)


@pytest.mark.slow
def test_the_spoken_corpus_in_noise_is_measured_and_not_judged(
    project: Project,
) -> None:
    words = ("--realtime-conformance", "-k", "spoken_corpus", REPORT)
    noise = "--realtime-perturb=noise:0dB"
    result = project.run(*words, noise, "--realtime-pace=8", target="reference")
    assert result.parseoutcomes()["passed"] == 1
    rows = project.rows()
    wrong = sum(r["errors"]["substitutions"] + r["errors"]["deletions"] for r in rows)
    assert wrong > 0.12 * sum(len(row["reference"].split()) for row in rows)
