"""Whether a server keeps its protocol: one test for each requirement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr.conformance import clips, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.results import (
    RESULT,
    SCHEDULER,
    Judged,
    Result,
    Row,
    Status,
    missing,
    result,
)
from pytest_realtime_asr.conformance.scenario_run import RunConfig
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import Scheduler
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.trace.records import Trace

pytestmark = pytest.mark.realtime(rules="off")
_ANSWER = 10.0  # s at most in which a refusal has to come


def test_requirement(
    requirement: Requirement,
    request: pytest.FixtureRequest,
    realtime_suite_config: SuiteConfig,
    realtime_trace_file: Callable[[Trace], str],
) -> None:
    try:
        realtime: Realtime = request.getfixturevalue("realtime")
        corpus = request.getfixturevalue("corpus")
        scheduler = _scheduler(request, realtime, corpus, realtime_suite_config)
    except pytest.fail.Exception as error:  # every requirement has the same cause
        server = Judged(target="", dialect="", model="", version="", suite="")
        row = Row(server, missing(requirement, str(error)))
    else:
        _begin(request, realtime, scheduler, requirement)
        row = Row(
            _judged(realtime),
            result(
                requirement,
                scheduler,
                realtime.plan.dialect,
                version=realtime.plan.version,
                model=realtime.plan.model,
                known=realtime.run.config.known,
                keep=realtime_trace_file,
            ),
        )
    request.node.stash[RESULT] = row
    _decide(row.result, strict=realtime_suite_config.strict)


def _decide(found: Result, *, strict: bool) -> None:
    if found.fails(strict=strict):
        pytest.fail(found.told, pytrace=False)
    if found.expected and found.status is Status.VIOLATED:
        pytest.xfail(f"{found.expected}: {found.seen}")
    if found.status not in (Status.SATISFIED, Status.VIOLATED):
        pytest.skip(f"{found.status.value}: {found.seen}")


def _scheduler(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    corpus: Corpus,
    config: SuiteConfig,
) -> Scheduler:
    """The scenarios of this process."""
    stash, run = request.config.stash, realtime.run
    if SCHEDULER not in stash:
        try:
            spoken = clips.choose(corpus)
        except ValueError as error:
            pytest.fail(str(error), pytrace=False)
        server, session = run.config.server, run.config.session
        # What a fixture names elsewhere may be anybody's: only what is here is broken.
        here = realtime.plan.access.target.loopback
        run_config = RunConfig(
            run.loop,
            realtime.plan,
            spoken,
            answer=min(_ANSWER, session.timeout),
            fuzz=selection.fuzz(config, here=here),
            seed=request.config.getoption("--hypothesis-seed", default=None),
        )
        scheduler = Scheduler(
            run_config,
            scenarios(realtime.plan.dialect),
            selection.bounds(config, here=here),
            recover=server.recover,
            progress=run.tell,
        )
        stash[SCHEDULER] = scheduler, realtime.plan.dialect, _judged(realtime)
    return stash[SCHEDULER][0]


def _begin(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    scheduler: Scheduler,
    requirement: Requirement,
) -> None:
    """Begin the scenarios of all tests, or of this one where workers take turns."""
    run = realtime.run
    names = set(requirement.scenarios)
    if run.shared:
        run.take_turn(run.ledger)
    else:
        for item in request.session.items:
            for mark in item.iter_markers("realtime_requirement"):
                names.update(mark.kwargs["scenario"].split(" "))
    scheduler.start(names, before=run.turns.occupy, over=run.turns.vacate)


def _judged(realtime: Realtime) -> Judged:
    pinned = realtime.run.config.pinned
    return Judged(
        target=realtime.target,
        dialect=realtime.dialect,
        model=realtime.model,
        version=realtime.plan.version,
        suite="" if pinned is None else pinned.name,
        found=realtime.plan.found,
    )
