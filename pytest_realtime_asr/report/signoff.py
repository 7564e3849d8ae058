"""Shows the comparison of two releases in the terminal, as Markdown and as a page.

The three views show the same rows and the same notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pytest_realtime_asr.conformance.results import Status
from pytest_realtime_asr.metrics.declaration import Unit
from pytest_realtime_asr.report import comparison, trend
from pytest_realtime_asr.report.changes import interval, shown, value
from pytest_realtime_asr.report.conformance import Document
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.plain_page import (
    markdown,
    markdown_table,
    page,
    table,
    text,
)
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.change import Change, Outcome
from pytest_realtime_asr.verdicts.signoff import Signoff, State, TestChange

TITLE = "Release sign-off"
_HEAD = ["outcome", "part", "what", "old", "new", "change"]
_NONE = "-"  # a number that a row does not have
_ORDER = (
    Outcome.WORSE,
    Outcome.INVALID,
    Outcome.UNDECIDED,
    Outcome.BETTER,
    Outcome.SAME,
)
_KINDS = {  # the classes of the outcomes in the style of the page
    Outcome.WORSE: "fail",
    Outcome.INVALID: "invalid",
    Outcome.UNDECIDED: "inconclusive",
    Outcome.BETTER: "pass",
    Outcome.SAME: "same",
}
_STATES = {
    Status.SATISFIED: State.SATISFIED,
    Status.VIOLATED: State.VIOLATED,
    Status.SAME_CAUSE: State.VIOLATED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was compared; all fields but the outcome are texts."""

    part: str
    what: str
    old: str
    new: str
    change: str
    outcome: Outcome


def requirements(
    documents: Sequence[Document],
) -> dict[tuple[str, str], State] | None:
    """Return the states of the requirements by dialect and id; the newest report wins.

    Requirements of the level INFO and known failures are left out. Returns ``None`` if
    there is no report.
    """
    if not documents:
        return None
    return {
        (each.server.dialect, entry.id): _STATES.get(entry.status, State.OPEN)
        for each in sorted(documents, key=lambda each: each.made)
        for entry in each.requirements
        if entry.level is not Level.INFO and not entry.expected
    }


def terminal(found: Signoff, *, width: int = USUAL) -> list[str]:
    """Return the comparison as lines of at most ``width`` columns."""
    lines = wrapped(heading(found), width)
    for outcome in _ORDER:
        chosen = [row for row in rows(found) if row.outcome is outcome]
        lines += ["", f"{outcome.value}:"] if chosen else []
        for row in chosen:
            change = f", {row.change}" if row.change else ""
            line = f"{row.part}: {row.what}: {row.old} -> {row.new}{change}"
            lines += wrapped(line, width, first="  ", then="    ")
    for note in notes(found):
        lines += ["", *wrapped(note, width, then="  ")]
    return lines


def markdown_text(found: Signoff) -> str:
    """Return the comparison as Markdown."""
    cells = [
        [_mark(row), *map(markdown, (row.part, row.what, row.old, row.new, row.change))]
        for row in sorted_rows(found)
    ]
    lines = [
        f"## {TITLE}",
        "",
        markdown(heading(found)),
        "",
        markdown_table(_HEAD, cells),
    ]
    lines += [f"- {markdown(note)}" for note in notes(found)]
    return "\n".join(lines) + "\n"


def html(found: Signoff) -> str:
    """Return the comparison as an HTML page."""
    cells = [
        [
            f'<span class="mark {_KINDS[row.outcome]}">{row.outcome.value}</span>',
            *map(text, (row.part, row.what, row.old, row.new, row.change)),
        ]
        for row in sorted_rows(found)
    ]
    items = "".join(f"<li>{text(note)}</li>\n" for note in notes(found))
    verdict = found.verdict.value
    body = (
        f'<p class="result mark {verdict.lower()}">{text(heading(found))}</p>\n'
        + table("comparison of the releases", _HEAD, cells)
        + (f"<h2>Notes</h2>\n<ul>\n{items}</ul>\n" if items else "")
    )
    return page(f"{TITLE}: {verdict}", body)


def _mark(row: Row) -> str:
    mark = row.outcome.value
    return f"**{mark}**" if row.outcome is Outcome.WORSE else mark


def heading(found: Signoff) -> str:
    """Return one line: the verdict, and how many rows have each outcome."""
    counts = Counter(row.outcome for row in rows(found))
    parts = [f"{counts[each]} {each.value}" for each in _ORDER if counts[each]]
    names = f"{printable(found.old.name)} -> {printable(found.new.name)}"
    return f"{found.verdict.value}: {names}: {', '.join(parts) or 'nothing compared'}"


def sorted_rows(found: Signoff) -> list[Row]:
    """Return the rows; the rows about what became worse come first."""
    return sorted(rows(found), key=lambda row: _ORDER.index(row.outcome))


