"""Functions that use undocumented parts of pytest; no other module uses such parts."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.junitxml import xml_key

Fixture = pytest.FixtureDef[object]


def configure(config: pytest.Config) -> None:
    """Configure pytest's plugins for a command, so that pytest's cache exists."""
    config._do_configure()


def new_folder(config: pytest.Config) -> Path:
    """Make a temporary folder and return its path.

    A later run of pytest removes the folder, even if a signal ends this run. With
    ``-p no:tmpdir``, pytest does not remove the folder.
    """
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is None:
        return Path(tempfile.mkdtemp(prefix="pytest-realtime-"))
    made: Path = factory.mktemp("realtime", numbered=False)
    return made


def fixtures_of_item(item: pytest.Item, name: str) -> tuple[Fixture, ...]:
    """Return a fixture's definitions that a test can see; the test uses the last."""
    info = getattr(item, "_fixtureinfo", None)
    return tuple(info.name2fixturedefs.get(name, ())) if info else ()


def fixtures_of_function(metafunc: pytest.Metafunc, name: str) -> tuple[Fixture, ...]:
    """Return a fixture's definitions that a test function can see.

    This function is called during the collection.
    """
    return tuple(metafunc._arg2fixturedefs.get(name, ()))


def kept_exception(item: pytest.Item) -> BaseException | None:
    """Return the exception that a test method of unittest raised, or ``None``.

    Pytest stores such an exception and reports it later.
    """
    kept = getattr(item, "_excinfo", None)
    return kept[0].value if kept else None


def junit_properties(config: pytest.Config) -> list[tuple[str, str]] | None:
    """Return the properties of the whole run in JUnit XML.

    Returns ``None`` if the run writes no JUnit XML.
    """
    xml = config.stash.get(xml_key, None)
    return None if xml is None else xml.global_properties


def log_handlers(config: pytest.Config) -> Iterator[logging.Handler]:
    """Yield the handlers that write logs to the terminal and to a file."""
    logs = config.pluginmanager.get_plugin("logging-plugin")
    for name in ("log_cli_handler", "log_file_handler"):
        if (handler := getattr(logs, name, None)) is not None:
            yield handler
