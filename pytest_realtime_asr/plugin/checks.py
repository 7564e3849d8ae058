"""Refuses unusable settings before the first test runs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import target as targets
from pytest_realtime_asr.client.dialect_detection import AUTO, advice
from pytest_realtime_asr.load.permission import load_refusal, overload_refusal
from pytest_realtime_asr.plugin.options import BY_NAME, LOAD_OPTIONS
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.report import planning
from pytest_realtime_asr.requirements import known_failures
from pytest_realtime_asr.run.fakes import is_started


def check(state: State) -> None:
    """Raise UsageError for settings that cannot work."""
    settings, options = state.settings, state.options
    _refuse_expanded_pattern(state)
    _refuse_load_out_of_real_time(state)
    if not state.options.flag("plan"):
        _refuse_forbidden_load(state)
    _ = state.earlier  # reading the earlier reports finds their errors
    for name in settings.corpus:
        try:
            state.refuse_overwritten(Path(name))
        except ValueError as error:
            raise options.usage_error("corpus", error) from None
    if settings.dialect == AUTO:
        _refuse_unknown_dialect(state)
    else:
        state.check_session_options(settings)
    _check_known_failures(state)


def _refuse_expanded_pattern(state: State) -> None:
    """Raise UsageError if the shell has expanded a pattern of earlier reports.

    Pytest would take the paths of the reports for paths of tests.
    """
    stray = [word for word in state.config.args if word.endswith(".jsonl")]
    if stray and state.settings.comparison.reports:
        raise state.options.usage_error(
            "compare",
            f"{stray[0]} is a report, but pytest takes it as a path of tests, perhaps "
            "because the shell has expanded a pattern; quote the pattern, as in "
            "--realtime-compare='nightly/*.jsonl'",
        )


def _refuse_load_out_of_real_time(state: State) -> None:
    """Raise UsageError for options that cannot be used with a packaged load test.

    Latencies under load can only be judged if the audio is sent in real time and no
    other worker runs sessions. A baseline server gets no load, so it cannot be
    compared.
    """
    options, run = state.options, state.settings.run
    for name in filter(options.text, LOAD_OPTIONS):
        asked = BY_NAME[name].cli
        if run.session.pace != 1:
            raise options.usage_error(
                "pace", f"{asked} needs audio in real time; give --realtime-pace=1"
            )
        beside = {
            "parallel": run.parallel,
            "baseline-target": bool(state.settings.comparison.target),
        }
        for other in (other for other, given in beside.items() if given):
            raise options.usage_error(
                other, f"this option cannot be used with {asked}; omit one of them"
            )


def _refuse_forbidden_load(state: State) -> None:
    """Raise UsageError if the options do not allow the load of a packaged test."""
    settings = state.settings
    beyond = may_overload(settings)
    for name, cost in planning.load_costs(settings.suite, beyond=beyond).items():
        why = load_refusal(
            cost,
            here=_is_here(settings.target),
            allowed=settings.run.load.allow,
            max_audio=settings.run.max_audio,
            whole=name != "capacity",  # a search may end earlier
        )
        if why is not None:
            raise state.options.usage_error(name, why)


def may_overload(settings: Settings) -> bool:
    """Return whether a search may put more load on the server than its capacity."""
    allowed = settings.run.load.allow
    here = _is_here(settings.target)
    return overload_refusal(here=here, allowed=allowed) is None


def _is_here(target: str) -> bool:
    """Return whether the server of a target is on this machine."""
    return not target or is_started(target) or targets.parse(target, path="").loopback


def _refuse_unknown_dialect(state: State) -> None:
    """Raise UsageError if the suite is to run and no dialect can be detected."""
    if state.options.flag("plan"):
        why = "--realtime-plan sends nothing, so no dialect can be detected"
    elif state.options.flag("conformance") and not state.settings.target:
        why = (
            "--realtime-conformance: there is no target whose dialect can be "
            "detected; pass --realtime-target=URL or, if the fixture "
            "realtime_target returns the target"
        )
    else:
        return
    raise pytest.UsageError(f"{why}, {advice()}")


def _check_known_failures(state: State) -> None:
    known, named = state.settings.run.known, state.settings.dialect
    if not known:
        return
    try:
        names = dialects.installed() if named == AUTO else [named]
        found = [each for name in names for each in dialects.load(name).requirements]
        known_failures.check(known, {each.id for each in found}, date.today())
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    except ValueError as error:
        raise state.options.usage_error("known-failures", error) from None
