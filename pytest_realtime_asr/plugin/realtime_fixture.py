"""Makes the value of the fixture `realtime` for a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.client.dialect_detection import AUTO, advice
from pytest_realtime_asr.client.plan import OptionsError, Plan
from pytest_realtime_asr.client.target import replayed
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.corpus import CorpusError
from pytest_realtime_asr.fake import recordings
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
from pytest_realtime_asr.plugin import items
from pytest_realtime_asr.plugin.options import is_suite
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.run.fakes import FAKES, is_replay
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.reporters import refer
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.inputs import InputError

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin

Options = Mapping[str, object]


class Unusable(Exception):
    """Raised if the fixture cannot be made; the message says why, and what to do."""


def make(
    plugin: RealtimePlugin, item: pytest.Item, target: object, options: Options
) -> Realtime:
    """Return the value of the fixture `realtime` for a test. Raises `Unusable`.

    ``target`` and ``options`` are the values of the fixtures `realtime_target` and
    `realtime_session_options`; the command line overrides both.
    """
    getoption = plugin.config.getoption
    try:
        state = plugin.state
        # If getfixturevalue asks for the fixture, the reports are not locked yet.
        state.lock_reports()
    except pytest.UsageError as error:
        raise Unusable(str(error)) from None
    if getoption("realtime_session_options"):
        options = state.settings.run.session.options
    target = getoption("realtime_target") or target
    try:
        terms = _with_dialect(items.terms(item, state), target, state)
        if not plugin.uses(item):  # getfixturevalue asked for the fixture
            state.judging.begin(item.nodeid)
        baseline = _baseline(state, terms, options)
        plan = _plan(state, target, terms, options)
        if why := terms.unmeasurable(plan.dialect):
            raise Unusable(f"realtime: {why}")
        host = state.judging.run.servers.last_host
        # The suite tries a mute server once more, and keeps the trace of the session.
        if host is not None and host.mute and not is_suite(item):
            raise Unreachable(host.mute)
    except (AudioError, CorpusError) as error:
        raise Unusable(str(state.options.usage_error("corpus", error))) from None
    except OptionsError as error:
        message = f"realtime: {error}"
        where = items.redefined(item, "realtime_session_options")
        if where and not getoption("realtime_session_options"):
            message += f"; see the fixture realtime_session_options ({where})"
        raise Unusable(message) from None
    except (Unreachable, InputError, pytest.UsageError) as error:
        raise Unusable(f"realtime target: {error}") from None
    except LookupError as error:
        raise Unusable(f"realtime target: {error.args[0]}") from None
    return Realtime(state.judging.run, plan, terms, baseline=baseline)


def refuse(plugin: RealtimePlugin, item: pytest.Item, why: str) -> NoReturn:
    """Fail a test for which the fixture cannot be made, or skip the test.

    The first test with the reason ``why`` fails. Each later test with this reason is
    skipped and refers to the first test. A test of a requirement always fails here; the
    suite then decides whether the test is reported as failed or skipped.
    """
    try:
        state = plugin.state
        first = items.reporter(item, state, why)
    except pytest.UsageError:  # an option is wrong
        pytest.fail(why, pytrace=False)
    if items.judges_requirement(item) or first == items.name(item, state):
        pytest.fail(why, pytrace=False)
    item.stash[items.UNTESTED] = True
    pytest.skip(refer(first))


def _plan(state: State, target: object, terms: Terms, options: Options) -> Plan:
    url = state.targets.url(target, terms.dialect)
    replayed = is_replay(target)
    return state.judging.run.servers.plan(url, terms, options, replayed=replayed)


def _baseline(state: State, terms: Terms, options: Options) -> Plan | None:
    """Return the plan of the sessions with the baseline server.

    Returns ``None`` if there is no baseline server. The plan judges no requirements,
    since the baseline server is not judged. Raises `Unusable`.
    """
    other = state.settings.comparison.target
    if not other:
        return None
    try:
        where = state.targets.url(other, _spoken_by_target(terms, state))
        plan = state.judging.run.servers.plan(
            where, terms, options, baseline=True, replayed=is_replay(other)
        )
    except (AudioError, CorpusError, OptionsError):
        raise
    except (Unreachable, InputError, pytest.UsageError) as error:
        raise Unusable(f"realtime baseline target: {error}") from None
    except LookupError as error:
        raise Unusable(f"realtime baseline target: {error.args[0]}") from None
    return replace(plan, rules=())


def _spoken_by_target(terms: Terms, state: State) -> str:
    """Return the dialect of the target, which a fake baseline server speaks too."""
    found = terms.dialect if terms.dialect != AUTO else state.detect().dialect
    return DEFAULT_DIALECT if found == AUTO else found


def _with_dialect(terms: Terms, target: object, state: State) -> Terms:
    """Return the terms of a test; for a fake server, set the default dialect.

    A target from the options may keep `AUTO`, since its dialect is detected later. A
    folder of recordings has the dialect of its recordings. Raises UsageError for any
    other target if no dialect is named.
    """
    if terms.dialect != AUTO or target == state.settings.target:
        return terms
    if isinstance(target, str) and target in FAKES:
        return replace(terms, dialect=DEFAULT_DIALECT)
    if isinstance(target, str) and (folder := replayed(target)) is not None:
        return replace(terms, dialect=recordings.find(Path(folder)).dialect)
    raise pytest.UsageError(
        "the dialect cannot be detected, since the fixture realtime_target returns the "
        f"target; {advice()}"
    )
