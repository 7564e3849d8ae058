"""The architecture: imports go down only, and loading the plugin is cheap."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_realtime_asr
from pytest_realtime_asr import dialects

PACKAGE = "pytest_realtime_asr"
ROOT = Path(pytest_realtime_asr.__file__).parent
# What these import, they import lazily: every pytest run pays for them.
DOORS = {"__init__", "plugin", "plugin.hooks", "plugin.fixtures"}

# The layers of the package, the lowest first. A module imports its own package and the
# layers below it; the packages of one layer do not import each other.
LAYERS = (
    ("text",),
    ("audio", "stats", "slope"),
    ("trace", "corpus"),
    ("perturb",),
    ("metrics",),
    ("requirements",),
    ("dialects",),
    ("dialect_api",),
    ("verdicts",),
    ("client",),
    ("fake",),
    ("fault_api",),
    ("load",),
    ("run",),
    ("conformance",),
    ("report",),
    ("plugin",),
    ("cli",),
    ("__main__",),
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
LAZY = {  # an optional part is imported when it is asked for
    "cli.fake": {"fake.recognisers.pocketsphinx"},
    "load.executors": {"load.dask_cluster"},
    "plugin.targets": {"client.asgi"},
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name within it."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__") or "__init__"
        found[name] = path
    return found


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """The modules that a tree imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            head, _, module = node.module.partition(".")
            if head != PACKAGE:
                continue
            for alias in node.names:
                inner = f"{module}.{alias.name}".lstrip(".")
                found.add(inner if inner in known else module)
        elif isinstance(node, ast.Import):
            names = [alias.name.partition(".") for alias in node.names]
            found.update(module for head, _, module in names if head == PACKAGE)
    return found - {""}


MODULES = modules()


IMPORTS = {
    module: imported(ast.parse(path.read_text()), set(MODULES)) - {module}
    for module, path in MODULES.items()
}


def test_the_layers_name_every_package() -> None:
    packages = {module.partition(".")[0] for module in MODULES}
    assert set(HEIGHT) == packages - {"__init__"}


def test_imports_go_down_only() -> None:
    upward = {
        f"{module} -> {used}"
        for module, imports in IMPORTS.items()
        for used in imports
        if module not in DOORS
        and (here := module.partition(".")[0]) != (there := used.partition(".")[0])
        and HEIGHT[there] >= HEIGHT[here]
    }
    assert upward == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    order = graphlib.TopologicalSorter(
        {module: used for module, used in IMPORTS.items() if module not in DOORS}
    )
    assert list(order.static_order())


@pytest.mark.parametrize("module", sorted(set(MODULES) - DOORS))
def test_only_listed_functions_import_modules(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    inner = {
        name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in imported(function, set(MODULES))
    }
    assert inner == LAZY.get(module, set())


def test_no_module_has_more_than_700_lines() -> None:
    sizes = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: size for name, size in sizes.items() if size > 700} == {}


def test_no_module_imports_the_plugin() -> None:
    for module in MODULES:
        assert "plugin" not in IMPORTS[module], module


def test_each_public_name_can_be_imported() -> None:
    assert sorted(pytest_realtime_asr._HOMES) == pytest_realtime_asr.__all__
    for name in pytest_realtime_asr.__all__:
        assert getattr(pytest_realtime_asr, name).__module__.startswith(PACKAGE)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pytest_realtime_asr.nothing


def test_an_unused_plugin_imports_few_modules() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules);"
        f"import {PACKAGE}.plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    added = done.stdout.split()
    assert [name for name in added if name.startswith(PACKAGE)]
    assert len(added) <= 7, added


# The packages of single dialects; what is beside them serves every dialect.
ROOMS = {path.parent.name for path in (ROOT / "dialects").glob("*/__init__.py")}

# Where a dialect may be named outside its own modules, by the texts that name it.
NAMED = {
    "fake.process": {"vllm"},  # the dialect of a fake whose dialect is not named
    "fake.http_routes": {  # as vLLM calls its metrics
        "vllm:websocket_connections_active",
        "vllm:websocket_connections_total",
    },
    "report.sources": {"vllm", "sglang-omni"},  # repositories that clauses name
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
    "module",
    [module for module in sorted(MODULES) if not module.startswith("dialects.")],
)
def test_no_dialect_is_named_outside_its_packages(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    used = imported(tree, set(MODULES))
    assert not [name for name in used if ROOMS & set(name.split(".")[1:2])]
    name = re.compile(f"({'|'.join(dialects.installed())})(:.*)?")
    assert set(filter(name.fullmatch, texts(tree))) <= NAMED.get(module, set())


WORDS = ("utils", "helper", "common", "handler", "manager", "factory", "base")


def test_the_name_of_a_module_is_a_noun_for_its_content() -> None:
    for module in MODULES:
        assert not any(word in module for word in WORDS), module
