"""Shows a conformance report as JSON, in the terminal, as a matrix and as a badge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import msgspec

from pytest_realtime_asr.conformance.results import (
    Result,
    ServerInfo,
    ServerResult,
    Status,
)
from pytest_realtime_asr.report import protocol_links
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.messages import REPLAYED
from pytest_realtime_asr.report.transcript import transcript
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.text.number_format import several

FORMAT = 1
_LARGEST = 2**28  # bytes of a report that can be read
_DISTRIBUTION = "pytest-realtime-asr"
_MARKS = {
    Status.SATISFIED: "yes",
    Status.VIOLATED: "**no**",
    Status.UNDECIDED: "?",
    Status.STOPPED: "-",
    Status.MISSING: "?",
    Status.LIMITED: "?",
    Status.HARNESS: "?",
    Status.NOT_RUN: "-",
    Status.OTHER_VERSION: "-",
    Status.SAME_CAUSE: "**no**",
}

_TRIED = (Status.SATISFIED, Status.VIOLATED, Status.UNDECIDED)


class Entry(msgspec.Struct, frozen=True):
    """One requirement in a report.

    - ``seen`` is a sentence about what was seen. ``lines`` show the frames near a
      violation. ``trace`` is the file with the trace of the violating session.
    - ``fields`` are the fields that the requirement is about, each with its type.
      ``page`` is the address of the documentation of the requirement.
    - ``expected`` is the requirement's line in the list of known failures. ``stale``
      says why this line is wrong.

    A field without a value is empty.
    """

    id: str
    title: str
    level: Level
    clause: str
    scenarios: tuple[str, ...]
    status: Status
    seen: str = ""
    lines: tuple[str, ...] = ()
    trace: str = ""
    expected: str = ""
    flaky: bool = False
    stale: str = ""
    fields: tuple[str, ...] = ()
    page: str = ""


class Row(msgspec.Struct, frozen=True):
    """An entry with its server, as a pytest-xdist worker sends it to the controller."""

    server: ServerInfo
    result: Entry


class Document(msgspec.Struct, frozen=True):
    """A conformance report: one server, and an entry for each requirement.

    ``planned`` is the number of requirements of the suite; a run may judge fewer.
    ``calibration`` is the last calibration of the client, or empty.
    """

    format: int
    plugin: str
    made: datetime
    server: ServerInfo
    planned: int
    requirements: list[Entry]
    calibration: str = ""

    @property
    def counts(self) -> Counter[Status]:
        """The number of requirements by status."""
        return Counter(each.status for each in self.requirements)

    def violated(self, level: Level) -> list[Entry]:
        """Return the violated requirements of a level, except the known failures."""
        return [
            each
            for each in self.requirements
            if each.status is Status.VIOLATED
            and each.level is level
            and not each.expected
        ]


def row(found: ServerResult) -> Row:
    """Return a result as a row of a report."""
    result, requirement = found.result, found.result.requirement
    stale = ""
    if result.stale:
        stale = (
            f"known failure {requirement.id} passes now; remove its entry from the list"
        )
    entry = Entry(
        id=requirement.id,
        title=requirement.title,
        level=requirement.level,
        clause=requirement.clause,
        scenarios=requirement.scenarios,
        status=result.status,
        seen=result.reason or "",
        lines=tuple(_session_lines(result)),
        trace=found.trace or "",
        expected=str(result.known or ""),
        flaky=result.flaky,
        stale=stale,
        fields=protocol_links.fields(found.server.dialect, requirement.id),
        page=protocol_links.page(found.server.dialect, requirement.id) or "",
    )
    return Row(found.server, entry)


def _session_lines(result: Result) -> Iterator[str]:
    """Yield lines about a session: its id and role, and the frames of the violation."""
    part = result.session
    if part is not None:
        session = shortened(printable(part.timeline.session), 120)
        yield f"session {session or '?'} ({part.role})"
        yield from transcript(part.trace.redacted(), result.records)


def mapping(found: Row) -> Mapping[str, object]:
    """Return a row in builtin types, which a worker can send to the controller."""
    made: dict[str, object] = msgspec.to_builtins(found)
    return made


def message(found: Row) -> str:
    """Return the failure message of a requirement.

    The message says what was seen. The clause and the frames of the session follow.
    """
    entry = found.result
    first = entry.stale or f"{entry.id} [{entry.level.name}] {entry.status.value}"
    if entry.seen:
        first += f": {entry.seen}"
    if found.server.replayed:
        first = f"{REPLAYED}: {first}"
    if entry.status is Status.MISSING:
        return first  # not the details: many requirements have the same cause
    lines = [first, f"  requirement: {entry.title}", f"  clause: {entry.clause}"]
    lines += [f"  documented field: {each}" for each in entry.fields]
    lines += [f"  page: {entry.page}"] if entry.page else []
    lines += [f"  expected: {entry.expected}"] if entry.expected else []
    lines += [f"  scenarios: {', '.join(entry.scenarios)}"]
    lines += [f"  trace: {entry.trace}"] if entry.trace else []
    lines += [f"  {line}" for line in entry.lines]
    return "\n".join(lines)


def properties(found: Row) -> list[tuple[str, str]]:
    """Return the JUnit properties of a requirement."""
    entry = found.result
    rows = [
        ("requirement", entry.id),
        ("level", entry.level.value),
        ("outcome", entry.status.value),
        ("seen", entry.seen),
        ("trace", entry.trace),
        ("replayed", "yes" if found.server.replayed else ""),
    ]
    return [(f"realtime.{name}", text) for name, text in rows if text]


def document(
    rows: Iterable[object], *, planned: int, calibration: str = ""
) -> Document:
    """Return the report made of rows that the workers sent as mappings."""
    found = msgspec.convert(list(rows), list[Row])
    return Document(
        format=FORMAT,
        plugin=installed(_DISTRIBUTION),
        made=datetime.now(UTC).replace(microsecond=0),
        server=_common([row.server for row in found]),
        planned=planned,
        requirements=[row.result for row in found],
        calibration=calibration,
    )


def _common(servers: Sequence[ServerInfo]) -> ServerInfo:
    """Return the facts about the server of a run, from the first row with a target.

    The session limit is the smallest session limit in the rows.
    """
    server = next((each for each in servers if each.target), servers[0])
    limits = [each.max_sessions for each in servers if each.max_sessions is not None]
    return msgspec.structs.replace(server, max_sessions=min(limits, default=None))


def dumps(found: Document) -> bytes:
    """Return the report as JSON."""
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def write(file: ReportFile, found: Document) -> bool:
    """Write a report if it has a verdict, and return whether it was written.

    Raises OSError if the file cannot be written.
    """
    if not any(found.counts[status] for status in _TRIED):
        return False
    file.replace(dumps(found))
    return True


def read(path: Path) -> Document:
    """Read a report and return it.

    Raises ValueError if the report cannot be read; its message names the file.
    """
    data = inputs.content(path, most=_LARGEST)
    with inputs.reading(f"{path}: not a conformance report"):
        found = msgspec.json.decode(data, type=Document)
    if found.format != FORMAT:
        raise ValueError(
            f"{path}: the report has format {found.format}; this version reads only "
            f"format {FORMAT}"
        )
    return found


# Views


def summary(
    found: Document,
    *,
    strict: bool,
    advice: Sequence[str] = (),
    width: int = USUAL,
) -> list[str]:
    """Return the lines at the end of a run: counts, then violations by cause.

    A line has at most ``width`` columns, unless one word is longer.
    """
    lines = [*wrapped(_server(found.server), width), *wrapped(_counts(found), width)]
    for head, shown in _lists(found, strict=strict):
        lines += ["", f"{head}:"]
        for each in shown:
            lines += wrapped(each, width, first="  ", then="    ")
    for each in advice:
        lines += wrapped(each, width)
    return lines


def _lists(found: Document, *, strict: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield each list that is not empty: its heading, and a line for each cause."""
    for level in (Level.MUST, Level.SHOULD):
        failing = level is Level.MUST or strict
        head = f"{level.name} violated" + ("" if failing else " (no test fails)")
        yield from _listed(head, found.violated(level))
    yield from _listed(
        "INFO: deviates from the documentation", found.violated(Level.INFO)
    )
    known = [each for each in found.requirements if each.expected]
    yield from _listed(
        "known failures", [each for each in known if each.status is Status.VIOLATED]
    )
    yield from _listed(
        "unexpectedly passing (stale entry)", [each for each in known if each.stale]
    )
    for status in (
        Status.MISSING,
        Status.STOPPED,
        Status.HARNESS,
        Status.LIMITED,
        Status.NOT_RUN,
        Status.UNDECIDED,
        Status.OTHER_VERSION,
        Status.SAME_CAUSE,
    ):
        entries = [each for each in found.requirements if each.status is status]
        if entries:
            yield status.value, _counted_by_cause(entries)


