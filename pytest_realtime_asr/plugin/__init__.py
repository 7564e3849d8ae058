"""The pytest plugin: registers its options, markers, fixtures and hooks.

Every pytest run in this Python environment imports this module and, through it,
`hooks`, `fixtures`, `options` and `tally`. These modules import the other modules of
the package only when a test needs them. No module of the package imports this one.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from pytest_realtime_asr.plugin import fixtures
from pytest_realtime_asr.plugin.hooks import RealtimePlugin
from pytest_realtime_asr.plugin.options import COMMANDS, MARKERS, OPTIONS


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("realtime", "realtime speech recognition")
    for option in OPTIONS:
        help = option.help.replace("%", "%%")  # argparse would format it
        kwargs: dict[str, Any] = {"dest": option.ini, "help": help}
        if option.flag:
            kwargs |= {"action": "store_true", "default": None}
        else:
            kwargs |= {"metavar": option.metavar, "default": None}
            kwargs |= {"action": "append" if option.many else "store"}
        group.addoption(option.cli, **kwargs)
        if option.many:
            parser.addini(option.ini, option.help, type="linelist", default=None)
        else:
            parser.addini(option.ini, option.help, type="string", default=None)


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
