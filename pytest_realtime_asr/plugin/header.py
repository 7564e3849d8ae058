"""The lines about the server and the plan that a run prints before its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.report import planning, summary
from pytest_realtime_asr.run.fakes import FAKES

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin


def target(plugin: RealtimePlugin, *, asked: bool) -> str:
    """Return one line that describes the server under test.

    ``asked`` says that the server may be asked for its model. Raises UsageError.
    """
    text = plugin.options.text("target")
    if not asked:
        return text if text in FAKES else summary.shown(text)
    state = plugin.state
    url = state.targets.url(text, state.detect().dialect)
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
    """Return the lines that show what the suite will do and what it will cost.

    ``scenarios`` are the names of the scenarios of each requirement that runs, and
    ``None`` if all requirements run. Raises UsageError.
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