def _server(server: ServerInfo) -> str:
    if not server.target:
        return "the server was not tested"
    version = f", version {server.version}" if server.version else ""
    suite = f", suite {server.suite}" if server.suite else ""
    dialect = f"{server.dialect} ({server.found})" if server.found else server.dialect
    limit = ""
    if server.max_sessions:
        most = several(server.max_sessions, "session")
        limit = f", accepts at most {most} at the same time"
    replayed = f", {REPLAYED}" if server.replayed else ""
    return (
        f"{server.target}, {dialect}, model {server.model}{version}{suite}{limit}"
        f"{replayed}"
    )


def _counts(found: Document) -> str:
    counts = found.counts
    parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    return f"{several(len(found.requirements), 'requirement')}: {', '.join(parts)}"


def _listed(head: str, entries: Sequence[Entry]) -> Iterator[tuple[str, list[str]]]:
    """Yield the heading and a line for each cause; nothing if there are no entries."""
    if entries:
        yield (
            head,
            [
                f"{', '.join(each.id for each in group)}: {seen}"
                for seen, group in _grouped(entries)
            ],
        )


def _counted_by_cause(entries: Sequence[Entry]) -> list[str]:
    return [
        f"{len(group)} x {seen} ({first_names([each.id for each in group])})"
        for seen, group in _grouped(entries)
    ]


