"""The client's own error as a user sees it: calibration, network path, retries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from pytest_realtime_asr.run import calibration
from pytest_realtime_asr.trace import records
from tests.support.project import Project
from tests.support.servers import relay

pytestmark = pytest.mark.slow

CALIBRATED = (
    "realtime: calibrated 20* UTC; * has the largest error: bias * ms, spread *"
)
SPEAKS = """
@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", p50="{limit}")
def test_it(realtime, corpus):
    {work}
    realtime.transcribe(corpus["{clip}"])
"""
BLOCKS = """
    import asyncio, time
    async def block():
        while True:
            time.sleep(0.4)
            await asyncio.sleep(0.01)
    realtime.run.loop.submit(block())
"""


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a calibration run only two sessions."""
    few = partial(calibration.calibrate, sessions=2)
    monkeypatch.setattr(calibration, "calibrate", few)


def cache(project: Project) -> Path:
    """Return the path of the kept calibration."""
    return project.path / ".pytest_cache" / "v" / "realtime" / "calibration"


@pytest.mark.usefixtures("calibrated")
def test_a_calibration_is_printed_and_kept(project: Project) -> None:
    project.write(SPEAKS.format(clip="turn-right", limit="5s", work=""))
    before = project.run("--collect-only")
    before.stdout.no_fnmatch_line("*calibrated*")
    made = project.run("--realtime-calibrate")
    assert made.ret == 0
    made.stdout.fnmatch_lines(
        [
            "the client's own error on *, in ms",
            "*bias*spread",
            "final_from_commit *",
            CALIBRATED.removeprefix("realtime: "),
        ]
    )
    made.stdout.no_fnmatch_line("*test session starts*")
    after = project.run("--junitxml=out.xml", "--realtime-report=out.jsonl")
    after.assert_outcomes(passed=1)
    after.stdout.fnmatch_lines([CALIBRATED])
    line = json.loads(cache(project).read_text())["line"]
    assert project.properties()["test_it"]["realtime.calibration"] == line
    assert [row["calibration"] for row in project.rows()] == [line]
    project.run(
        *("--realtime-conformance", "-k", "close-answered"),
        "--realtime-report=conformance:out.json",
    ).assert_outcomes(passed=1)
    document = json.loads((project.path / "out.json").read_text())
    assert document["calibration"] == line
    # An old one says how old it is, and one of another machine that it is.
    kept = json.loads(cache(project).read_text())
    old = {**kept, "made": "2020-01-01T00:00:00Z", "machine": "elsewhere, x86_64"}
    cache(project).write_text(json.dumps(old))
    project.run("--collect-only").stdout.fnmatch_lines(
        ["realtime: calibrated *, * days ago, on another machine"]
    )


def test_without_a_cache_a_calibration_is_printed_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = calibration.Calibration(
        datetime.now(UTC), "here, x86_64", {"drain": calibration.Error(2, 1.0, 2.0)}
    )
    monkeypatch.setattr(calibration, "calibrate", lambda loop, dialect, progress: known)
    made = project.run("--realtime-calibrate", "-p", "no:cacheprovider")
    assert made.ret == 0
    made.stdout.fnmatch_lines(
        ["calibrated *", "the calibration is not kept*-p no:cacheprovider"]
    )
    assert not cache(project).exists()


@pytest.mark.parametrize("instead", ["selftest", "calibrate", "doctor", "list=metrics"])
def test_help_runs_no_command(project: Project, instead: str) -> None:
    result = project.run(f"--realtime-{instead}", "--help")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["usage: *", "*--realtime-selftest*"])


def test_a_failed_calibration_is_reported(project: Project) -> None:
    made = project.run("--realtime-calibrate", "--realtime-dialect=morse")
    assert made.ret == pytest.ExitCode.USAGE_ERROR
    made.stderr.fnmatch_lines(["ERROR: --realtime-dialect: *morse*"])


def test_a_failure_over_a_slow_network_path_names_the_path(
    project: Project, bits: str
) -> None:
    # 600 ms for a ping, and the final takes more, are far beyond the limit.
    project.write(SPEAKS.format(clip="bit", limit="100ms", work=""))
    with relay(project.url, 0.3) as far:
        arguments = ("--junitxml=out.xml", f"--realtime-corpus={bits}")
        result = project.run(*arguments, target=far)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["* > 100 ms (*path * ms); server or path, not client (*a fifth of *"]
    )
    trip = project.properties()["test_it"]["realtime.path_round_trip_ms.p50"]
    assert float(trip) >= 600


def test_a_loop_that_a_test_blocks_is_invalid(project: Project, bits: str) -> None:
    # The final comes when the loop is blocked, and is seen 400 ms later.
    project.write(SPEAKS.format(clip="bit", limit="300ms", work=BLOCKS.strip()))
    reports = ("--realtime-report=out.jsonl", "--junitxml=out.xml")
    result = project.run(*reports, f"--realtime-corpus={bits}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["INVALID: *; n=1, 1 retried, *; not attributed to the server: the client *"]
    )
    marks = [(row["purpose"], row["again"]) for row in project.rows()]
    assert marks == [("disturbed", False), ("test", True)]
    # Its trace belongs to the session that was judged.
    kept = records.read(
        project.path / project.properties()["test_it"]["realtime.trace"]
    )
    assert kept.started == datetime.fromisoformat(project.rows()[1]["started"])
