"""Pages of the documentation that are generated from the requirements."""

from __future__ import annotations

from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.trace.records import Sender

_LEVELS = {
    Level.MUST: "the server's own documentation of that version says so, or the harm "
    "is universal: the process ends, accepted input gets no answer, text of another "
    "session comes, the start or end of an utterance is lost, a stack trace or a "
    "secret is shown. A violation fails the test.",
    Level.SHOULD: "clients rely on it. A violation is reported, and fails the test "
    "only with `--realtime-strict`.",
    Level.INFO: "a documented quirk. A violation is reported and never fails a test.",
}


def conformance(dialect: Dialect) -> str:
    """Return the page of all requirements and scenarios of a dialect."""
    binding = [r for r in dialect.requirements if r.binds is Sender.SERVER]
    client = [r for r in dialect.requirements if r.binds is Sender.CLIENT]
    counts = {level: sum(r.level is level for r in binding) for level in Level}
    by_level = ", ".join(f"{count} {level.name}" for level, count in counts.items())
    suites = [
        n
        for n in pinned_suites.names()
        if pinned_suites.load(n).dialect == dialect.name
    ]
    lines = [
        f"# Requirements of the dialect `{dialect.name}`",
        "",
        "This page is generated from the requirements by `tools/make_docs.py`.",
        "",
        f"{len(binding)} requirements bind a server: {by_level}. Pinned suites, for "
        f"`--realtime-suite`: {', '.join(f'`{name}`' for name in suites)}.",
        "",
        *(f"- **{level.name}**: {text}" for level, text in _LEVELS.items()),
        "",
        "A *passive* requirement applies to every session of every test, also of your "
        "own. The others are checked in the sessions of their scenarios.",
        "",
        "| id | level | requirement | clause or bug report | versions | scenarios |",
        "|---|---|---|---|---|---|",
    ]
    for each in binding:
        names = ", ".join(each.scenarios)
        names = f"passive ({names})" if each.passive else names
        lines.append(
            f"| `{each.id}` | {each.level.name} | {each.title} | {each.clause} | "
            f"{each.interval or 'all'} | {names} |"
        )
    lines += [
        "",
        "## Requirements on the client",
        "",
        "The fake server checks its clients by these. The suite checks its own client "
        "too: a violation there is a harness error, never one of the server.",
        "",
        "| id | level | requirement | clause |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{each.id}` | {each.level.name} | {each.title} | {each.clause} |"
        for each in client
    ]
    lines += [
        "",
        "## Scenarios",
        "",
        "What the suite does to a server. *Safe* scenarios run anywhere, *heavy* and "
        "*disruptive* ones only on a loopback address or with `--realtime-allow`. "
        "*Exclusive* ones "
        "share the server only with a bystander session that transcribes all the time, "
        "and end with a fresh session; *long* ones run beside them.",
        "",
        "| scenario | what is done | harm | concurrency | connections |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{each.name}` | {each.about} | {each.harm.value} | "
        f"{each.concurrency.value} | {each.sessions} |"
        for each in scenarios(dialect).values()
    ]
    lines += ["", "## The order of events", ""]
    for sender, states in dialect.table.items():
        lines += [
            f"What the {sender.value} may send, by the state of the session:",
            "",
            "| state | event | state after it |",
            "|---|---|---|",
        ]
        lines += [
            f"| {state} | `{move}` | {' or '.join(followers)} |"
            for state, moves in states.items()
            for move, followers in moves.items()
        ]
        lines.append("")
    return "\n".join(lines)
