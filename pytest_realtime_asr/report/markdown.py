"""The Markdown summary of a run, for a file and for the job page of a CI service.

The sections answer five questions of a reader, in this order: Did the run fail? Which
tests failed? Which numbers show it? What is the evidence of the failures? Is the server
conformant? If the text is larger than the service accepts, the evidence of the last
failures is left out first, and the text says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.report import conformance, terminal
from pytest_realtime_asr.report.messages import REPLAYED
from pytest_realtime_asr.report.plain_page import markdown, markdown_table
from pytest_realtime_asr.report.run_summary import Failure, RunSummary
from pytest_realtime_asr.report.terminal import Row, share_text, time_text
from pytest_realtime_asr.report.verdict_rows import (
    CHANGE,
    SAMPLED,
    VerdictRow,
    measured,
)
from pytest_realtime_asr.run.identity import PACKAGE
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.number_format import ms, plain, several, share
from pytest_realtime_asr.verdicts.budgets import Side
from pytest_realtime_asr.verdicts.verdict import Verdict

MOST = 2**20  # bytes that GitHub takes for the summary of one step
TITLE = "Realtime speech recognition"
_WORST_FIRST = [each.value for each in reversed(Verdict)]
_LINES = 150  # the most lines of one failure
_CHARACTERS = 16_000  # the most characters of one failure
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_HEAD = ["test", "verdict", "sent", "lost", "first p50", "final p50", "final p95"]
_LEGEND = (
    "first is the metric `first_partial_from_speech`, and final is the metric "
    "`final_from_commit`. WER is pooled over words, or over characters if all "
    'utterances of the test are in writing systems without spaces. The value "never" '
    "is infinite, since too many sessions were lost or premature."
)


def document(found: RunSummary, *, most: int = MOST) -> str:
    """Return the summary as Markdown of at most ``most`` bytes in UTF-8.

    If the summary is too long, the evidence of the last failures is left out. If it is
    still too long, its end is left out.
    """
    shown = len(found.failures)
    text = _document(found, shown)
    while len(text.encode()) > most and shown:
        shown //= 2
        text = _document(found, shown)
    return _cut(text, most)


def _document(found: RunSummary, shown: int) -> str:
    """Return the summary with the evidence of the first ``shown`` failures."""
    blocks = [
        f"## {TITLE}: {_outcome(found)}\n",
        *_servers(found.rows),
        *_tests(found),
        *_verdicts(found.rows),
        *_failures(found.failures, shown),
        *_conformance(found),
        f"<sub>{markdown(_origin(found))}</sub>\n",
    ]
    return "\n".join(blocks)


def _outcome(found: RunSummary) -> str:
    """Return how many tests failed and how many limits have each verdict."""
    failed = found.failed
    judged = [each for row in found.rows for each in row.verdicts]
    counts = Counter(each.verdict for each in judged if each.verdict)
    parts = [f"{several(len(failed), 'test')} failed" if failed else "no test failed"]
    if counts:
        verdicts = (f"{counts[each]} {each}" for each in _WORST_FIRST if counts[each])
        parts.append(f"verdicts: {', '.join(verdicts)}")
    if found.replayed:
        parts.insert(0, REPLAYED)
    if found.interrupted:
        parts.append("interrupted, so tests are missing")
    return "; ".join(parts)


def _servers(rows: Iterable[Row]) -> Iterator[str]:
    for each in dict.fromkeys(terminal.server_line(row) for row in rows if row.target):
        yield f"{markdown(each)}\n"


def _tests(found: RunSummary) -> Iterator[str]:
    """Yield the table of tests: first those that measured, then others that failed."""
    failed = dict.fromkeys(each.test for each in found.failures if not each.requirement)
    rows = [
        [
            _code(each.test),
            _bold(each.outcome or ("failed" if each.test in failed else "")),
            str(each.planned),
            str(each.lost),
            *map(time_text, (each.first, each.final, each.tail)),
            share_text(each.wer),
        ]
        for each in found.rows
    ]
    measured = {each.test for each in found.rows}
    rows += [
        [_code(test), _bold("failed"), *["-"] * 6]
        for test in failed
        if test not in measured
    ]
    if rows:
        yield markdown_table([*_HEAD, "WER"], rows)
        yield f"{_LEGEND}\n"


def _verdicts(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the table of verdicts, with a row for each value or limit of a test."""
    cells = [
        [_code(row.test), *_judged(each, replayed=row.replayed)]
        for row in rows
        for each in row.verdicts
        if each.limit is not None or each.value is not None
    ]
    if cells:
        yield "### Verdicts\n"
        yield markdown_table(
            ["test", "judged", "value", "limit", "interval", "n", "lost", "verdict"],
            cells,
        )


