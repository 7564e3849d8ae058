"""What a conformance run found: for a terminal, as JSON, as a matrix and as a badge."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import msgspec

from pytest_realtime_asr.conformance.results import Judged, Result, Row, Status
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.number_format import several

FORMAT = 1
_LARGEST = 2**28  # bytes of a report
WIDTH = 80
_DISTRIBUTION = "pytest-realtime-asr"
_MARKS = {
    Status.SATISFIED: "yes",
    Status.VIOLATED: "**no**",
    Status.UNDECIDED: "?",
    Status.MISSING: "?",
    Status.LIMITED: "?",
    Status.HARNESS: "?",
    Status.NOT_RUN: "-",
    Status.OTHER_VERSION: "-",
}

_TRIED = (Status.SATISFIED, Status.VIOLATED, Status.UNDECIDED)


class Document(msgspec.Struct, frozen=True):
    """A conformance report: one server, and what came of each requirement.

    ``planned`` is how many requirements the suite has, of which a run may hold fewer.
    ``calibration`` is the last one of the instrument, empty where there was none.
    """

    format: int
    plugin: str
    made: datetime
    server: Judged
    planned: int
    requirements: list[Result]
    calibration: str = ""

    @property
    def counts(self) -> Counter[Status]:
        """How many requirements came to each status."""
        return Counter(each.status for each in self.requirements)

    def broken(self, level: Level) -> list[Result]:
        """The violated requirements of a level, but for those that are expected."""
        return [
            each
            for each in self.requirements
            if each.status is Status.VIOLATED
            and each.level is level
            and not each.expected
        ]


def row(found: Row) -> Mapping[str, object]:
    """The row in builtin types, as it crosses to the controller."""
    made: dict[str, object] = msgspec.to_builtins(found)
    return made


def properties(found: Row) -> list[tuple[str, str]]:
    """What JUnit XML gets of a requirement."""
    result = found.result
    rows = [
        ("requirement", result.id),
        ("level", result.level.value),
        ("outcome", result.status.value),
        ("seen", result.seen),
        ("trace", result.trace),
    ]
    return [(f"realtime.{name}", text) for name, text in rows if text]


def document(
    rows: Iterable[object], *, planned: int, calibration: str = ""
) -> Document:
    """The report of rows that came as plain mappings from the workers."""
    found = msgspec.convert(list(rows), list[Row])
    return Document(
        format=FORMAT,
        plugin=installed(_DISTRIBUTION),
        made=datetime.now(UTC).replace(microsecond=0),
        server=next((r.server for r in found if r.server.target), found[0].server),
        planned=planned,
        requirements=[row.result for row in found],
        calibration=calibration,
    )


def dumps(found: Document) -> bytes:
    """The report as JSON."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def write(file: ReportFile, found: Document) -> bool:
    """Write a report, and say whether it was; one without a verdict is not.

    Raises OSError.
    """
    if not any(found.counts[status] for status in _TRIED):
        return False
    file.replace(dumps(found))
    return True


def read(path: Path) -> Document:
    """Read a report; ValueError names the file and what is wrong with it."""
    data = inputs.content(path, most=_LARGEST)
    with inputs.reading(f"{path}: not a conformance report"):
        found = msgspec.json.decode(data, type=Document)
    if found.format != FORMAT:
        raise ValueError(
            f"{path}: report format {found.format}; this version reads {FORMAT}"
        )
    return found


# Views


def summary(found: Document, *, strict: bool, advice: Sequence[str] = ()) -> list[str]:
    """The lines below a run: counts, then what is broken, by its cause."""
    lines = [_server(found.server), _tally(found)]
    for level in (Level.MUST, Level.SHOULD):
        failing = level is Level.MUST or strict
        head = f"{level.name} that is broken" + ("" if failing else " (no failure)")
        lines += _listed(head, found.broken(level))
    lines += _listed("otherwise than documented (INFO)", found.broken(Level.INFO))
    known = [each for each in found.requirements if each.expected]
    lines += _listed(
        "known", [each for each in known if each.status is Status.VIOLATED]
    )
    lines += _listed("known, and yet", [each for each in known if each.stale])
    for status in (
        Status.MISSING,
        Status.HARNESS,
        Status.LIMITED,
        Status.NOT_RUN,
        Status.UNDECIDED,
        Status.OTHER_VERSION,
    ):
        lines += _by_cause(
            status, [each for each in found.requirements if each.status is status]
        )
    return [*lines, *advice]


