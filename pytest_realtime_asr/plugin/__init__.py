"""The pytest plugin: its options, and the one object that has its hooks and its state.

Every pytest run in the environment pays for what this module imports, and for what
`hooks`, `fixtures`, `options` and `tally` import. They import everything else where a
test first needs it. Nothing imports this module.
"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.plugin import fixtures
from pytest_realtime_asr.plugin.hooks import RealtimePlugin
from pytest_realtime_asr.plugin.options import COMMANDS, MARKERS, OPTIONS


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("realtime", "realtime speech recognition")
    for option in OPTIONS:
        kwargs: dict[str, Any] = {"dest": option.ini, "help": option.help}
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
    """Run a command, such as a list of the metrics, in place of the tests."""
    if config.getoption("help") or config.getoption("version"):
        return None
    given = [
        name for name in COMMANDS if config.getoption(f"realtime_{name}") is not None
    ]
    if not given:
        return None
    from pytest_realtime_asr.plugin import commands

    return commands.run(given[0], config)


def pytest_configure(config: pytest.Config) -> None:
    for name, text in MARKERS.items():
        config.addinivalue_line("markers", name + text)
    plugin = RealtimePlugin(config)
    config.pluginmanager.register(plugin, "realtime-plugin")
    config.pluginmanager.register(fixtures, "realtime-fixtures")
    plugin.configure()
