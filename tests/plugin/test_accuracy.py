"""Accuracy as a user sees it: languages, the table of utterances, keywords."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.report.utterances import COLUMNS
from tests.support.project import Faking, Project

TESTS = """
@pytest.mark.wer_threshold(0.5)
def test_it(realtime, corpus):
    realtime.transcribe(corpus)
"""


def recordings(folder: Path, *ids: str) -> Path:
    """A folder of own recordings with these clips, which state no language."""
    folder.mkdir()
    for id in ids:
        clip = corpus.load("bundled:english")[id]
        shutil.copy(str(clip.source), folder / f"{id}.flac")
        (folder / f"{id}.txt").write_text(clip.text)
    return folder


def text_of(result: pytest.RunResult) -> str:
    """What a run has printed, without line breaks."""
    return " ".join(result.stdout.str().split())


NEUTRAL = (
    "WER: no language is stated for 2 of 2 utterances, so the normaliser basic/2 was "
    "used; it fits every language, but compares numbers and contractions as they are "
    "written; state the language by --realtime-language, by the field `language` of "
    "the manifest, or in corpus.toml"
)


def test_a_language_that_nobody_states_is_not_english(project: Project) -> None:
    folder = recordings(project.path / "own", "turn-right", "open-door")
    project.write(TESTS)
    given = (f"--realtime-corpus={folder}", "--realtime-report=out.jsonl")
    found = text_of(project.run(*given))
    assert "; basic/2: no language stated)" in found
    assert NEUTRAL in found
    assert {row["language_by"] for row in project.rows()} == {"unknown"}
    # Stated by the option.
    found = text_of(project.run(*given, "--realtime-language=English"))
    assert "; english/1-" in found
    assert "no language" not in found
    assert {row["language"] for row in project.rows()} == {"en"}
    # Stated by the folder.
    folder = recordings(project.path / "german", "turn-right")
    (folder / "corpus.toml").write_text('language = "de"')
    found = text_of(project.run(f"--realtime-corpus={folder}"))
    assert "; basic/2)" in found
    assert "no language" not in found


def test_an_utterance_of_a_test_has_the_language_of_the_option(
    project: Project,
) -> None:
    project.write(
        """
from dataclasses import replace

def test_it(realtime, realtime_session, corpus):
    own = replace(corpus["turn-right"], language="")
    assert realtime.transcribe(own).utterance.language == "sv"
    assert realtime_session.transcribe(own).utterance.language == "sv"
