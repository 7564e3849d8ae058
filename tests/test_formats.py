"""The page of the file formats lists the fields that the code writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import fields

import msgspec
import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.conformance.results import ServerInfo
from pytest_realtime_asr.report import conformance, jsonl, utterances
from pytest_realtime_asr.report.level_rows import LevelRow
from pytest_realtime_asr.report.verdict_rows import VerdictRow
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Lag, Record
from tests.support.paths import ROOT
from tests.support.runs import RUN
from tests.support.servers import took

PAGE = (ROOT / "docs/formats.md").read_text()
# The fields of every line of the report, in a table of their own; `replayed` is left
# out in a run that replays nothing.
EVERY_LINE = {"kind", "format", "run", "replayed"}
# Fields of an utterance that are written only if they have a value.
SOMETIMES = {"calibration", "failed", "level"}


@pytest.fixture(scope="module")
def take(loop: Loop) -> Transcription:
    return took(loop)


def listed(heading: str, *, table: int = 0) -> list[str]:
    """The fields in the first column of a table of a section."""
    section = re.split(rf"^#+ {re.escape(heading)}.*$", PAGE, maxsplit=1, flags=re.M)[1]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.M)[0]
    tables = re.findall(r"^\|---\|---\|\n((?:\|.*\n)+)", section, re.M)
    cells = [row.split(" | ")[0] for row in tables[table].splitlines()]
    return [name for cell in cells for name in re.findall(r"`([\w.]+)`", cell)]


def names(each: type[msgspec.Struct]) -> set[str]:
    return set(each.__struct_fields__)


def agree(listed: list[str], written: Iterable[str]) -> None:
    """Compare the fields of a table with those that are written, in any order."""
    assert sorted(listed) == sorted(written)


def test_every_line_of_the_report() -> None:
    agree(listed("The report"), EVERY_LINE)


def test_the_lines_of_the_run() -> None:
    agree(listed("The run"), jsonl.run_line(RUN, "").keys() - EVERY_LINE)
    ended = jsonl.end_line(RUN, interrupted=True).keys() - EVERY_LINE
    agree(listed("The run", table=1), ended)


def test_the_line_of_an_utterance(take: Transcription) -> None:
    written = json.loads(jsonl.line("test_it", take, RUN)).keys() - EVERY_LINE
    agree(listed("An utterance"), written | SOMETIMES)


def test_the_line_of_a_level() -> None:
    agree(listed("A level of load"), names(LevelRow) | {"test"})


def test_the_line_of_a_verdict() -> None:
    agree(listed("A verdict"), names(VerdictRow) | {"test"})


def test_the_columns_of_the_table_of_utterances() -> None:
    row = listed("The table of utterances")
    parts = {"substitutions", "deletions", "insertions"}  # named with their sum
    agree(row, set(utterances.COLUMNS) - parts)


def test_the_lines_of_a_trace() -> None:
    agree(listed("The trace"), names(records._Head) | {"format"})
    agree(listed("The trace", table=1), {each.name for each in fields(Record)})
    ticks = {f"lag.{each.name}" for each in fields(Lag)}
    last = (names(records._Tail) - {"lag"}) | ticks
    found = listed("The trace", table=2)
    agree(found, last)


def test_the_conformance_report() -> None:
    agree(listed("The conformance report"), names(conformance.Document))
    agree(listed("The conformance report", table=1), names(conformance.Entry))
    (server,) = re.findall(r"^\| `server` \| (.*) \|$", PAGE, re.M)
    assert names(ServerInfo) <= set(re.findall(r"`(\w+)`", server))


@pytest.mark.parametrize(
    ("heading", "number"),
    [("The report", jsonl.FORMAT), ("The trace", records.FORMAT)],
)
def test_the_number_of_a_format(heading: str, number: int) -> None:
    section = PAGE.partition(f"## {heading}")[2]
    assert re.findall(r"^\| `format` \| (\d+) \|$", section, re.M)[0] == str(number)
