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

# Every module in the order of the layers: each imports only what stands above it here.
ORDER = (
    "redaction",
    "options",
    "inputs",
    "salvage",
    "termination",
    "audio",
    "trace",
    "stats",
    "figures",
    "timeline",
    "corpus",
    "evidence",
    "rules",
    "frames",
    "known",
    "frozen",
    "target",
    "exercise",
    "dialects",
    "metrics.tokens",
    "metrics.latency",
    "metrics.pacing",
    "metrics.accuracy",
    "metrics.endpoint",
    "metrics.emission",
    "metrics.words",
    "metrics.causality",
    "metrics.stability",
    "metrics",
    "yardstick",
    "judges",
    "universal",
    "dialects.openai.events",
    "dialects.openai.g711",
    "dialects.openai.profile",
    "dialects.openai.detection",
    "dialects.openai.session",
    "dialects.openai.caller",
    "dialects.openai.reader",
    "dialects.openai.server",
    "dialects.openai.misuses",
    "dialects.openai.exercises",
    "dialects.openai.judges",
    "dialects.openai.requirements",
    "dialects.openai",
    "dialects.vllm.events",
    "dialects.vllm.misuses",
    "dialects.vllm.reader",
    "dialects.vllm.server",
    "dialects.vllm.requirements",
    "dialects.vllm",
    "budgets",
    "verdicts",
    "wer",
    "headline",
    "parity",
    "comparison",
    "limits",
    "settings",
    "terms",
    "ledger",
    "transport",
    "probe",
    "discovery",
    "loop",
    "application",
    "session",
    "run",
    "realtime",
    "fake",
    "fake.recogniser",
    "fake.fingerprint",
    "fake.scripted",
    "fake.pocketsphinx",
    "fake.machine",
    "fake.losses",
    "fake.items",
    "fake.faults",
    "fake.variety",
    "fake.connection",
    "fake.server",
    "fake.nursery",
    "fake.process",
    "fake.fleet",
    "calibration",
    "report",
    "report.files",
    "report.catalogue",
    "report.transcript",
    "report.junit",
    "report.jsonl",
    "report.terminal",
    "report.progress",
    "report.tally",
    "report.summary",
    "judging",
    "conformance",
    "conformance.clips",
    "conformance.stage",
    "conformance.script",
    "conformance.mutation",
    "conformance.play",
    "conformance.fuzz",
    "conformance.search",
    "conformance.scenarios",
    "conformance.suite",
    "conformance.selection",
    "conformance.results",
    "conformance.proofs",
    "conformance.selftest",
    "conformance.test_requirements",
    "conformance.test_speech",
    "report.pytest_report",
    "report.conformance",
    "report.listing",
    "report.markdown",
    "report.planning",
    "__main__",
)
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


def test_the_order_names_every_room() -> None:
    assert sorted(ORDER) == sorted(set(ROOMS) - DOORS)


def test_imports_go_down_only() -> None:
    for place, room in enumerate(ORDER):
        used = imported(ast.parse(ROOMS[room].read_text()), set(ROOMS))
        later = used - set(ORDER[:place])
        assert not later, f"{room} imports {later}, which stand in no layer below it"


@pytest.mark.parametrize("room", sorted(ORDER))
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