"""
    )
    project.run("--realtime-language=sv").assert_outcomes(passed=1)


def test_an_unknown_language_ends_the_run(project: Project) -> None:
    project.write(TESTS)
    result = project.run("--realtime-language=xx", target=None)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        "*--realtime-language: 'xx' is not a known language; write a tag such as de*"
    )
    folder = recordings(project.path / "own", "turn-right")
    row = {"audio_filepath": "turn-right.flac", "text": "turn", "lang": "xx"}
    (folder / "some.jsonl").write_text(json.dumps(row))
    result = project.run(f"--realtime-corpus={folder / 'some.jsonl'}")
    result.stdout.fnmatch_lines("*some.jsonl:1: lang: 'xx' is not a known language;*")


KEYWORDS = """
@pytest.mark.keyword_recall({keywords}, at_least={at_least}{more})
def test_it(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])
"""


@pytest.mark.parametrize("fault", [None, "100ms-loses"])
def test_keywords_are_judged(
    project: Project, faulty: Faking, fault: str | None
) -> None:
    words = ["turn right", "door", "Anna"]
    project.write(KEYWORDS.format(keywords=words, at_least=1, more=""))
    given = ("--junitxml=out.xml", "--realtime-rules=off")
    result = project.run(*given, target=faulty(*([fault] if fault else [])))
    result.assert_outcomes(passed=not fault, failed=bool(fault))
    found = project.properties()["test_it"]
    assert found["realtime.keyword_recall.n"] == "2"
    if fault is None:
        assert found["realtime.keyword_recall"] == "1.0"
        result.stdout.fnmatch_lines("*PASS (not proven: n=2): keyword_recall = 1.000 *")
    else:
        assert float(found["realtime.keyword_recall"]) < 1
        result.stdout.fnmatch_lines(
            [
                "keyword_recall = 0.* < 1.000 (95% CI *; n=2 in 2 utterances, * missed;"
                " english/*; proven; in no reference: 'Anna'; *)",
                "  *  missed: '*'",
                "    text: '*'",
            ]
        )


def test_keywords_without_a_proof(project: Project) -> None:
    project.write(
        KEYWORDS.format(keywords=["door"], at_least=0.9, more=", confidence=0.9")
    )
    result = project.run("--realtime-undecided=warn", "-Wdefault")
    result.assert_outcomes(passed=1, warnings=2)
    found = text_of(result)
    assert "cannot prove keyword_recall: 21 more keywords must be said" in found
    assert "; 21 more spoken keywords, all recognised, would prove that" in found


def test_keywords_that_nobody_said_fail(project: Project) -> None:
    project.write(KEYWORDS.format(keywords=["Anna"], at_least=0.5, more=""))
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        "keyword_recall >= 0.500: no reference contains any of the keywords *'Anna')"
    )


def test_a_private_run_names_no_keyword_that_was_missed(
    project: Project, faulty: Faking
) -> None:
    words = ["turn right", "door", "Anna"]
    code = KEYWORDS.format(keywords=words, at_least=1, more="")
    project.write(f"{code.partition('[corpus')[0]}corpus)")
    folder = recordings(project.path / "own", "turn-right", "open-door")
    given = (
        *("--realtime-private", "--realtime-utterances", "--realtime-report=out.csv"),
        *(f"--realtime-corpus={folder}", "--realtime-language=en"),
    )
    result = project.run(*given, "--realtime-rules=off", target=faulty("100ms-loses"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*clip-*  missed: 1")
    result.stdout.no_fnmatch_line("*missed: '*")
    result.stdout.no_fnmatch_line("*'Anna'*")
    result.stdout.no_fnmatch_line("*ref: *")
    (first, *_) = table(project.path / "out.csv")
    assert (first["reference"], first["aligned_text"]) == ("", "")
    assert first["errors"]


# The table of utterances


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a report as CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_utterances_are_listed_on_request(project: Project, faulty: Faking) -> None:
    project.write(
        TESTS.replace("(corpus)", "([corpus['turn-right'], corpus['open-door']])")
    )
    given = ("--realtime-rules=off", "--realtime-utterances")
    result = project.run(*given, target=faulty())
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_it",
            "  PASS *",
            "  2 utterances without an error",
        ]
    )
    result.stdout.no_fnmatch_line("*turn-right: WER*")
    result = project.run(*given, target=faulty("100ms-loses"))
    result.stdout.fnmatch_lines(["  turn-right: WER *", "    hyp: *[*]*", "      * D*"])
    result = project.run()
    result.stdout.no_fnmatch_line("*turn-right: WER*")


def test_all_utterances_are_written_as_csv(project: Project, faulty: Faking) -> None:
    project.write(
        TESTS.replace("(corpus)", "([corpus['turn-right'], corpus['open-door']])")
    )
    given = ("--realtime-rules=off", "--realtime-report=out.csv")
    project.run(*given, target=faulty("100ms-loses"))
    rows = table(project.path / "out.csv")
    assert [row["utterance"] for row in rows] == ["turn-right", "open-door"]
    for row in rows:
        assert tuple(row) == COLUMNS
        assert row["test"] == "test_it.py::test_it"
        assert row["language"] == "en"
        kinds = row["aligned_errors"].split("|")
        assert len(kinds) == len(row["aligned_reference"].split("|"))
        assert row["errors"] == str(sum(map(bool, kinds)))
        expected = int(row["errors"]) / int(row["reference_length"])
        assert float(row["wer"]) == pytest.approx(expected, abs=1e-4)
    assert sum(int(row["errors"]) for row in rows) > 0
    # The second run keeps the first report, and begins with the header again.
    project.run(*given, target=faulty())
    assert [row["errors"] for row in table(project.path / "out.csv")] == ["0", "0"]
    assert (project.path / "out.csv.1").exists()
