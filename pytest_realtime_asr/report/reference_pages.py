"""Pages of the documentation that are made from the data."""

from __future__ import annotations

from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.trace.records import Sender

_LEVELS = {
    Level.MUST: "the server's own documentation of that version says so, or the harm "
    "is universal: the process dies, accepted input is met with silence, another "
    "session's text comes, a head or a tail is lost, a stack trace or a secret is "
    "shown. A violation fails the test.",
    Level.SHOULD: "what clients rely on. A violation is shown, and fails the test with "
    "`--realtime-strict`.",
    Level.INFO: "an oddity that is documented. A violation tells that the server is "
    "otherwise, and fails nothing.",
}


def conformance(dialect: Dialect) -> str:
    """The page of all requirements and scenarios of a dialect."""
    binding = [r for r in dialect.requirements if r.binds is Sender.SERVER]
    client = [r for r in dialect.requirements if r.binds is Sender.CLIENT]
    counts = {level: sum(r.level is level for r in binding) for level in Level}
    told = ", ".join(f"{count} {level.name}" for level, count in counts.items())
    suites = [
        n
        for n in pinned_suites.names()
        if pinned_suites.load(n).dialect == dialect.name
    ]
    lines = [
        f"# Requirements of the dialect `{dialect.name}`",
        "",
        "This page is made from the requirements themselves by `tools/make_docs.py`.",
        "",
        f"{len(binding)} requirements bind a server: {told}. Frozen suites, for "
        f"`--realtime-suite`: {', '.join(f'`{name}`' for name in suites)}.",
        "",
        *(f"- **{level.name}**: {text}" for level, text in _LEVELS.items()),
        "",
        "One that is *passive* needs no scenario: it is put to every session of every "
        "test, your own as well. The others are judged by what their scenarios gave.",
        "",
        "| id | level | the requirement | clause or bug report | for | scenarios |",
        "|---|---|---|---|---|---|",
    ]
    for each in binding:
        held = ", ".join(each.scenarios)
        held = f"passive ({held})" if each.passive else held
        lines.append(
            f"| `{each.id}` | {each.level.name} | {each.title} | {each.clause} | "
            f"{each.interval or 'all versions'} | {held} |"
        )
    lines += [
        "",
        "## What binds a client",
        "",
        "The fake server judges its clients by these, and the suite judges itself: "
        "what it breaks of them is a harness error and never the server's.",
        "",
        "| id | level | the requirement | clause |",
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
        "What is done to a server. *Safe* ones run anywhere; *heavy* and *disruptive* "
        "ones on a loopback address, or with `--realtime-allow`. *Exclusive* ones "
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
            f"What the {sender.value} may say, by the state of the session:",
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
