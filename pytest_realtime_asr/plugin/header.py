"""The lines that a run prints before its tests: about the server and about the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.plugin import checks, items, suite
from pytest_realtime_asr.plugin.utterance_progress import utterance
from pytest_realtime_asr.report import planning, summary
from pytest_realtime_asr.run.fakes import is_replay

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin


def target(plugin: RealtimePlugin) -> str:
    """Ask the server under test for its model; return a line about the server.

    Raises UsageError.
    """
    state = plugin.state
    if plugin.options.flag("conformance"):
        suite.checked(state)  # the dialect may be detected only now
    named = plugin.options.text("target")
    url = state.targets.url(named, state.detect().dialect)
    try:
        return summary.introduce(
            state.judging.run,
            url,
            state.settings.corpus,
            perturb=state.settings.perturb,
            replayed=named if is_replay(named) else "",
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None


def plan(
    plugin: RealtimePlugin, scenarios: list[list[str]] | None, *, speaks: bool
) -> list[str]:
    """Return lines that describe what the suite will do and what it will cost.

    ``scenarios`` has, for each requirement that is judged, the names of its scenarios.
    ``None`` stands for all requirements. If ``scenarios`` is empty, only the spoken
    corpus is sent. Otherwise, ``speaks`` says whether the spoken corpus is sent in
    addition to the scenarios. Raises UsageError.
    """
    state = plugin.state
    if scenarios == []:
        target = plugin.config.getoption("realtime_target") or state.settings.target
        try:
            line = planning.spoken(
                state.settings.run,
                state.corpus(),
                target=target,
                baseline=state.settings.comparison.target,
            )
            return [line]
        except AudioError:  # the test says why
            return []
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
            baseline=settings.comparison.target,
            whole=plugin.options.flag("plan"),
            speaks=speaks,
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def load(plugin: RealtimePlugin) -> list[str]:
    """Return lines about what the packaged tests under load will send."""
    settings = plugin.state.settings
    return planning.load(settings.suite, beyond=checks.may_overload(settings))


def own(plugin: RealtimePlugin, tests: Sequence[pytest.Item]) -> list[str]:
    """Return lines about what the tests outside of the packaged suite will send.

    With ``-q``, there are no lines. There are also no lines if the audio or the corpus
    cannot be read, since then the tests report the error.
    """
    if plugin.config.option.verbose < 0:
        return []
    state = plugin.state
    given: list[tuple[Utterance, float]] = []
    free: list[float] = []  # the pace of each test
    uses_corpus = False
    for item in tests:
        if not (state.settings.target or items.redefined(item, "realtime_target")):
            return []  # no server is named
        names = getattr(item, "fixturenames", ())
        if not {"realtime", "realtime_session"} & set(names):
            continue
        try:
            pace = items.terms(item, state).pace
        except pytest.UsageError:
            return []
        if (clip := utterance(item)) is not None:
            given.append((clip, pace))
        else:
            free.append(pace)
            uses_corpus |= "corpus" in names
    try:
        corpus = state.corpus() if free and uses_corpus else None
        settings = state.settings
        return planning.own(
            settings.run,
            given,
            free,
            corpus,
            target=settings.target,
            baseline=settings.comparison.target,
        )
    except (pytest.UsageError, AudioError):
        return []