def rows(found: Signoff) -> list[Row]:
    """Return a row for each thing that was compared."""
    made = [_requirements(found), *map(_test, found.tests), _lost(found)]
    return list(chain(*made, _capacities(found)))


def _requirements(found: Signoff) -> Iterator[Row]:
    before, now = found.old.requirements, found.new.requirements
    if before is None or now is None:
        return
    for each in found.requirements:
        states = (each.before, each.now)
        old, new = ("not in the report" if s is None else s.value for s in states)
        what = f"{each.id} ({each.dialect})"
        yield Row("conformance", what, old, new, "", each.outcome)
    if not found.requirements:
        counts = (Counter(states.values()) for states in (before, now))
        old, new = (f"{count[State.SATISFIED]} satisfied" for count in counts)
        what = f"{several(len(now), 'requirement')}, each in the same state"
        yield Row("conformance", what, old, new, "", Outcome.SAME)


def _test(each: TestChange) -> Iterator[Row]:
    name, found = printable(each.test), each.comparison
    if found is None:
        text = "only one release has this test"
        yield Row("test", name, _NONE, _NONE, text, Outcome.UNDECIDED)
        return
    if not found.pairs:
        text = " ".join(comparison.failures(found)).partition(": ")[2]
        yield Row("test", name, _NONE, _NONE, text, Outcome.UNDECIDED)
        return
    several_runs = len({*each.runs}) > 1
    for change, run in zip(found.changes, each.runs, strict=True):
        part = "error rate" if change.name in ("wer", "cer") else "latency"
        yield Row(
            part,
            f"{change.name} of {name}",
            value(change, change.before),
            value(change, change.now),
            _change(change) + (f", {printable(run)}" if several_runs else ""),
            change.outcome,
        )


def _change(change: Change) -> str:
    if change.invalid is not None:
        return comparison.change_line(change).partition(": ")[2]
    scale, (low, high) = change.margin.scale, change.interval
    margin = shown(change.margin.size, scale)
    told = f"{shown(change.effect, scale, '+')} ({interval(low, high, scale)})"
    told += f", margin {margin}, p={change.p:.2g}, {several(change.n, 'pair')}"
    if change.within_spread and change.effect:
        told += ", within the range of the old runs"
    if change.too_few:
        told += f", too few clips ({change.clips} of {change.needed})"
    return told


def _lost(found: Signoff) -> Iterator[Row]:
    if found.lost is None:
        return
    old, new = (f"{lost} of {n}" for lost, n in (found.lost.before, found.lost.now))
    yield Row("sessions", "lost", old, new, f"p={found.lost.p:.2g}", found.lost.outcome)


def _capacities(found: Signoff) -> Iterator[Row]:
    for each in found.capacities:
        old, new = (trend.shown(point, Unit.COUNT) for point in (each.before, each.now))
        what = f"streams of {printable(each.test)}"
        yield Row("capacity", what, old, new, "", each.outcome)


def notes(found: Signoff) -> list[str]:
    """Return a sentence for everything that limits the comparison."""
    lines = []
    if found.compared and found.old.runs:
        old = several(len(found.old.runs), "run")
        if len(found.compared) == 1:
            new = f"{printable(found.compared[0])} of the new release is"
        else:
            new = (
                "for each metric, the median change of "
                f"{len(found.compared)} runs of the new release is shown,"
            )
        lines.append(
            f"latency and error rate: {new} compared with {old} of the old release"
        )
    for what, sides in (
        ("report of a run", (found.old.runs, found.new.runs)),
        ("conformance report", (found.old.requirements, found.new.requirements)),
    ):
        without = [
            name
            for name, each in zip(("old", "new"), sides, strict=True)
            if each is None or each == ()
        ]
        if len(without) == 2:
            lines.append(f"not compared: neither release has a {what}")
        elif without:
            lines.append(f"not compared: the {without[0]} release has no {what}")
    lines += [
        f"{printable(run.name)} was interrupted"
        for run in (*found.old.runs, *found.new.runs)
        if run.interrupted
    ]
    context = [
        (release.runs[-1].context if release.runs else {})
        for release in (found.old, found.new)
    ]
    lines += [
        f"{printable(name)}: {printable(context[0].get(name, '') or 'none')} -> "
        f"{printable(context[1].get(name, '') or 'none')}"
        for name in dict.fromkeys((*context[0], *context[1]))
        if all(context) and context[0].get(name) != context[1].get(name)
    ]
    for each in found.tests:
        if each.comparison is not None and each.comparison.pairs:
            lines += [
                f"{printable(each.test)}: {printable(line)}"
                for line in comparison.summary(each.comparison)
                if line.startswith(("only ", "not paired: "))
            ]
    return lines