def _judged(row: VerdictRow, *, replayed: bool) -> list[str]:
    name = f"{row.metric} {row.statistic}".strip()
    if row.subject == CHANGE:
        name = f"change of {row.metric}" if row.metric else CHANGE
    elif row.subject not in SAMPLED:
        name = f"{row.subject}: {name}"
    if row.pooled:
        name += " (module)"
    side = "at most" if row.side == Side.AT_MOST.value else "at least"
    limit = "-" if row.limit is None else f"{side} {_quantity(row.limit, row)}"
    verdict = _bold(terminal.marked(row.verdict or "not judged", replayed=replayed))
    if row.verdict and row.subject in SAMPLED:
        verdict += f" ({'proven' if row.proven else 'not proven'})"
    return [
        _code(name),
        markdown(_quantity(measured(row), row)),
        markdown(limit),
        markdown(_interval(row)),
        str(row.n),
        str(row.lost),
        verdict,
    ]


def _quantity(value: float | None, row: VerdictRow) -> str:
    """Return a value with the unit of a row, rounded as in the terminal."""
    match row.unit:
        case _ if value is None:
            return "-"
        case "ms":
            return f"{ms(value)} ms"
        case "ratio" if row.subject == CHANGE:
            timed = row.metric in CATALOGUE and CATALOGUE[row.metric].timed
            return f"{100 * value:.1f}{'%' if timed else ' pp'}"
        case "ratio" if row.subject != "budget":
            return share(value)
        case "ratio" | "count" | "":
            return plain(value)
    return f"{plain(value)} {row.unit.replace('_per_', ' per ')}"


def _interval(row: VerdictRow) -> str:
    """Return the confidence interval; a missing bound is an infinite bound."""
    if row.interval is None:
        return "-"
    if row.beyond:
        return "beyond every limit"
    low, high = row.interval
    name = "" if row.confidence is None else f"{row.confidence * 100:g}%: "
    match low, high:
        case None, None:
            return "-"
        case None, _:
            return f"{name}up to {_quantity(high, row)}"
        case _, None:
            return f"{name}from {_quantity(low, row)}"
    return f"{name}{_quantity(low, row)} to {_quantity(high, row)}"


def _failures(failures: Sequence[Failure], shown: int) -> Iterator[str]:
    """Yield each failure as a headline; a click on the headline shows the evidence."""
    own = [each for each in failures if not each.requirement]
    if not own:
        return
    yield "### Failures\n"
    for each in own[:shown]:
        test, headline = (escape(printable(t)) for t in (each.test, each.headline))
        head = f"<code>{test}</code>: {headline}"
        yield f"<details><summary>{head}</summary>\n"
        yield _fenced(each.text)
        yield "</details>\n"
    rest = own[shown:]
    for each in rest:
        yield f"- {_code(each.test)}: {markdown(each.headline)}"
    if rest:
        yield f"\nThe evidence of {several(len(rest), 'failure')} is left out here.\n"


def _conformance(found: RunSummary) -> Iterator[str]:
    if found.conformance is not None:
        yield "### Conformance\n"
        lines = conformance.summary(found.conformance, strict=True, width=10_000)
        for line in lines:
            if line.startswith(" "):
                yield f"- {markdown(line.strip())}"
            else:
                yield f"{markdown(line)}\n"
        yield ""


def _origin(found: RunSummary) -> str:
    """Return the run, the version, the commit and the machine in one line."""
    run = found.run
    commit = run.commit.id[:12] + ("-dirty" if run.commit.dirty else "")
    parts = [
        f"run {run.id}",
        f"{PACKAGE} {run.versions[PACKAGE]}",
        f"commit {commit}" if commit else "",
        f"host {run.host['name']}",
        *(f"{name} {text}" for name, text in run.labels.items()),
        run.calibration,
    ]
    return ", ".join(filter(None, parts))


def _fenced(text: str) -> str:
    """Return a text as a code block that the text itself cannot close."""
    lines = [printable(line) for line in _COLOUR.sub("", text).splitlines()]
    kept, size = [], 0
    for line in lines[:_LINES]:
        size += len(line) + 1
        if size > _CHARACTERS:
            break
        kept.append(line)
    if left := len(lines) - len(kept):
        kept.append(f"({several(left, 'line')} left out)")
    longest = max((len(each) for each in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}text", *kept, fence, ""])


def _cut(text: str, most: int) -> str:
    """Return the first lines of a text, as many as fit into ``most`` bytes.

    If lines are left out, the last line says so.
    """
    if len(text.encode()) <= most:
        return text
    note = "\n(the rest is left out, since the text would be too large)\n"
    room = most - len(note.encode())
    kept = []
    for line in text.splitlines(keepends=True):
        room -= len(line.encode())
        if room < 0:
            break
        kept.append(line)
    return "".join([*kept, note]) if kept else ""


def _bold(verdict: str) -> str:
    """Return a verdict, in bold type if it is not PASS."""
    quiet = verdict in ("", "PASS", "not judged")
    return markdown(verdict) if quiet else f"**{markdown(verdict)}**"


def _code(text: str) -> str:
    """Return a text, such as a test id, as code inside a line or a table."""
    if "`" in text or "|" in text:
        return f"<code>{markdown(text)}</code>"
    return f"`{printable(text)}`"
