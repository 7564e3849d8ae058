"""Judges whether a server follows its protocol, with one test for each requirement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.results import (
    Result,
    ServerInfo,
    ServerResult,
    Status,
    missing,
)
from pytest_realtime_asr.conformance.scheduler import Scheduler
from pytest_realtime_asr.conformance.suite_run import asked_scenarios, suite_run
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.trace.records import Trace

pytestmark = pytest.mark.realtime(rules="off")


def test_requirement(
    requirement: Requirement,
    request: pytest.FixtureRequest,
    realtime_suite_config: SuiteConfig,
    realtime_trace_file: Callable[[Trace], str],
    realtime_record_result: Callable[[ServerResult], str],
    realtime_reporter: Callable[[str], str],
) -> None:
    try:
        realtime: Realtime = request.getfixturevalue("realtime")
        corpus = request.getfixturevalue("corpus")
        run = suite_run(request, realtime, corpus, realtime_suite_config)
    except pytest.fail.Exception as error:  # the same for every requirement
        server = ServerInfo(target="", dialect="", model="", version="", suite="")
        reporter = realtime_reporter(str(error))
        found = ServerResult(
            server, missing(requirement, str(error), reporter=reporter)
        )
    else:
        _start(request, realtime, run.scheduler, requirement)
        result = run.judge(requirement)
        session = result.session
        trace = None if session is None else realtime_trace_file(session.trace)
        found = ServerResult(run.server, result, trace)
    message = realtime_record_result(found)
    _decide(found.result, message, strict=realtime_suite_config.strict)


def _decide(found: Result, message: str, *, strict: bool) -> None:
    """Fail, xfail, skip or pass the test, as the result requires."""
    if found.fails(strict=strict):
        pytest.fail(message, pytrace=False)
    if found.known is not None and found.status is Status.VIOLATED:
        pytest.xfail(f"{found.known}: {found.reason}")
    if found.status not in (Status.SATISFIED, Status.VIOLATED):
        pytest.skip(f"{found.status.value}: {found.reason}")


def _start(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    scheduler: Scheduler,
    requirement: Requirement,
) -> None:
    """Start the scenarios that the run needs.

    If workers share the run, only the scenarios of ``requirement`` are started.
    Otherwise the scenarios of all tests are started.
    """
    run = realtime.run
    names = set(requirement.scenarios)
    if run.shared:
        run.take_turn(run.ledger)
    else:
        names |= asked_scenarios(request.session.items)
    scheduler.start(names, before=run.turns.occupy, over=run.turns.vacate)
