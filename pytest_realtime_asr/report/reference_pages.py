"""Generates pages of the documentation from the requirements."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.report.protocol_links import anchor
from pytest_realtime_asr.report.sources import linked
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.trace.records import Sender

_LEVELS = {
    Level.MUST: "the server's own documentation demands the behaviour, or a violation "
    "harms every client: the process ends, accepted input gets no answer, text of "
    "another session is sent, the start or end of an utterance is lost, or a stack "
    "trace or a secret is shown. A violation fails the test.",
    Level.SHOULD: "clients rely on this behaviour. A violation is reported, and fails "
    "the test only with `--realtime-strict`.",
    Level.INFO: "a documented quirk. A violation is reported and never fails a test.",
}


def conformance(dialect: Dialect) -> str:
    """Return the page of all requirements and scenarios of a dialect."""
    lines = [
        f"# {_heading(dialect)}",
        "",
        "This page is generated from the requirements by `tools/make_docs.py`. "
        f"[The protocol of the dialect `{dialect.name}`](protocols/{dialect.name}.md) "
        "has the events with their fields, the codes of errors and, for each "
        "requirement, an exchange of frames that meets it and one that violates it.",
        "",
        *_binding_servers(dialect),
        "",
        *_binding_clients(dialect),
        "",
        *_scenarios(dialect),
        "",
        *_order(dialect),
    ]
    return "\n".join(lines)


def _binding_servers(dialect: Dialect) -> Iterator[str]:
    binding = [r for r in dialect.requirements if r.binds is Sender.SERVER]
    counts = {level: sum(r.level is level for r in binding) for level in Level}
    by_level = ", ".join(f"{count} {level.name}" for level, count in counts.items())
    suites = [
        f"`{name}`"
        for name in pinned_suites.names()
        if pinned_suites.load(name).dialect == dialect.name
    ]
    yield (
        f"{len(binding)} requirements bind a server: {by_level}. Pinned suites, for "
        f"`--realtime-suite`: {', '.join(suites)}."
    )
    yield ""
    for level, text in _LEVELS.items():
        yield f"- **{level.name}**: {text}"
    yield ""
    yield (
        "A *passive* requirement is checked in every session of every test, including "
        "your own tests. The others are checked in the sessions of their scenarios."
    )
    yield ""
    yield "| id | level | requirement | clause or bug report | versions | scenarios |"
    yield "|---|---|---|---|---|---|"
    for each in binding:
        names = ", ".join(each.scenarios)
        names = f"passive ({names})" if each.passive else names
        page = f"protocols/{dialect.name}.md#{anchor(each.id)}"
        clause = linked(each.clause, levels=_levels(dialect))
        yield (
            f"| [`{each.id}`]({page}) | {each.level.name} | {each.title} | {clause} | "
            f"{each.interval or 'all'} | {names} |"
        )


def _binding_clients(dialect: Dialect) -> Iterator[str]:
    yield "## Requirements on the client"
    yield ""
    yield (
        "The fake server checks its clients by these requirements. The suite checks "
        "its own client too: a violation by this client is a harness error and is "
        "never attributed to the server."
    )
    yield ""
    yield "| id | level | requirement | clause |"
    yield "|---|---|---|---|"
    for each in dialect.requirements:
        if each.binds is Sender.CLIENT:
            clause = linked(each.clause, levels=_levels(dialect))
            yield f"| `{each.id}` | {each.level.name} | {each.title} | {clause} |"


def _levels(dialect: Dialect) -> str:
    """Return the address of the section that explains the levels."""
    return f"#{anchor(_heading(dialect))}"


def _heading(dialect: Dialect) -> str:
    return f"Requirements of the dialect `{dialect.name}`"


def _scenarios(dialect: Dialect) -> Iterator[str]:
    yield "## Scenarios"
    yield ""
    yield (
        "A scenario is what the suite does to a server. *Safe* scenarios run on every "
        "server. *Heavy* and *disruptive* scenarios run only on a loopback address or "
        "with `--realtime-allow`. While an *exclusive* scenario runs, only *long* "
        "scenarios run beside it. Two sessions show whether it harms other clients: "
        "the *bystander* session transcribes all the time, and the *fresh* session "
        "opens after the scenario."
    )
    yield ""
    yield "| scenario | what is done | harm | concurrency | connections |"
    yield "|---|---|---|---|---|"
    for each in scenarios(dialect).values():
        yield (
            f"| `{each.name}` | {each.about} | {each.harm.value} | "
            f"{each.concurrency.value} | {each.sessions} |"
        )


def _order(dialect: Dialect) -> Iterator[str]:
    yield "## The order of events"
    yield ""
    for sender, states in dialect.table.items():
        yield f"Events that the {sender.value} may send, by the state of the session:"
        yield ""
        yield "| state | event | state after it |"
        yield "|---|---|---|"
        for state, moves in states.items():
            for move, followers in moves.items():
                yield f"| {state} | `{move}` | {' or '.join(followers)} |"
        yield ""
