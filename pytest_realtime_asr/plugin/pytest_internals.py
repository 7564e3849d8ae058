"""Functions that use undocumented parts of pytest; no other module uses such parts."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest
from _pytest.config.findpaths import load_config_dict_from_file
from _pytest.junitxml import bin_xml_escape, xml_key

# In the order in which pytest looks for them.
_INI_FILES = (
    *("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"),
    *("pyproject.toml", "tox.ini", "setup.cfg"),
)
Fixture = pytest.FixtureDef[object]


def configure(config: pytest.Config) -> None:
    """Configure pytest's plugins, so that a command without tests can use the cache."""
    config._do_configure()


def new_folder(config: pytest.Config) -> Path:
    """Make a temporary folder and return its path.

    A later run of pytest removes the folder, even if a signal ends this run. With
    ``-p no:tmpdir``, pytest does not remove the folder.
    """
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is None:
        return Path(tempfile.mkdtemp(prefix="pytest-realtime-"))
    made: Path = factory.mktemp("realtime")
    return made


def cache_folder(cache: pytest.Cache, name: str) -> Path:
    """Return the folder that ``cache.mkdir(name)`` would make, without making it."""
    return cache._cachedir / cache._CACHE_PREFIX_DIRS / name


def failure_lines(report: object) -> list[str] | None:
    """Return the lines of a failure that ``pytest.fail(..., pytrace=False)`` raised.

    The list is a part of the report, so a change of the list changes the report.
    Returns ``None`` for any other failure.
    """
    entries = getattr(
        getattr(getattr(report, "longrepr", None), "reprtraceback", None),
        "reprentries",
        (),
    )
    lines = getattr(entries[-1], "lines", None) if entries else None
    return lines if isinstance(lines, list) else None


def fixtures_of_item(item: pytest.Item, name: str) -> tuple[Fixture, ...]:
    """Return all definitions of a fixture that a test can see; the last one is used."""
    info = getattr(item, "_fixtureinfo", None)
    return tuple(info.name2fixturedefs.get(name, ())) if info else ()


def fixtures_of_function(metafunc: pytest.Metafunc, name: str) -> tuple[Fixture, ...]:
    """Return all definitions of a fixture that a test function can see.

    This function is called during the collection.
    """
    return tuple(metafunc._arg2fixturedefs.get(name, ()))


def skip_at_test(reason: str) -> NoReturn:
    """Skip the running test; pytest shows the place of the test, not of this call."""
    raise pytest.skip.Exception(reason, _use_item_location=True)


def kept_exception(item: pytest.Item) -> BaseException | None:
    """Return the exception that a test method of unittest raised, or ``None``.

    Pytest stores such an exception and reports it later.
    """
    kept = getattr(item, "_excinfo", None)
    return kept[0].value if kept else None


def ini_file(folder: Path) -> tuple[Path, Collection[str]] | None:
    """Return the ini file for the tests of a folder, and the names of its options.

    Returns ``None`` if pytest reads no ini file there. Raises ValueError if a file
    cannot be read.
    """
    for place in (folder, *folder.parents):
        for path in (place / name for name in _INI_FILES):
            if not path.is_file():
                continue
            try:
                found = load_config_dict_from_file(path)
            except pytest.UsageError as error:
                raise ValueError(str(error)) from None
            if found is not None:
                return path, found.keys()
    return None


def junit_properties(config: pytest.Config) -> list[tuple[str, str]] | None:
    """Return the properties of the whole run in JUnit XML.

    Returns ``None`` if the run writes no JUnit XML.
    """
    xml = config.stash.get(xml_key, None)
    return None if xml is None else xml.global_properties


def output_to_junit(
    config: pytest.Config, report: pytest.TestReport, text: str
) -> None:
    """Add a text as ``system-out`` to the JUnit XML of a test."""
    if (xml := config.stash.get(xml_key, None)) is not None:
        output = ElementTree.Element("system-out")
        output.text = bin_xml_escape(text)
        xml.node_reporter(report).append(output)


def join_outputs(config: pytest.Config) -> None:
    """Join the elements ``system-out`` of each test case in JUnit XML into one.

    GitLab does not read test cases with several of these elements. Call this function
    when all tests have ended and the file is not written yet.
    """
    xml = config.stash.get(xml_key, None)
    for reporter in () if xml is None else xml.node_reporters_ordered:
        case = reporter.to_xml()
        outputs = case.findall("system-out")
        for each in outputs[1:]:
            outputs[0].text = f"{outputs[0].text or ''}\n{each.text or ''}"
            case.remove(each)


def properties_to_output(config: pytest.Config) -> None:
    """Replace the properties of each test in JUnit XML by JSON in ``system-out``.

    Call this function when all tests have ended and the file is not written yet.
    """
    xml = config.stash.get(xml_key, None)
    for reporter in () if xml is None else xml.node_reporters_ordered:
        case = reporter.to_xml()
        if (found := case.find("properties")) is None:
            continue
        values = {each.get("name"): each.get("value") for each in found}
        case.remove(found)
        output = ElementTree.SubElement(case, "system-out")
        output.text = json.dumps(values, ensure_ascii=False)


def runs(node: Any) -> bool:
    """Return whether a worker of xdist still runs as a child of this process."""
    process = _process(node)
    return process is not None and process.poll() is None


def interrupt_worker(node: Any) -> None:
    """Send SIGTERM to a worker of xdist, if its process is a child of this process."""
    if (process := _process(node)) is not None:
        process.send_signal(signal.SIGTERM)


def _process(node: Any) -> subprocess.Popen[bytes] | None:
    return getattr(getattr(node.gateway, "_io", None), "popen", None)


def log_handlers(config: pytest.Config) -> Iterator[logging.Handler]:
    """Yield the handlers that write logs to the terminal and to a file."""
    logs = config.pluginmanager.get_plugin("logging-plugin")
    for name in ("log_cli_handler", "log_file_handler"):
        if (handler := getattr(logs, name, None)) is not None:
            yield handler
