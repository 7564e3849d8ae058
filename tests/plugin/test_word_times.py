"""Budgets of word times and of retractions, in a dialect of the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from tests.support.paths import ROOT
from tests.support.project import SOON, Project

LIMITS = """
@pytest.mark.latency_budget("word_time_error", p95="150ms")
def test_times(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])

@pytest.mark.budget("final_retractions", at_most=0, stat="max")
def test_settled(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])
"""


@pytest.fixture(autouse=True)
def segmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the dialect ``segmented`` for processes that are started from now on."""
    info = tmp_path / "segmented-1.0.dist-info"
    info.mkdir()
    head = "Metadata-Version: 2.1\nName: segmented\nVersion: 1.0\n"
    (info / "METADATA").write_text(head)
    entry = "segmented = tests.support.segmented:SEGMENTED"
    (info / "entry_points.txt").write_text(f"[{dialects.GROUP}]\n{entry}\n")
    before = os.environ.get("PYTHONPATH")
    path = filter(None, [str(tmp_path), str(ROOT), before])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))


@pytest.mark.slow
@pytest.mark.parametrize("faulty", [False, True])
def test_a_server_that_breaks_its_word_times_and_segments_fails(
    project: Project, faulty: bool
) -> None:
    project.write(LIMITS)
    faults = ("shifts-word-times", "retracts-settled") if faulty else ()
    words = [word for name in faults for word in ("--fault", name)]
    # The pace of these projects is over 1; word times do not depend on it.
    result = project.run(
        "--realtime-dialect=segmented",
        "--realtime-corpus=bundled:english",
        f"--realtime-fake={' '.join([*words, *SOON])}",
        "--realtime-report=out.jsonl",
        target="fake",
        apart=True,
    )
    result.assert_outcomes(**{"failed" if faulty else "passed": 2})
    rows = project.rows()
    assert rows
    for row in rows:
        measured = row["metrics"]
        assert (measured["word_time_bias"] > 150) is faulty
        assert (measured["final_retractions"] > 0) is faulty
        assert measured["session_ready"] is None


@pytest.mark.parametrize(
    ("marker", "option"),
    [
        ('@pytest.mark.latency_budget("word_time_error", p95="150ms")', ""),
        ("", "--realtime-budget=word_time_error p95 <= 150ms"),
    ],
    ids=["marker", "option"],
)
def test_a_protocol_without_word_times_is_named_before_the_first_session(
    project: Project, marker: str, option: str
) -> None:
    project.write(
        f"{marker}\n"
        "def test_times(realtime, corpus):\n"
        '    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])\n'
    )
    result = project.run(
        "--realtime-dialect=sglang-omni",
        "--realtime-corpus=bundled:english",
        *filter(None, [option]),
        target="fake",
        apart=True,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*realtime: word_time_error cannot be measured: the protocol of the "
            "dialect sglang-omni has no word times; remove the limit from the test, "
            "or from --realtime-budget"
        ]
    )
    result.stdout.no_fnmatch_line("*sent * s of audio*")
