"""Tests of conformance reports: JSON, messages, summary, matrix and badge."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.conformance.results import (
    Result,
    ServerInfo,
    ServerResult,
    Status,
)
from pytest_realtime_asr.report import conformance
from pytest_realtime_asr.report.conformance import Entry, Row
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Requirement,
    Undecided,
)

SERVER = ServerInfo("ws://gpu-7/v1/realtime", "vllm", "voxtral", "0.33.0", "")
MADE = datetime(2026, 11, 24, tzinfo=UTC)


def came(
    id: str,
    status: Status = Status.SATISFIED,
    level: Level = Level.MUST,
    **more: object,
) -> Entry:
    entry = Entry(id, f"the title of {id}", level, "a clause", ("alone",), status)
    return msgspec.structs.replace(entry, **more)


def report(*entries: Entry, planned: int | None = None) -> conformance.Document:
    rows = [conformance.mapping(Row(SERVER, each)) for each in entries]
    count = len(entries) if planned is None else planned
    found = conformance.document(rows, planned=count)
    return msgspec.structs.replace(found, made=MADE)


BROKEN = came("one", Status.VIOLATED, seen="no final of a came: waited 3.2 s; had arr")
ALIKE = came("two", Status.VIOLATED, seen="no final of a came: waited 4.1 s; had arr")
WEAK = came("weak", Status.VIOLATED, Level.SHOULD, seen="so it is")


DOUBTED = came("b", Status.UNDECIDED, seen="no text of a word came")
KNOWN_ONE = came("c", Status.VIOLATED, expected="known", seen="as ever")


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a" / "report.json"
    found = report(came("a"), BROKEN, planned=9)
    assert conformance.write(ReportFile(path), found)
    assert conformance.read(path) == found
    assert json.loads(path.read_text())["planned"] == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a conformance report: "),
        ("{}", "not a conformance report: "),
        (None, "x.json: there is no such file"),
    ],
)
def test_a_file_that_is_not_a_report_is_refused(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        conformance.read(path)


def test_a_report_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(
        conformance.dumps(msgspec.structs.replace(report(came("a")), format=2))
    )
    with pytest.raises(ValueError, match="format 2; this version reads only format 1"):
        conformance.read(path)


def test_the_summary_names_causes_and_requirements_not_judged() -> None:
    found = report(
        came("fine"),
        BROKEN,
        ALIKE,
        WEAK,
        came("back", Status.NOT_RUN, seen="it is heavy"),
        came("old", Status.VIOLATED, expected="known", seen="as ever"),
    )
    lines = conformance.summary(found, strict=False, advice=["soon"])
    assert lines[:2] == [
        "ws://gpu-7/v1/realtime, vllm, model voxtral, version 0.33.0",
        "6 requirements: 1 satisfied, 4 violated, 1 not run",
    ]
    assert "  one, two: no final of a came: waited 3.2 s; had arr" in lines
    assert "SHOULD violated (no test fails):" in lines
    assert "  1 x it is heavy (back)" in lines
    assert "  old: as ever" in lines
    assert lines[-1] == "soon"


def test_text_from_the_server_is_escaped_in_the_matrix() -> None:
    found = report(came("a"))
    server = msgspec.structs.replace(found.server, model="m|\x1b[2J\n::error::evil")
    told = conformance.matrix([msgspec.structs.replace(found, server=server)])
    assert "m\\|\\x1b[2J\\n::error::evil" in told.splitlines()[0]


def test_the_matrix_has_a_row_for_each_requirement_and_a_column_for_each_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    known = came("c", Status.VIOLATED, expected="known", seen="<b>as ever")
    paths[0].write_bytes(conformance.dumps(report(came("a"), BROKEN, planned=9)))
    paths[1].write_bytes(
        conformance.dumps(
            report(came("a"), came("b", Status.NOT_RUN, seen="it is heavy"), known)
        )
    )
    assert main(["report", "matrix", *map(str, paths)]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = "vllm 0.33.0 voxtral (2026-11-24)"
    assert f"| {head}, a.json | {head}, b.json |" in lines[0]
    assert lines[2:10] == [
        "| a | MUST | yes | yes |",
        "| one | MUST | **no** |  |",
        "| b | MUST |  | - |",
        "| c | MUST |  | **no** (known) |",
        "| **satisfied** | | 1 | 1 |",
        "| **violated** | | 1 | 1 |",
        "| **not run** | | 0 | 1 |",
        "| **total** | | 2 of 9 | 3 |",
    ]
    assert lines[13:] == [
        "Not satisfied by vllm 0.33.0 voxtral (2026-11-24), a.json:",
        "",
        "- violated: `one`: no final of a came: waited 3.2 s; had arr",
        "",
        "Not satisfied by vllm 0.33.0 voxtral (2026-11-24), b.json:",
        "",
        r"- violated (known): `c`: \<b\>as ever",
        "- not run: `b`: it is heavy",
    ]
    assert main(["report", "matrix", str(tmp_path / "none.json")]) == 2


@pytest.mark.parametrize(
    ("found", "message", "colour"),
    [
        (report(came("a"), came("b")), "2 of 2", "brightgreen"),
        (report(came("a"), DOUBTED), "1 of 2, 1 undecided", "yellow"),
        (report(came("a"), DOUBTED, BROKEN), "1 of 3, 1 undecided", "red"),
        (report(came("a"), KNOWN_ONE), "1 of 2", "brightgreen"),
        (report(came("a"), came("b", Status.OTHER_VERSION)), "1 of 1", "brightgreen"),
        (report(came("a"), planned=110), "1 of 110", "yellow"),
        (report(came("a"), came("b", Status.NOT_RUN)), "1 of 2", "yellow"),
        (report(came("a"), WEAK), "1 of 2", "yellow"),
        (report(came("a"), WEAK, BROKEN), "1 of 3", "red"),
        (report(came("a", Status.MISSING)), "not judged", "lightgrey"),
    ],
)
def test_the_badge(found: conformance.Document, message: str, colour: str) -> None:
    told = json.loads(conformance.badge(found))
    assert (told["message"], told["color"]) == (message, colour)
    assert told["schemaVersion"] == 1


def requirement(level: Level = Level.MUST) -> Requirement:
    return Requirement(
        id="one",
        title="the title of one",
        level=level,
        clause="a clause",
        check=lambda evidence: Undecided("nothing"),
        scenarios=("alone",),
    )


KNOWN = Known("one", Expected.KNOWN, "as ever", "issue 1", date(2026, 12, 31))


def test_a_known_failure_that_passes_has_a_stale_entry() -> None:
    found = Result(requirement(), Status.SATISFIED, known=KNOWN)
    row = conformance.row(ServerResult(SERVER, found, "a.jsonl"))
    assert row.result == Entry(
        "one",
        "the title of one",
        Level.MUST,
        "a clause",
        ("alone",),
        Status.SATISFIED,
        trace="a.jsonl",
        expected="as ever (issue 1, until 2026-12-31)",
        stale="known failure one passes now; remove its entry from the list",
    )
    assert conformance.message(row).splitlines() == [
        "known failure one passes now; remove its entry from the list",
        "  requirement: the title of one",
        "  clause: a clause",
        "  expected: as ever (issue 1, until 2026-12-31)",
        "  scenarios: alone",
        "  trace: a.jsonl",
    ]


def test_a_missing_server_is_reported_in_one_line() -> None:
    found = Result(requirement(), Status.MISSING, "cannot connect")
    row = conformance.row(ServerResult(SERVER, found))
    assert conformance.message(row) == "one [MUST] missing: cannot connect"
