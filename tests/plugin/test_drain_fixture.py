"""A drain as a user sees it: `realtime.drain` in a test, its failure and reports."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.fake.process import FakeServer
from tests.support.project import Project, fake_server

DELAY = ("--final-delay", "300ms")


def write(project: Project, server: FakeServer) -> None:
    project.write(
        f"""
import os
import signal

def stop():
    os.kill({server.pid}, signal.SIGTERM)

def test_drain(realtime, corpus):
    clips = [corpus["turn-right"]]
    drain = realtime.drain(clips, stop=stop, streams=2, grace="20s")
    assert len(drain.sessions) == 2
"""
    )


@pytest.mark.slow
def test_a_drain_that_loses_a_final_fails_its_test(
    project: Project, clips: str
) -> None:
    with fake_server(
        "--corpus", clips, *DELAY, "--fault", "drain-drops-finals"
    ) as server:
        write(project, server)
        result = project.run(
            "--realtime-pace=1",
            "--realtime-rules=off",
            "--realtime-report=out.jsonl",
            "--junitxml=out.xml",
            target=server.url,
        )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "drain: 1 of 1 utterance whose audio was complete got no final (*; closed "
            "with 1001 x2; all sessions closed after *; grace 20 s; *); FAIL",
            "  *(turn-right): complete at the stop, no final, ended after *",
        ]
    )
    verdicts = [each for each in project.lines() if each["kind"] == "verdict"]
    (row,) = [each for each in verdicts if each["subject"] == "drain"]
    assert (row["verdict"], row["over"], row["fails"]) == ("FAIL", 1, True)
    assert project.properties()["test_drain"]["realtime.drain"] == "1"
    assert {each["purpose"] for each in project.rows()} == {"drain"}


@pytest.mark.slow
def test_a_drain_of_a_correct_server_passes(project: Project, clips: str) -> None:
    with fake_server("--corpus", clips, *DELAY) as server:
        write(project, server)
        result = project.run(
            "--realtime-pace=1", "--realtime-report=out.jsonl", target=server.url
        )
    result.assert_outcomes(passed=1)
    (row,) = [each for each in project.lines() if each["kind"] == "verdict"]
    assert (row["subject"], row["verdict"], row["over"]) == ("drain", "PASS", 0)
