"""Judges whether a server follows its protocol: one test for each requirement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr.conformance import clips, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.results import (
    SCHEDULER,
    Result,
    ServerInfo,
    ServerResult,
    Status,
    judge,
    missing,
)
from pytest_realtime_asr.conformance.scenario_run import RunConfig
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import Scheduler
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.trace.records import Trace

pytestmark = pytest.mark.realtime(rules="off")
_ANSWER = 10.0  # s at most within which a refusal has to arrive


def test_requirement(
    requirement: Requirement,
    request: pytest.FixtureRequest,
    realtime_suite_config: SuiteConfig,
    realtime_trace_file: Callable[[Trace], str],
    realtime_record_result: Callable[[ServerResult], str],
) -> None:
    try:
        realtime: Realtime = request.getfixturevalue("realtime")
        corpus = request.getfixturevalue("corpus")
        scheduler = _scheduler(request, realtime, corpus, realtime_suite_config)
    except pytest.fail.Exception as error:  # the same for every requirement
        server = ServerInfo(target="", dialect="", model="", version="", suite="")
        found = ServerResult(server, missing(requirement, str(error)))
    else:
        _start(request, realtime, scheduler, requirement)
        result = judge(
            requirement,
            scheduler,
            realtime.plan.dialect,
            version=realtime.plan.version,
            model=realtime.plan.model,
            known=realtime.run.config.known,
        )
        session = result.session
        trace = None if session is None else realtime_trace_file(session.trace)
        found = ServerResult(_server_info(realtime), result, trace)
    message = realtime_record_result(found)
    _decide(found.result, message, strict=realtime_suite_config.strict)


def _decide(found: Result, message: str, *, strict: bool) -> None:
    """Let the test fail, xfail, be skipped or pass, as the result requires."""
    if found.fails(strict=strict):
        pytest.fail(message, pytrace=False)
    if found.known is not None and found.status is Status.VIOLATED:
        pytest.xfail(f"{found.known}: {found.reason}")
    if found.status not in (Status.SATISFIED, Status.VIOLATED):
        pytest.skip(f"{found.status.value}: {found.reason}")


def _scheduler(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    corpus: Corpus,
    config: SuiteConfig,
) -> Scheduler:
    """Return the scheduler of this process; the first test creates the scheduler."""
    stash, run = request.config.stash, realtime.run
    if SCHEDULER not in stash:
        try:
            # What the scenarios compare is true of the clips, not of clips in noise.
            chosen = clips.choose(corpus.originals())
        except ValueError as error:
            pytest.fail(str(error), pytrace=False)
        server, session = run.config.server, run.config.session
        # Only a server on this machine is stressed, since a server elsewhere may
        # have other users.
        here = realtime.plan.access.target.loopback
        run_config = RunConfig(
            run.loop,
            realtime.plan,
            chosen,
            answer=min(_ANSWER, session.timeout),
            fuzz=selection.fuzz(config, here=here),
            seed=request.config.getoption("--hypothesis-seed", default=None),
        )
        scheduler = Scheduler(
            run_config,
            scenarios(realtime.plan.dialect),
            selection.bounds(config, here=here),
            recover=server.recover,
            progress=run.progress,
        )
        stash[SCHEDULER] = scheduler, realtime.plan.dialect, _server_info(realtime)
    return stash[SCHEDULER][0]


def _start(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    scheduler: Scheduler,
    requirement: Requirement,
) -> None:
    """Start the scenarios of all tests, or only of this test if workers take turns."""
    run = realtime.run
    names = set(requirement.scenarios)
    if run.shared:
        run.take_turn(run.ledger)
    else:
        for item in request.session.items:
            for mark in item.iter_markers("realtime_requirement"):
                names.update(mark.kwargs["scenario"].split(" "))
    scheduler.start(names, before=run.turns.occupy, over=run.turns.vacate)


def _server_info(realtime: Realtime) -> ServerInfo:
    pinned = realtime.run.config.pinned
    return ServerInfo(
        target=realtime.target,
        dialect=realtime.dialect,
        model=realtime.model,
        version=realtime.plan.version,
        suite="" if pinned is None else pinned.name,
        found=realtime.plan.found,
    )