def _server(server: Judged) -> str:
    if not server.target:
        return "no server was there"
    version = f", version {server.version}" if server.version else ""
    suite = f", suite {server.suite}" if server.suite else ""
    dialect = f"{server.dialect} ({server.found})" if server.found else server.dialect
    return f"{server.target}, {dialect}, model {server.model}{version}{suite}"


def _tally(found: Document) -> str:
    counts = found.counts
    told = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    return f"{several(len(found.requirements), 'requirement')}: {', '.join(told)}"


def _listed(head: str, results: Sequence[Result]) -> list[str]:
    """Each result with what was seen; several with one cause are told together."""
    if not results:
        return []
    lines = ["", f"{head}:"]
    for seen, group in _grouped(results):
        lines += _wrapped(f"{', '.join(each.id for each in group)}: {seen}")
    return lines


def _by_cause(status: Status, results: Sequence[Result]) -> list[str]:
    if not results:
        return []
    lines = ["", f"{status.value}:"]
    for seen, group in _grouped(results):
        ids = ", ".join(each.id for each in group[:3])
        more = f" and {len(group) - 3} more" if len(group) > 3 else ""
        lines += _wrapped(f"{len(group)} x {seen} ({ids}{more})")
    return lines


def _grouped(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """The results by their cause, each cause in the words of the first of them."""
    groups: dict[str, list[Result]] = {}
    for each in results:
        groups.setdefault(_cause(each), []).append(each)
    return [
        ((group[0].stale or group[0].seen).partition("\n")[0], group)
        for group in groups.values()
    ]


def _cause(result: Result) -> str:
    """What was seen but for numbers, and for what had arrived until then."""
    what = (result.stale or result.seen).partition("; had arrived")[0]
    return re.sub(r"\d[\d.]*|'[^']*'", "#", what)


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(
        line,
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def matrix(documents: Sequence[Document]) -> str:
    """A Markdown table: a row for each requirement, a column for each report."""
    heads = [_column(each) for each in documents]
    ids: dict[str, Result] = {}
    for each in documents:
        for result in each.requirements:
            ids.setdefault(result.id, result)
    lines = [
        f"| requirement | level | {' | '.join(heads)} |",
        f"|---|---|{'---|' * len(documents)}",
    ]
    for id, first in ids.items():
        cells = [_cell(each, id) for each in documents]
        lines.append(f"| {id} | {first.level.name} | {' | '.join(cells)} |")
    totals = [f"{each.counts[Status.SATISFIED]}" for each in documents]
    lines.append(f"| **satisfied** | | {' | '.join(totals)} |")
    broken = [f"{each.counts[Status.VIOLATED]}" for each in documents]
    lines.append(f"| **violated** | | {' | '.join(broken)} |")
    lines += [
        "",
        "yes: satisfied; **no**: violated; ?: not decided; -: not run, or not for this "
        "version.",
    ]
    return "\n".join(lines) + "\n"


def _column(found: Document) -> str:
    server = found.server
    name = f"{server.dialect} {server.version}" if server.version else server.target
    shown = f"{name} {server.model} ({found.made:%Y-%m-%d})"
    return printable(shown).replace("|", "\\|")


def _cell(found: Document, id: str) -> str:
    for each in found.requirements:
        if each.id == id:
            known = " (known)" if each.expected else ""
            return _MARKS[each.status] + known
    return ""


def badge(found: Document) -> bytes:
    """The report in the format of shields.io's endpoint badge."""
    broken, should = found.broken(Level.MUST), found.broken(Level.SHOULD)
    counts = found.counts
    asked = found.planned - counts[Status.OTHER_VERSION]
    message = f"{counts[Status.SATISFIED]} of {asked}"
    # What could not be decided is no fault; what was not tried is no merit.
    tried = sum(counts[each] for each in _TRIED)
    colour = "yellow" if should or tried < asked else "brightgreen"
    colour = "red" if broken else colour
    if not counts[Status.SATISFIED] + counts[Status.VIOLATED]:
        message, colour = "not judged", "lightgrey"
    row = {
        "schemaVersion": 1,
        "label": f"realtime ASR ({found.server.dialect})",
        "message": message,
        "color": colour,
    }
    return msgspec.json.format(msgspec.json.encode(row), indent=1) + b"\n"
