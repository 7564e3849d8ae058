"""The pytest plugin: registers its options, markers, fixtures and hooks.

Every pytest run in this Python environment imports this module and, through it,
`hooks`, `fixtures`, `options`, `raw_options` and `tally`. These modules import the
other modules of the package only when a test needs them. No module of the package
imports this one.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import pytest

from pytest_realtime_asr.plugin import fixtures
from pytest_realtime_asr.plugin.hooks import RealtimePlugin
from pytest_realtime_asr.plugin.options import COMMANDS, GROUPS, MARKERS, Option


def pytest_addoption(parser: pytest.Parser) -> None:
    for group in GROUPS:
        name = f"realtime speech recognition, {group.title}"
        found = parser.getgroup(name, name)
        for option in group.options:
            found.addoption(option.cli, **_arguments(option))
            kind: Literal["linelist", "string"] = (
                "linelist" if option.many else "string"
            )
            parser.addini(option.ini, option.help, type=kind, default=None)


def _arguments(option: Option) -> dict[str, Any]:
    """Return the arguments with which argparse adds an option."""
    help = option.help.replace("%", "%%")  # argparse would format it
    kwargs: dict[str, Any] = {"dest": option.ini, "help": help, "default": None}
    if option.flag:
        return kwargs | {"action": "store_true"}
    action = "append" if option.many else "store"
    return kwargs | {"metavar": option.metavar, "action": action}


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run the command of an option such as ``--realtime-list`` instead of the tests.

    Returns the exit code, or ``None`` if no such option is set.
    """
    if config.getoption("help") or config.getoption("version"):
        return None
    given = [
        name for name in COMMANDS if config.getoption(f"realtime_{name}") is not None
    ]
    if not given:
        return None
    from pytest_realtime_asr.plugin import commands

    return commands.run(given[0], config)


@pytest.hookimpl(tryfirst=True)  # before pytest-asyncio warns
def pytest_configure(config: pytest.Config) -> None:
    # pytest-asyncio is there because of this plugin, perhaps in a project that has no
    # asynchronous fixture. A project that sets the option keeps its value.
    warnings.filterwarnings(
        "ignore",
        r'The configuration option "asyncio_default_fixture_loop_scope" is unset',
        pytest.PytestDeprecationWarning,
    )
    for name, text in MARKERS.items():
        config.addinivalue_line("markers", name + text)
    plugin = RealtimePlugin(config)
    config.pluginmanager.register(plugin, "realtime-plugin")
    config.pluginmanager.register(fixtures, "realtime-fixtures")
    plugin.configure()
