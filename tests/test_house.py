"""The law of the house: imports go down only, and loading the plugin is cheap."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_realtime_asr
from pytest_realtime_asr import dialects

PACKAGE = "pytest_realtime_asr"
ROOT = Path(pytest_realtime_asr.__file__).parent
DOORS = {"__init__", "plugin"}  # what they import, they import lazily

# Who may import whom: a room, and the rooms below it that it uses. The order of the
# rows is that of the floors, so that every room stands above all that it imports.
LAW: dict[str, set[str]] = {
    # ground
    "options": set(),
    "audio": set(),
    "trace": set(),
    "stats": set(),
    "figures": set(),
    "timeline": {"trace"},
    # first floor
    "corpus": {"audio"},
    "evidence": {"corpus", "timeline", "trace"},
    "rules": {"evidence", "figures", "trace"},
    "frames": {"evidence", "trace"},
    "known": {"rules"},
    "frozen": {"rules", "trace"},
    "target": set(),
    "exercise": set(),
    "dialects": {"corpus", "evidence", "exercise", "rules", "timeline", "trace"},
    "metrics.latency": {"timeline"},
    "metrics.pacing": {"timeline", "stats", "metrics.latency"},
    "metrics.accuracy": set(),
    "metrics.endpoint": {"metrics.latency", "timeline"},
    "metrics.tokens": {"timeline"},
    "metrics.emission": {"metrics.accuracy", "metrics.tokens", "timeline"},
    "metrics.words": {"metrics.emission", "stats"},
    "metrics.stability": {"metrics.latency", "metrics.tokens", "timeline"},
    "metrics": {
        "metrics.emission",
        "metrics.endpoint",
        "metrics.latency",
        "metrics.pacing",
        "metrics.stability",
        "metrics.words",
        "timeline",
    },
    "yardstick": {"corpus", "metrics.accuracy"},
    "judges": {
        "corpus",
        "evidence",
        "frames",
        "metrics.accuracy",
        "metrics.latency",
        "metrics.pacing",
        "rules",
        "timeline",
        "trace",
        "yardstick",
    },
    "universal": {"evidence", "exercise", "judges", "rules", "trace"},
    "dialects.openai.events": {"frames", "rules", "trace"},
    "dialects.openai.g711": set(),
    "dialects.openai.profile": set(),
    "dialects.openai.detection": set(),
    "dialects.openai.session": {"dialects.openai.g711", "dialects.openai.profile"},
    "dialects.openai.caller": {
        "dialects.openai.events",
        "dialects.openai.profile",
        "dialects.openai.session",
    },
    "dialects.openai.reader": {
        "dialects.openai.events",
        "dialects.openai.session",
        "evidence",
        "timeline",
        "trace",
    },
    "dialects.openai.server": {
        "dialects",
        "dialects.openai.detection",
        "dialects.openai.events",
        "dialects.openai.profile",
        "dialects.openai.session",
        "frames",
        "timeline",
        "trace",
    },
    "dialects.openai.misuses": {
        "dialects.openai.events",
        "dialects.openai.profile",
        "exercise",
        "universal",
    },
    "dialects.openai.exercises": {
        "dialects.openai.events",
        "dialects.openai.misuses",
        "dialects.openai.profile",
        "dialects.openai.session",
        "exercise",
    },
    "dialects.openai.judges": {
        "dialects.openai.events",
        "dialects.openai.misuses",
        "dialects.openai.profile",
        "evidence",
        "judges",
        "rules",
        "trace",
    },
    "dialects.openai.requirements": {
        "dialects.openai.events",
        "dialects.openai.exercises",
        "dialects.openai.judges",
        "dialects.openai.misuses",
        "dialects.openai.profile",
        "judges",
        "rules",
        "trace",
        "universal",
    },
    "dialects.openai": {
        "dialects",
        "dialects.openai.caller",
        "dialects.openai.events",
        "dialects.openai.exercises",
        "dialects.openai.misuses",
        "dialects.openai.profile",
        "dialects.openai.reader",
        "dialects.openai.requirements",
        "dialects.openai.server",
        "evidence",
        "trace",
    },
    "dialects.vllm.events": {"frames", "rules", "trace"},
    "dialects.vllm.misuses": {"dialects.vllm.events", "exercise", "universal"},
    "dialects.vllm.reader": {"dialects.vllm.events", "evidence", "timeline", "trace"},
    "dialects.vllm.server": {
        "dialects",
        "dialects.vllm.events",
        "frames",
        "timeline",
        "trace",
    },
    "dialects.vllm.requirements": {
        "dialects.vllm.events",
        "dialects.vllm.misuses",
        "evidence",
        "judges",
        "rules",
        "trace",
        "universal",
    },
    "dialects.vllm": {
        "dialects",
        "frames",
        "dialects.vllm.events",
        "dialects.vllm.misuses",
        "dialects.vllm.reader",
        "dialects.vllm.requirements",
        "dialects.vllm.server",
        "evidence",
        "exercise",
        "trace",
    },
    "budgets": {"metrics", "metrics.accuracy"},
    "verdicts": {"budgets", "figures", "metrics", "metrics.pacing", "stats"},
    "wer": {"budgets", "metrics.accuracy", "stats", "verdicts"},
    "headline": {
        "budgets",
        "figures",
        "metrics",
        "metrics.accuracy",
        "verdicts",
        "wer",
    },
    "parity": {"corpus", "metrics.accuracy", "verdicts", "yardstick"},
    "comparison": {"figures", "metrics", "metrics.accuracy", "stats"},
    "limits": set(),
    "settings": {
        "budgets",
        "comparison",
        "dialects",
        "frozen",
        "known",
        "limits",
        "options",
        "rules",
        "verdicts",
    },
    "terms": {"budgets", "rules", "settings", "verdicts"},
    "ledger": {
        "budgets",
        "comparison",
        "corpus",
        "dialects",
        "evidence",
        "headline",
        "metrics",
        "metrics.accuracy",
        "metrics.pacing",
        "parity",
        "rules",
        "stats",
        "terms",
        "timeline",
        "trace",
        "verdicts",
        "wer",
    },
    # second floor
    "transport": {"target"},
    "probe": {"transport"},
    "discovery": {"dialects", "probe", "trace", "transport"},
    "loop": {"trace"},
    "application": set(),
    "session": {
        "audio",
        "dialects",
        "evidence",
        "figures",
        "loop",
        "rules",
        "timeline",
        "trace",
        "transport",
    },
    "run": {
        "audio",
        "comparison",
        "corpus",
        "dialects",
        "evidence",
        "discovery",
        "known",
        "ledger",
        "loop",
        "metrics.latency",
        "metrics.pacing",
        "options",
        "parity",
        "probe",
        "rules",
        "session",
        "settings",
        "target",
        "terms",
        "trace",
        "transport",
    },
    "realtime": {
        "corpus",
        "dialects",
        "evidence",
        "ledger",
        "parity",
        "rules",
        "run",
        "session",
        "terms",
        "timeline",
        "trace",
        "verdicts",
        "wer",
    },
    "fake": set(),
    "fake.recogniser": set(),
    "fake.fingerprint": set(),
    "fake.scripted": {"corpus", "fake.fingerprint", "fake.recogniser"},
    "fake.pocketsphinx": {"fake.recogniser"},
    "fake.machine": {"dialects", "timeline"},
    "fake.losses": {"dialects", "fake.machine", "timeline"},
    "fake.items": {"dialects", "fake.machine", "timeline"},
    "fake.faults": {
        "dialects",
        "fake.items",
        "fake.losses",
        "fake.machine",
        "timeline",
    },
    "fake.variety": {"dialects", "fake.machine", "timeline"},
    "fake.connection": set(),
    "fake.server": {
        "audio",
        "dialects",
        "fake.connection",
        "fake.faults",
        "fake.machine",
        "fake.recogniser",
        "fake.variety",
        "timeline",
        "trace",
    },
    "fake.nursery": {"corpus", "dialects", "fake.scripted", "fake.server"},
    "fake.process": {"dialects", "fake.server", "options", "rules", "trace"},
    "fake.fleet": {"fake.process", "options", "settings"},
    "calibration": {
        "corpus",
        "dialects",
        "fake.process",
        "loop",
        "metrics",
        "run",
        "session",
        "stats",
        "target",
        "timeline",
        "transport",
    },
    # top
    "report": set(),
    "report.catalogue": {"metrics"},
    "report.transcript": {"figures", "trace"},
    "report.junit": {"ledger", "metrics", "rules", "verdicts"},
    "report.jsonl": {"audio", "comparison", "corpus", "ledger", "metrics.accuracy"},
    "report.terminal": {"ledger", "metrics.accuracy"},
    "report.progress": set(),
    "report.tally": set(),
    "report.summary": {
        "report.terminal",
        "run",
        "target",
        "transport",
    },
    "judging": {
        "budgets",
        "comparison",
        "ledger",
        "options",
        "report.jsonl",
        "report.junit",
        "report.terminal",
        "run",
        "terms",
        "trace",
    },
    "conformance": set(),
    "conformance.clips": {"audio", "corpus"},
    "conformance.stage": {
        "audio",
        "conformance.clips",
        "corpus",
        "dialects",
        "evidence",
        "loop",
        "probe",
        "session",
        "trace",
        "transport",
    },
    "conformance.script": {"corpus"},
    "conformance.mutation": set(),
    "conformance.play": {
        "conformance.script",
        "conformance.stage",
        "dialects",
        "evidence",
        "judges",
        "rules",
        "session",
        "trace",
    },
    "conformance.fuzz": {
        "conformance.mutation",
        "conformance.play",
        "conformance.script",
        "trace",
    },
    "conformance.search": {
        "conformance.fuzz",
        "conformance.play",
        "conformance.script",
        "conformance.stage",
        "corpus",
        "evidence",
    },
    "conformance.scenarios": {
        "conformance.clips",
        "conformance.play",
        "conformance.search",
        "conformance.stage",
        "corpus",
        "dialects",
        "exercise",
        "judges",
        "rules",
        "session",
        "target",
        "trace",
        "transport",
    },
    "conformance.suite": {
        "conformance.scenarios",
        "conformance.stage",
        "dialects",
        "evidence",
        "judges",
        "probe",
        "rules",
        "session",
        "trace",
        "transport",
    },
    "conformance.selection": {
        "conformance.clips",
        "conformance.scenarios",
        "conformance.stage",
        "conformance.suite",
        "dialects",
        "options",
        "rules",
        "settings",
        "trace",
    },
    "conformance.results": {
        "conformance.suite",
        "dialects",
        "evidence",
        "known",
        "report.transcript",
        "rules",
        "trace",
    },
    "conformance.proofs": {"dialects", "trace"},
    "conformance.selftest": {
        "conformance.clips",
        "conformance.proofs",
        "conformance.results",
        "conformance.scenarios",
        "conformance.stage",
        "conformance.suite",
        "corpus",
        "dialects",
        "fake.nursery",
        "loop",
        "rules",
        "session",
        "target",
        "trace",
        "transport",
    },
    "conformance.test_requirements": {
        "conformance.clips",
        "conformance.results",
        "conformance.scenarios",
        "conformance.selection",
        "conformance.stage",
        "conformance.suite",
        "corpus",
        "realtime",
        "rules",
        "trace",
    },
    "conformance.test_speech": {"corpus", "realtime"},
    "report.conformance": {"conformance.results", "rules"},
    "report.listing": {
        "conformance.selection",
        "dialects",
        "frozen",
        "metrics",
        "options",
        "settings",
    },
    "report.markdown": {
        "conformance.scenarios",
        "dialects",
        "frozen",
        "rules",
        "trace",
    },
    "report.planning": {
        "conformance.clips",
        "conformance.scenarios",
        "conformance.selection",
        "corpus",
        "dialects",
        "options",
        "settings",
        "target",
    },
    "__main__": {
        "budgets",
        "corpus",
        "dialects",
        "fake.faults",
        "fake.pocketsphinx",
        "fake.recogniser",
        "fake.scripted",
        "fake.server",
        "options",
        "report.conformance",
    },
}
LAZY = {"__main__": {"fake.pocketsphinx"}}  # an optional part is imported when asked


def rooms() -> dict[str, Path]:
    """Every module of the package by its name within it."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "__init__"
        found[name] = path
    return found


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """The rooms that a tree imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            head, _, room = node.module.partition(".")
            if head != PACKAGE:
                continue
            for alias in node.names:
                inner = f"{room}.{alias.name}".lstrip(".")
                found.add(inner if inner in known else room)
        elif isinstance(node, ast.Import):
            names = [alias.name.partition(".") for alias in node.names]
            found.update(room for head, _, room in names if head == PACKAGE)
    return found - {""}


ROOMS = rooms()


def test_the_law_names_every_room() -> None:
    assert set(LAW) == set(ROOMS) - DOORS


@pytest.mark.parametrize("room", sorted(LAW))
def test_a_room_imports_only_what_the_law_allows(room: str) -> None:
    tree = ast.parse(ROOMS[room].read_text())
    assert imported(tree, set(ROOMS)) == LAW[room]


def test_imports_go_down_only() -> None:
    seen: set[str] = set()
    for room, below in LAW.items():
        assert below <= seen, f"{room} imports {below - seen}, which stand above it"
        seen.add(room)


@pytest.mark.parametrize("room", sorted(LAW))
def test_no_import_stands_in_a_function(room: str) -> None:
    tree = ast.parse(ROOMS[room].read_text())
    inner = {
        name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in imported(function, set(ROOMS))
    }
    assert inner == LAZY.get(room, set())


def test_nobody_imports_the_plugin() -> None:
    for room, path in ROOMS.items():
        assert "plugin" not in imported(ast.parse(path.read_text()), set(ROOMS)), room


def test_the_public_names_are_those_that_are_there() -> None:
    assert sorted(pytest_realtime_asr._HOMES) == pytest_realtime_asr.__all__
    for name in pytest_realtime_asr.__all__:
        assert getattr(pytest_realtime_asr, name).__module__.startswith(PACKAGE)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pytest_realtime_asr.nothing


def test_the_plugin_costs_those_who_do_not_use_it_few_modules() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules);"
        f"import {PACKAGE}.plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    added = done.stdout.split()
    assert [name for name in added if name.startswith(PACKAGE)]
    assert len(added) <= 5, added


# Where a dialect may be named outside its own rooms, by the texts that name it.
NAMED = {
    "options": {"vllm"},  # what our own servers speak where nobody says
    "conformance.proofs": {"openai", "vllm"},  # which faults break whose requirements
    "fake.server": {  # as vLLM calls its metrics
        "vllm:websocket_connections_active",
        "vllm:websocket_connections_total",
    },
}


def texts(tree: ast.AST) -> set[str]:
    """The text literals of a tree, but for docstrings."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in told
    }


@pytest.mark.parametrize(
    "room", [room for room in sorted(ROOMS) if not room.startswith("dialects.")]
)
def test_no_dialect_is_named_outside_its_rooms(room: str) -> None:
    tree = ast.parse(ROOMS[room].read_text())
    rooms = imported(tree, set(ROOMS))
    assert not [name for name in rooms if name.startswith("dialects.")]
    name = re.compile(f"({'|'.join(dialects.installed())})(:.*)?")
    assert set(filter(name.fullmatch, texts(tree))) <= NAMED.get(room, set())


WORDS = ("utils", "helper", "common", "handler", "manager", "factory", "client", "base")


def test_a_room_is_a_plain_noun() -> None:
    for room in ROOMS:
        assert not any(word in room for word in WORDS), room
