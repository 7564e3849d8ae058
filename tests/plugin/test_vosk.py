"""The dialect of vosk-server as a user sees it."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.fake.process import FakeServer
from tests.support.project import SOON, Project

SPEAK = """
@pytest.mark.wer_threshold(0.0)
def test_words(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    assert take.text == "turn right and stop"
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]], concurrency=2)
"""
BUDGET = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="8s")
def test_budget(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
TOO_OFTEN = """
import pytest

def test_sync(realtime, corpus):
    with realtime.connect() as session:
        session.transcribe(corpus["turn-right"])
        session.transcribe(corpus["open-door"])

@pytest.mark.asyncio
async def test_async(realtime, corpus):
    async with realtime.connect() as session:
        await session.transcribe(corpus["turn-right"])
        await session.transcribe(corpus["open-door"])

def test_closed(realtime, corpus):
    with realtime.connect() as session:
        pass
    session.transcribe(corpus["open-door"])
"""
FAKE = ("--realtime-target=fake", f"--realtime-fake={' '.join(SOON)}")
CLIPS = "--realtime-corpus=bundled:english"


@pytest.mark.parametrize(
    "name", ["vosk", "vosk:vosk-reset", "vosk:vosk-cpp rate=16000"]
)
def test_tests_pass_on_the_fake_server(project: Project, name: str) -> None:
    project.write(SPEAK)
    result = project.run(CLIPS, f"--realtime-dialect={name}", *FAKE, target=None)
    result.assert_outcomes(passed=1)


def test_the_options_of_a_session_are_its_configuration(project: Project) -> None:
    project.write(SPEAK)
    options = '--realtime-session-options={"sample_rate": 8000, "words": false}'
    words = (CLIPS, "--realtime-dialect=vosk", options)
    project.run(*words, *FAKE, target=None).assert_outcomes(passed=1)


@pytest.mark.slow
def test_tests_pass_on_a_server_named_on_the_command_line(project: Project) -> None:
    project.write(SPEAK + BUDGET)
    with FakeServer(dialect="vosk") as server:
        result = project.run(CLIPS, "--realtime-dialect=vosk", target=server.url)
    result.assert_outcomes(passed=2)


def test_an_utterance_too_many_in_a_session_is_an_error_and_no_loss(
    project: Project,
) -> None:
    project.write(TOO_OFTEN)
    report = "--realtime-report=out.jsonl"
    words = (CLIPS, "--realtime-dialect=vosk", report)
    result = project.run(*words, *FAKE, target=None)
    result.assert_outcomes(failed=3)
    said = result.stdout.str()
    assert "a session of the dialect vosk has only one utterance; open another" in said
    assert "the test has closed this session; open another" in said
    assert "live.transcribe" not in said
    assert [each["lost"] for each in project.rows()] == ["", ""]
