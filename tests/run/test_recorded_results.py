"""The results of sessions that were recorded earlier."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_realtime_asr.client.offline import OfflineError
from pytest_realtime_asr.run.recorded_results import files, judge, sessions
from pytest_realtime_asr.trace.records import Trace, read
from pytest_realtime_asr.verdicts.run_limits import run_limits
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.paths import FIXTURES, ROOT

TRACES = ROOT / "examples" / "traces"
SOUND, LATE = TRACES / "sound.jsonl", TRACES / "late.jsonl"


def slowed(trace: Trace) -> Trace:
    """Return another session, with twice the time between its frames."""
    records = [
        replace(
            each,
            at=2 * each.at,
            due=None if each.due is None else 2 * each.due,
            woke=None if each.woke is None else 2 * each.woke,
        )
        for each in trace.records
    ]
    started = trace.started + timedelta(minutes=1)
    return replace(trace, started=started, records=tuple(records))


def test_a_folder_selects_all_traces_in_it(tmp_path: Path) -> None:
    shutil.copytree(TRACES, tmp_path / "deep" / "traces")
    (tmp_path / "deep" / "report.jsonl").write_text('{"format":3,"kind":"run"}\n')
    found = files([tmp_path, SOUND])
    assert [path.name for path in found] == ["late.jsonl", "sound.jsonl", "sound.jsonl"]


def test_a_folder_without_a_trace_and_a_wrong_path_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no trace in the folder"):
        files([tmp_path])
    with pytest.raises(ValueError, match="nowhere: there is no such file or folder"):
        files([tmp_path / "nowhere"])


def test_an_utterance_in_two_files_counts_once(tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    shutil.copy(SOUND, copy)
    assert [each.path for each in sessions([SOUND, copy, LATE])] == [SOUND, LATE]


def test_a_trace_that_cannot_be_judged_is_named() -> None:
    old = FIXTURES / "traces" / "vllm-sound.jsonl"
    with pytest.raises(OfflineError, match=r"vllm-sound\.jsonl: .* name the corpus"):
        sessions([old])


@pytest.mark.parametrize(
    ("path", "limits", "verdict"),
    [
        (SOUND, "final_from_commit max <= 800ms, wer <= 10%", Verdict.PASS),
        (SOUND, "final_from_commit max <= 100ms", Verdict.FAIL),
        (LATE, "final_from_commit max <= 2s", Verdict.FAIL),  # a requirement
    ],
)
def test_limits_and_requirements(path: Path, limits: str, verdict: Verdict) -> None:
    found = judge(sessions([path]), run_limits([limits]))
    assert found.verdict is verdict
    assert bool(found.violations) == (path is LATE)


def test_without_limits_there_is_a_verdict_only_for_a_failure() -> None:
    assert judge(sessions([SOUND])).verdict is None
    assert judge(sessions([LATE])).verdict is Verdict.FAIL


def test_a_latency_of_a_session_that_was_not_in_real_time_is_not_judged(
    tmp_path: Path,
) -> None:
    slow = tmp_path / "slow.jsonl"
    slowed(read(SOUND)).write(slow)
    limits = run_limits(["final_from_commit max <= 10s"])
    assert judge(sessions([SOUND]), limits).verdict is Verdict.PASS
    found = judge(sessions([SOUND, slow]), limits)
    assert [each.verdict for each in found.findings] == [Verdict.INVALID]


def test_a_limit_of_a_level_of_load_is_an_error() -> None:
    with pytest.raises(ValueError, match="a metric of a level of load"):
        judge(sessions([SOUND]), run_limits(["keepup_ratio >= 99%"]))
