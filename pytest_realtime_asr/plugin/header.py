"""The lines that a run prints before its tests: about the server and about the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.plugin import suite
from pytest_realtime_asr.report import planning, summary

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin


def target(plugin: RealtimePlugin) -> str:
    """Ask the server under test for its model; return a line about the server.

    Raises UsageError.
    """
    state = plugin.state
    if plugin.options.flag("conformance"):
        suite.checked(state)  # the dialect may be detected only now
    url = state.targets.url(plugin.options.text("target"), state.detect().dialect)
    try:
        return summary.introduce(
            state.judging.run,
            url,
            state.settings.corpus,
            perturb=state.settings.perturb,
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None


def plan(plugin: RealtimePlugin, scenarios: list[list[str]] | None) -> list[str]:
    """Return lines that describe what the suite will do and what it will cost.

    ``scenarios`` has one list for each requirement that is judged: the names of its
    scenarios. ``None`` stands for all requirements. Raises UsageError.
    """
    state = plugin.state
    settings = state.detect()
    if settings.dialect == AUTO:
        return []  # the plan depends on the dialect
    try:
        return planning.plan(
            settings.run,
            settings.suite,
            state.corpus(),
            scenarios,
            target=plugin.config.getoption("realtime_target") or settings.target,
            whole=plugin.options.flag("plan"),
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
