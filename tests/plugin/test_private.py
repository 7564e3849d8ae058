"""With --realtime-private, no output has a text, audio or the name of a file."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pytest_realtime_asr import audio, corpus
from pytest_realtime_asr.trace.records import read
from tests.support.project import Faking, Project

NAMES = {"turn-right": "smith-anna-1970", "open-door": "doe-john-1981"}
TESTS = """
import logging
import warnings

@pytest.mark.latency_budget("final_from_commit", max="0.1ms")
@pytest.mark.budget("normalized_erasure", at_most=-1)
@pytest.mark.wer_threshold(0.0)
def test_limits(realtime, corpus):
    realtime.transcribe(corpus)

def test_asserts(realtime, utterance):
    take = realtime.transcribe(utterance)
    print(take.text)
    logging.getLogger("mine").error(take.text)
    assert take.text == "nothing", utterance

def test_prints(realtime, corpus):
    for clip in corpus:
        print(realtime.transcribe(clip).text)

def test_skips(realtime, corpus):
    pytest.skip(realtime.transcribe(next(iter(corpus))).text)

def test_lost(realtime, corpus):
    with realtime.connect(configure=False) as session:
        session.transcribe(next(iter(corpus)))

def test_parity(realtime, corpus):
    realtime.parity(list(corpus), over="repeat")

def test_warns(realtime, corpus):
    warnings.warn(realtime.transcribe(next(iter(corpus))).text)

def test_xfails(realtime, corpus):
    pytest.xfail(realtime.transcribe(next(iter(corpus))).text)

def test_suite(realtime, corpus, record_testsuite_property):
    text = realtime.transcribe(next(iter(corpus))).text
    record_testsuite_property("suite", text)

def test_property(realtime, corpus, request):
    text = realtime.transcribe(next(iter(corpus))).text
    request.node.user_properties.append(("mine", text))

def test_fails(realtime, corpus):
    pytest.fail(realtime.transcribe(next(iter(corpus))).text, pytrace=False)
"""
ARGUMENTS = (
    *("--log-cli-level=WARNING", "--log-file=all.log", "-Wdefault"),
    *("-vv", "-l", "-rA", "--junitxml=out.xml", "-o", "junit_logging=all"),
    *("--realtime-report=out.jsonl", "--realtime-report=conformance:suite.json"),
    *("--realtime-report=out.csv", "--realtime-report=out.md"),
    *("--realtime-report=out.prom", "--realtime-report=benchmark:bench.json"),
    *("--realtime-corpus=clips", "--realtime-timeout=3s"),
)
REPORTS = ("*.json*", "*.csv", "*.md", "*.prom")
SECRET = (
    *NAMES.values(),
    *("turn right", "open the", "right and", "the front", "front door", "and stop"),
)


Run = Callable[..., tuple[pytest.RunResult, str]]


@pytest.fixture
def run(project: Project, faulty: Faking) -> Run:
    """Return a function that runs the tests and returns all output of the run."""
    english = corpus.load("bundled:english")
    folder = project.path / "clips"
    folder.mkdir()
    for id, name in NAMES.items():
        audio.write(folder / f"{name}.wav", english[id].audio)
        (folder / f"{name}.txt").write_text(f"{english[id].text} now")
    project.write(TESTS)
    url = faulty("lost-delta")

    def go(*more: str) -> tuple[pytest.RunResult, str]:
        result = project.run(
            *ARGUMENTS,
            *("--realtime-conformance", "test_it.py"),
            *("-k", "test_it or deltas-add-up or first-event"),
            *more,
            target=url,
        )
        files = [
            *project.path.glob("*.xml"),
            *project.path.glob("*.log"),
            *(path for each in REPORTS for path in project.path.glob(each)),
            *project.path.glob(".pytest_cache/**/*.jsonl"),
            *project.path.glob("realtime-traces/**/*.jsonl"),
            *project.path.glob(".pytest_cache/**/lastfailed"),
        ]
        texts = [path.read_text() for path in files] + [str(path) for path in files]
        return result, "\n".join([*texts, result.stdout.str(), result.stderr.str()])

    return go


@pytest.mark.slow
def test_no_output_has_a_text_or_a_file_name(project: Project, run: Run) -> None:
    open_result, told = run()
    assert all(each in told for each in SECRET)  # what is looked for is there else
    for path in [path for each in REPORTS for path in project.path.glob(each)]:
        assert any(each in path.read_text() for each in SECRET), path
        path.unlink()  # the next run would keep it
    result, told = run("--realtime-private", "--cache-clear")
    assert [each for each in SECRET if each in told] == []
    assert result.parseoutcomes() == open_result.parseoutcomes()
    for line in (
        "final_from_commit max = ",
        "AssertionError: [private]",
        "Lost: refused: (model_not_validated)",
        "wer = ",
        "clip-1: 1 wrong of 5",
        "corpus [private]",
        "--realtime-corpus=PATH",
        "test_asserts[clip-1]",
        "rule deltas-add-up [MUST]: [private]",
    ):
        assert line in told, line
    rows = project.rows()
    assert {row["utterance"] for row in rows} == {"clip-1", "clip-2"}
    assert {row["reference"] for row in rows} == {"[private]"}
    assert rows[0]["errors"]["hits"] == 4
    (path, *_) = project.path.glob("realtime-traces/**/*.jsonl")
    texts = [record.text or "" for record in read(path).records if not record.span]
    deltas = [json.loads(text).get("delta", "") for text in texts]
    assert any(delta.startswith("[private: ") for delta in deltas)


def test_an_exception_of_a_module_is_left_out(project: Project) -> None:
    project.write('assert "turn right" == "open the door"')
    result = project.run("--realtime-private", "-vv")
    told = result.stdout.str()
    assert "turn right" not in told
    assert "test_it.py: [private]" in told
    assert result.ret == pytest.ExitCode.INTERRUPTED


def test_an_error_in_a_verdict_is_named_only_by_its_type(project: Project) -> None:
    project.write(
        """
import pytest
from pytest_realtime_asr.run import results

def judge(*args, **kwargs):
    raise ValueError("turn right and stop")

@pytest.mark.latency_budget("final_from_commit", max="5s")
def test_it(realtime, corpus, monkeypatch):
    monkeypatch.setattr(results, "judge", judge)
    realtime.transcribe(corpus["clip-01"])
"""
    )
    result = project.run("--realtime-private", "-vv")
    result.assert_outcomes(failed=1)
    told = result.stdout.str()
    assert "turn right" not in told
    assert "no verdict could be made: ValueError\n" in told


def test_a_broken_audio_file_is_not_named(project: Project) -> None:
    folder = project.path / "clips"
    folder.mkdir()
    (folder / "smith-anna.wav").write_bytes(b"no audio")
    (folder / "smith-anna.txt").write_text("turn right")
    project.write("def test_it(realtime, corpus): realtime.transcribe(corpus)")
    arguments = ("--realtime-corpus=clips", "--junitxml=out.xml", "-vv", "-l")
    for private in ((), ("--realtime-private",)):
        result = project.run(*arguments, *private)
        told = result.stdout.str() + result.stderr.str()
        told += (project.path / "out.xml").read_text()
        assert result.ret != 0
        assert ("smith" in told) is not bool(private)
        assert ("--realtime-private" in told) is bool(private)