def _grouped(entries: Iterable[Entry]) -> list[tuple[str, list[Entry]]]:
    """Return the entries grouped by cause.

    Each group is the first line of what was seen, and the entries with this cause.
    """
    groups: dict[str, list[Entry]] = {}
    for each in entries:
        groups.setdefault(_cause(each), []).append(each)
    return [
        ((group[0].stale or group[0].seen).partition("\n")[0], group)
        for group in groups.values()
    ]


def _cause(entry: Entry) -> str:
    """Return what was seen, without numbers, quoted values and received events.

    Two entries have the same cause if this text is the same for both.
    """
    what = (entry.stale or entry.seen).partition("; events received")[0]
    return re.sub(r"\d[\d.]*|'[^']*'", "#", what)


def matrix(documents: Sequence[Document], names: Sequence[str] = ()) -> str:
    """Return a Markdown table of requirements (rows) and reports (columns).

    ``names`` are the names of the report files; they are added to the column heads if
    two heads are equal. The last rows have the totals. Below the table, a list for each
    report says why requirements are not satisfied.
    """
    heads = [_column(each) for each in documents]
    if len(set(heads)) < len(heads) and names:
        named = zip(heads, names, strict=True)
        heads = [f"{head}, {_cell_text(name)}" for head, name in named]
    ids: dict[str, Entry] = {}
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
    for status in Status:
        counts = [each.counts[status] for each in documents]
        if any(counts) or status in (Status.SATISFIED, Status.VIOLATED):
            cells = [*map(str, counts)]
            lines.append(f"| **{status.value}** | | {' | '.join(cells)} |")
    cells = [_total(each) for each in documents]
    lines.append(f"| **total** | | {' | '.join(cells)} |")
    lines += [
        "",
        "yes: satisfied; **no**: violated; ?: undecided; -: not run, or not for this "
        "version.",
    ]
    for head, each in zip(heads, documents, strict=True):
        lines += _reasons(head, each)
    return "\n".join(lines) + "\n"


def _total(found: Document) -> str:
    """Return the number of judged requirements, such as "40" or "12 of 40".

    "12 of 40" says that the suite has 40 requirements, but the run judged only 12, for
    example because the user selected tests.
    """
    count = len(found.requirements)
    return f"{count} of {found.planned}" if count < found.planned else f"{count}"


def _reasons(head: str, found: Document) -> list[str]:
    """Return a Markdown list that says why requirements are not satisfied."""
    lines = []
    for status in Status:
        entries = [each for each in found.requirements if each.status is status]
        if status is Status.SATISFIED:
            continue
        for seen, group in _grouped(entries):
            ids = ", ".join(f"`{each.id}`" for each in group)
            known = " (known)" if all(each.expected for each in group) else ""
            lines.append(f"- {status.value}{known}: {ids}: {_markdown(seen)}")
    return ["", f"Not satisfied by {head}:", "", *lines] if lines else []


def _markdown(text: str) -> str:
    """Return a text of a server with the special characters of Markdown escaped."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", printable(text))


def _column(found: Document) -> str:
    server = found.server
    name = f"{server.dialect} {server.version}" if server.version else server.target
    replayed = f" {REPLAYED}" if server.replayed else ""
    shown = f"{name} {server.model}{replayed} ({found.made:%Y-%m-%d})"
    return _cell_text(shown)


def _cell_text(text: str) -> str:
    return printable(text).replace("|", "\\|")


def _cell(found: Document, id: str) -> str:
    for each in found.requirements:
        if each.id == id:
            known = " (known)" if each.expected else ""
            return _MARKS[each.status] + known
    return ""


def badge(found: Document) -> bytes:
    """Return the report as a shields.io endpoint badge."""
    must, should = found.violated(Level.MUST), found.violated(Level.SHOULD)
    counts = found.counts
    asked = found.planned - counts[Status.OTHER_VERSION]
    message = f"{counts[Status.SATISFIED]} of {asked}"
    if undecided := counts[Status.UNDECIDED]:
        message += f", {undecided} undecided"
    decided = counts[Status.SATISFIED] + counts[Status.VIOLATED]
    colour = "yellow" if should or decided < asked else "brightgreen"
    colour = "red" if must else colour
    if found.server.replayed:
        message += f", {REPLAYED}"
    if not decided:
        message, colour = "not judged", "lightgrey"
    row = {
        "schemaVersion": 1,
        "label": f"realtime ASR ({found.server.dialect})",
        "message": message,
        "color": colour,
    }
    return msgspec.json.format(msgspec.json.encode(row), indent=1) + b"\n"
