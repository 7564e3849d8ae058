"""Folders of traces as recordings: what is read, merged, refused and warned of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.fake import recordings
from pytest_realtime_asr.fake.recordings import RecordingsError, age, find, load
from pytest_realtime_asr.trace.records import Trace, Vantage
from tests.support.recordings import Sent, done, recorded
from tests.support.servers import VLLM

ENGLISH = corpus.load("bundled:english")
RIGHT = recorded(ENGLISH["turn-right"], [Sent(done("right"), 250)])
LEFT = recorded(ENGLISH["turn-left"], [Sent(done("left"), 250)], number=2)


def write(folder: Path, *traces: Trace) -> Path:
    """Write traces, each into a folder of its own, as a run does; return the folder."""
    for number, trace in enumerate(traces):
        path = folder / f"test-{number}" / "000-clip.jsonl"
        path.parent.mkdir(parents=True)
        trace.write(path)
    return folder


def test_folder(tmp_path: Path) -> None:
    found = find(write(tmp_path, LEFT, RIGHT))
    assert found.dialect == "vllm"
    sessions = load(found, VLLM).sessions
    assert [each.started for each in sessions] == [RIGHT.started, LEFT.started]


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "one.trace"
    RIGHT.write(path)
    assert len(load(find(path), VLLM).sessions) == 1


def test_report_in_the_folder_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, RIGHT)
    (tmp_path / "report.jsonl").write_text('{"kind":"run","format":3}\n')
    assert len(find(tmp_path).traces) == 1


def test_traces_of_one_session_are_one_recording(tmp_path: Path) -> None:
    first, last = RIGHT.records[:-2], RIGHT.records
    other = replace(LEFT.spoken[0], asset="turn-left")
    found = find(
        write(
            tmp_path,
            replace(RIGHT, records=first),
            replace(RIGHT, records=last, spoken=(other,)),
        )
    )
    (session,) = load(found, VLLM).sessions
    assert session.audio == RIGHT.spoken[0].digest
    assert len(session.answers) == 2


def test_refused_connections_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, RIGHT, replace(LEFT, opened=None))
    assert len(load(find(tmp_path), VLLM).sessions) == 1


def test_newest_version_counts(tmp_path: Path) -> None:
    write(tmp_path, replace(LEFT, version="2"), replace(RIGHT, version="1"))
    assert load(find(tmp_path), VLLM).version == "2"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordingsError, match="no such folder; record sessions with"):
        find(tmp_path / "none")


def test_folder_without_traces(tmp_path: Path) -> None:
    (tmp_path / "report.jsonl").write_text('{"kind":"run","format":3}\n')
    with pytest.raises(RecordingsError, match="there is no trace; record sessions"):
        find(tmp_path)


def test_damaged_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(RIGHT.dumps()[:-30])
    with pytest.raises(RecordingsError, match=r"a\.jsonl: line \d+: "):
        find(tmp_path)


def test_a_deeply_nested_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "deep.jsonl").write_text('{"kind":' + "[" * 100_000)
    with pytest.raises(RecordingsError, match=r"deep\.jsonl: not a trace"):
        find(tmp_path)


def test_several_dialects(tmp_path: Path) -> None:
    found = find(write(tmp_path, RIGHT, replace(LEFT, dialect="openai")))
    with pytest.raises(RecordingsError, match="the dialects openai and vllm; name one"):
        assert found.dialect
    assert len(load(found, VLLM).sessions) == 1


def test_recordings_without_the_dialect_are_refused(tmp_path: Path) -> None:
    found = find(write(tmp_path, RIGHT))
    with pytest.raises(RecordingsError, match="no trace is of the dialect openai"):
        load(found, dialects.load("openai"))


def test_trace_that_cannot_be_replayed_is_named(tmp_path: Path) -> None:
    found = find(write(tmp_path, replace(RIGHT, vantage=Vantage.SERVER)))
    with pytest.raises(RecordingsError, match=r"000-clip\.jsonl: the trace was record"):
        load(found, VLLM)


def test_only_refused_connections(tmp_path: Path) -> None:
    found = find(write(tmp_path, replace(RIGHT, opened=None)))
    with pytest.raises(RecordingsError, match="refused every connection"):
        load(found, VLLM)


@pytest.mark.parametrize(
    ("day", "number"), [(1, None), (30, None), (31, None), (32, "2 of 2")]
)
def test_recordings_over_the_age_limit_are_reported(
    tmp_path: Path, day: int, number: str | None
) -> None:
    found = find(write(tmp_path, RIGHT, LEFT))  # both of 2026-11-01, after midnight
    now = datetime(2026, 11, 1, tzinfo=UTC).replace(day=1)
    then = now.fromtimestamp(now.timestamp() + (day - 1) * 86400, UTC)
    text = age(found, then, most=30 * 86400)
    if number is None:
        assert text == ""
    else:
        assert (
            f"{number} recordings are older than 30 days (the oldest is of 2026-11-01)"
            in text
        )


def test_name_of_the_model() -> None:
    assert recordings.REPLAYED == "replayed"
