"""Reads JSON Lines reports back as runs, for views over several runs such as trends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.messages import REPLAYED
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.verdicts.recorded_run import Capacity, RecordedRun

_LARGEST = 2**30  # bytes of a report that can be read
_LIMITED = "budget"


class _Host(msgspec.Struct):
    name: str = ""


class _Line(msgspec.Struct):
    """The fields that are read from lines of any kind; a line has only some of them."""

    kind: str = ""
    test: str = ""
    host: _Host | None = None
    interrupted: bool = False
    server_version: str = ""
    purpose: str = ""
    subject: str = ""
    metric: str = ""
    value: float | None = None
    limit: float | None = None
    interval: tuple[float | None, float | None] | None = None


def read(path: Path, *, tell: Callable[[str], None]) -> RecordedRun:
    """Return the run that a report describes.

    ``tell`` is called with a sentence about lines that cannot be read. Raises
    ValueError if the report cannot be used; its message names the file.
    """
    rows = jsonl.read(path, tell=tell)
    lines = list(_lines(inputs.content(path, most=_LARGEST)))
    heads = [line for line in lines if line.kind == "run"]
    verdicts = [line for line in lines if line.kind == "verdict"]
    tested = [line for line in lines if line.purpose in ("", "test")]
    return RecordedRun(
        name=path.name,
        started=min(row.started for row in rows),
        rows=rows,
        host=next((line.host.name for line in heads if line.host is not None), ""),
        versions=tuple(sorted({line.server_version for line in tested} - {""})),
        limited=tuple(
            sorted({line.metric for line in verdicts if line.subject == _LIMITED})
        ),
        capacities={
            line.test: Capacity(line.value, _interval(line.interval))
            for line in verdicts
            if line.subject == "capacity"
        },
        interrupted=any(line.interrupted for line in heads),
    )


def read_all(
    paths: Iterable[Path], *, tell: Callable[[str], None]
) -> list[RecordedRun]:
    """Return the runs that the reports describe, each with a different name.

    Reports with the same file name in several folders are named by their paths. If a
    run has replayed sessions, its name says this. A report that cannot be used is left
    out, and ``tell`` is called with the reason. Raises ValueError if no report can be
    used.
    """
    given = list(dict.fromkeys(paths))
    alike = len({path.name for path in given}) < len(given)
    runs: list[RecordedRun] = []
    failed: list[str] = []
    for path in given:
        try:
            run = read(path, tell=tell)
        except ValueError as error:
            failed.append(str(error))
        else:
            name = str(path) if alike else run.name
            if run.replayed:
                name += f" ({REPLAYED})"
            runs.append(replace(run, name=name))
    if not runs:
        raise ValueError("; ".join(failed) or "there is no report")
    for each in failed:
        tell(f"left out: {each}")
    return runs


def _lines(data: bytes) -> Iterator[_Line]:
    """Yield each line that can be read; `jsonl.read` tells of the others."""
    for each in data.splitlines():
        try:
            yield msgspec.json.decode(each, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue


def _interval(
    bounds: tuple[float | None, float | None] | None,
) -> tuple[float, float] | None:
    if bounds is None:
        return None
    low, high = bounds
    return -math.inf if low is None else low, math.inf if high is None else high
