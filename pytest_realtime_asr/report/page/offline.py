"""Makes the HTML page from a JSON Lines report and the traces beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import Alignment
from pytest_realtime_asr.report import conformance, jsonl
from pytest_realtime_asr.report.page import chunks, history, session_data
from pytest_realtime_asr.report.page.clips import Clips
from pytest_realtime_asr.report.session_chart import SessionChart, chart
from pytest_realtime_asr.text.privacy import PRIVATE
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.recording import Recording

FOLDER = "realtime-traces"  # where a run keeps its traces, beside its report
_FORMAT = 3  # the format of the lines; older lines have no kinds
_COPIED = ("verdict", "level")  # the kinds of lines that the page shows as they are
Line = Mapping[str, Any]


class Traces:
    """The traces in the files below a folder, by the start time of their session."""

    def __init__(self, folder: Path) -> None:
        self._files: defaultdict[datetime, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*.jsonl")):
            try:
                with path.open("rb") as file:
                    started = msgspec.json.decode(file.readline(), type=_Head).started
            except (OSError, msgspec.DecodeError):
                continue  # another file, such as the report itself
            self._files[started].append(path)

    def find(self, line: Line) -> tuple[Path, Recording] | None:
        """Return the trace of an utterance and its path; ``None`` if it is not there.

        Raises ValueError or LookupError if the file of the trace cannot be read.
        """
        for path in self._files.get(_started(line), ()):
            trace = records.read(path)
            found = dialects.recording(dialects.load(trace.dialect), trace)
            if line.get("session") in ("", None, found.timeline.session):
                return path, found
        return None


class _Head(msgspec.Struct):
    """The fields of a trace's first line that are read to find the trace."""

    started: datetime
    vantage: str  # only the head of a trace has this field


def page(
    report: Path,
    *,
    traces: Path | None = None,
    suite: Path | None = None,
    corpus: Corpus | None = None,
    earlier: Sequence[Path] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[bytes]:
    """Yield the lines of the page of a report.

    ``traces`` is the folder of the traces; the default is `FOLDER` beside the report.
    ``suite`` is a conformance report. ``corpus`` has the audio of the worst sessions.
    ``earlier`` are the reports of earlier runs, for the trend. ``tell`` is called with
    a sentence about each earlier report that is left out. Raises ValueError if a file
    cannot be used; its message names the file.
    """
    lines = _read(report)
    if traces is not None and not traces.is_dir():
        raise ValueError(f"{traces}: there is no such folder; check the path")
    kept = Traces(report.parent / FOLDER if traces is None else traces)
    run = next((line for line in lines if line["kind"] == "run"), {})
    yield chunks.head(run, session_data.metric_columns())
    items: Counter[tuple[Any, Any]] = Counter()
    for line in lines:
        if line["kind"] == "utterance":
            key = line.get("started"), line.get("session")
            yield _session(line, kept, items[key])
            items[key] += 1
        elif line["kind"] in _COPIED:
            yield chunks.block(line["kind"], line) + b"\n"
    if suite is not None:
        yield chunks.block("conformance", conformance.read(suite)) + b"\n"
    if corpus is not None:
        yield from _clips(lines, corpus)
    if earlier:
        yield history.block(earlier, report, tell=tell) + b"\n"
    end = {
        "offline": True,
        "interrupted": any(line.get("interrupted") for line in lines),
        "unknown": not any(line.get("ended") for line in lines),
    }
    yield chunks.block("end", end) + b"\n"


def _read(report: Path) -> list[Line]:
    """Return the complete lines of a report.

    Raises ValueError if the report cannot be read, has another format or has no
    utterance.
    """
    try:
        text = report.read_bytes()
    except OSError as error:
        raise ValueError(f"{report}: {error.strerror}") from error
    if records.is_trace(report):
        raise ValueError(
            f"{report}: not a JSON Lines report, but a trace; show it with "
            "`python -m pytest_realtime_asr trace show`"
        )
    found: list[Line] = []
    for number, each in enumerate(text.split(b"\n"), 1):
        try:
            line = msgspec.json.decode(each, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # an incomplete line of a run that was killed
        if (version := line.get("format")) != _FORMAT or "kind" not in line:
            raise ValueError(
                f"{report}:{number}: the line has format {version}; a page is made of "
                f"reports of format {_FORMAT} only"
            )
        found.append(line)
    if not found:
        raise ValueError(f"{report}: not a JSON Lines report; {jsonl.WRITTEN_BY}")
    if not any(line["kind"] == "utterance" for line in found):
        raise ValueError(f"{report}: the report has no completed utterance")
    return found


def _session(line: Line, kept: Traces, item: int) -> bytes:
    """Return the line that describes an utterance in the file of the page.

    ``item`` is the number of the utterance in its session, from 0.
    """
    private = line.get("reference") == PRIVATE or line.get("text") == PRIVATE
    path = ""
    drawn: SessionChart | None = None
    failed = dict(line.get("failed") or {})
    try:
        if (found := kept.find(line)) is not None:
            path, drawn = str(found[0]), chart(found[1], item)
    except (ValueError, LookupError) as error:
        failed["chart"] = str(error)
    detail = session_data.detail(
        {**line, "failed": failed},
        drawn,
        None if private else aligned(line),
        private=private,
    )
    row = session_data.row(line, _label(line, item), path)
    return chunks.block("row", row) + chunks.packed("session", detail) + b"\n"


def aligned(line: Line) -> Alignment:
    """Return the alignment of the text of an utterance with its reference."""
    text = None if line.get("lost") else line.get("text") or ""
    return words(line.get("reference") or "", text, language=line.get("language") or "")


def _label(line: Line, item: int) -> str:
    name = str(line.get("session") or line.get("utterance") or "")
    return f"{name}#{item + 1}" if item else name


def _clips(lines: Iterable[Line], corpus: Corpus) -> Iterator[bytes]:
    """Yield the clips of the worst sessions, as far as the corpus has these clips."""
    counted = [line for line in lines if line.get("counted")]
    failing = {
        line["test"]
        for line in lines
        if line["kind"] == "verdict" and line.get("fails")
    }
    order = session_data.ranks([(line, line["test"] in failing) for line in counted])
    known = {utterance.id: utterance for utterance in corpus}
    ids = [counted[index].get("utterance") for index in order]
    found = [known[id] for id in dict.fromkeys(ids) if id in known]
    for each in Clips().blocks(found):
        yield each + b"\n"


def _started(line: Line) -> datetime:
    return msgspec.convert(line["started"], datetime)
