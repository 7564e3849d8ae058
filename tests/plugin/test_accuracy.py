"""Accuracy as a user sees it: languages, the table of utterances, keywords."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_realtime_asr import corpus
from tests.support.project import Project

TESTS = """
@pytest.mark.wer_threshold(0.5)
def test_it(realtime, corpus):
    realtime.transcribe(corpus)
"""


def recordings(folder: Path, *ids: str) -> Path:
    """A folder of one's own with these clips, which state no language."""
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
    "WER: no language is stated for 2 of 2 utterances, so basic/2 was used, which fits "
    "every language but compares numbers and contractions as they are written; state "
    "the language by --realtime-language, a field language in the manifest, or "
    "corpus.toml"
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
