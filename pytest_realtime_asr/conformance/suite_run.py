"""The run of the packaged suite in one process, which all tests of the suite share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from pytest_realtime_asr.conformance import clips, first_utterance, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.cost import cost, total
from pytest_realtime_asr.conformance.results import (
    Findings,
    Result,
    ServerInfo,
    ServerResult,
    is_fatal,
    is_hindered,
    judge,
    lost,
    stopped,
)
from pytest_realtime_asr.conformance.scenario_run import RunConfig
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import REPEATS, EarlyStop, Scheduler
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Requirement, Violated
from pytest_realtime_asr.run.config import time_limits
from pytest_realtime_asr.run.forecast import expected
from pytest_realtime_asr.run.realtime import Realtime

_ANSWER = 10.0  # s at most within which a refusal has to arrive
_AFTER_FAILURE = 5.0  # s, the idle timeout of the gate if the warm-up has failed


@dataclass(slots=True)
class SuiteRun:
    """The scenarios of a run, with the plan of their sessions and the findings so far.

    ``realtime`` is the fixture of the first test; it names the server. ``requirements``
    are the requirements that the run judges. ``judges_losses`` says whether one of
    these requirements judges the rate at which the server loses utterances. If so,
    the utterances that are lost at this rate violate no other requirement.
    """

    scheduler: Scheduler
    realtime: Realtime
    findings: Findings = field(default_factory=Findings)
    judges_losses: bool = False
    requirements: tuple[Requirement, ...] = ()

    @property
    def server(self) -> ServerInfo:
        """The facts about the server for a report."""
        pinned = self.realtime.run.config.pinned
        limit = self.scheduler.session_limit
        return ServerInfo(
            target=self.realtime.target,
            dialect=self.realtime.dialect,
            model=self.realtime.model,
            version=self.realtime.plan.version,
            suite="" if pinned is None else pinned.name,
            found=self.realtime.plan.found,
            max_sessions=None if limit is None else limit.sessions,
            replayed=self.realtime.plan.replayed,
        )

    def judge(self, requirement: Requirement, *, wait: bool = True) -> Result:
        """Wait for the scenarios of a requirement; return the requirement's result.

        If the result depends on the whole run, ``wait`` says whether to wait for all
        scenarios. Without ``wait``, the scenarios that have run so far count as the
        whole run.
        """
        result = self._judged(requirement, wait=wait)
        loss = self.scheduler.loss
        if loss and (is_hindered(result, loss) or is_fatal(result, loss)):
            result = lost(result, loss, self.loss_reporter(requirement.id))
        return self.findings.add(result)

    def loss_reporter(self, test: str) -> str:
        """Return the name of the only test that reports the loss of the server.

        The server was lost in one scenario. The loss is reported by the first
        requirement that needs this scenario and whose result the loss affects. If there
        is no such requirement, or if this process does not run all tests, the method
        returns the ``test`` of its first call. The result of ``test`` must not be
        "satisfied".
        """
        loss = self.scheduler.loss
        run = self.realtime.run
        for each in () if run.shared else self.requirements:
            if loss is None or loss.scenario not in each.scenarios:
                continue
            result = self._judged(each, wait=False)
            if is_hindered(result, loss) or is_fatal(result, loss):
                test = each.id
                break
        # Workers find the loss in different scenarios; one of them reports it.
        return run.reporters.of("the server was lost", test)

    def _judged(self, requirement: Requirement, *, wait: bool) -> Result:
        plan = self.realtime.plan
        whole = self.scheduler.whole if wait else lambda: self.scheduler.everything
        result = judge(
            requirement,
            self.scheduler,
            plan.dialect,
            version=plan.version,
            model=plan.model,
            known=self.realtime.run.config.known,
            whole=whole if self.judges_losses else None,
            replayed=plan.replayed,
        )
        if requirement.id == first_utterance.NAME and result.reason is not None:
            evidence = self.scheduler.collect(requirement.scenarios).evidence
            advised = _with_advice(result.reason, self.realtime, evidence)
            result = replace(result, reason=advised)
        if self.scheduler.stopped is not None:
            result = stopped(result, self.scheduler.reporter(requirement.id))
        return result


_RUN: pytest.StashKey[SuiteRun] = pytest.StashKey()


def suite_run(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    corpus: Corpus,
    config: SuiteConfig,
) -> SuiteRun:
    """Return the run of the suite in this process; the first call creates it."""
    stash = request.config.stash
    if _RUN not in stash:
        try:
            chosen = clips.choose(corpus)
        except ValueError as error:
            pytest.fail(str(error), pytrace=False)
        asked = asked_scenarios(request.session.items)
        after = 0.0
        speaks = any(map(_is_spoken, request.session.items))
        # Without limits and comparisons, the fake server does not get the corpus.
        fake = request.getfixturevalue("realtime_target") == "fake"
        if speaks and (config.measured or not fake):
            after = _spoken_seconds(realtime, corpus)
        scheduler = _scheduler(realtime, chosen, config, asked=asked, after=after)
        judged = tuple(each for _, each in _requirements(request.session.items))
        rated = shared.NO_LOSS.id in {each.id for each in judged}
        stash[_RUN] = SuiteRun(
            scheduler, realtime, judges_losses=rated, requirements=judged
        )
    return stash[_RUN]


def asked_scenarios(items: Iterable[pytest.Item]) -> set[str]:
    """Return the names of the scenarios that the collected tests need."""
    return {
        name
        for item in items
        for mark in item.iter_markers("realtime_requirement")
        for name in mark.kwargs["scenario"].split(" ")
    }


def interrupted(
    config: pytest.Config, items: Iterable[pytest.Item]
) -> dict[str, ServerResult]:
    """Return the results of the tests that an interrupt left out, by node id.

    Such a test has a result if all its scenarios ran before the interrupt.
    """
    if _RUN not in config.stash:
        return {}
    run = config.stash[_RUN]
    return {
        item.nodeid: ServerResult(run.server, run.judge(requirement, wait=False))
        for item, requirement in _requirements(items)
        if run.scheduler.done(requirement.scenarios)
    }


def _is_spoken(item: pytest.Item) -> bool:
    """Return whether this is the test that sends the spoken corpus."""
    return item.nodeid.endswith("::test_spoken_corpus")


def _spoken_seconds(realtime: Realtime, corpus: Corpus) -> float:
    """Return the estimated duration of the test of the spoken corpus, in s."""
    sent = expected(list(corpus), pace=realtime.plan.pace, servers=1)
    return sum(sent or ())


def _requirements(
    items: Iterable[pytest.Item],
) -> Iterator[tuple[pytest.Item, Requirement]]:
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if (requirement := params.get("requirement")) is not None:
            yield item, requirement


def _scheduler(
    realtime: Realtime,
    chosen: clips.Clips,
    config: SuiteConfig,
    *,
    asked: set[str],
    after: float,
) -> Scheduler:
    """Return the scheduler of a run.

    ``after`` is the estimated time in s of the tests that run after the scenarios.
    """
    run = realtime.run
    timeout, host = run.config.session.timeout, run.servers.last_host
    # Only a server on this machine is stressed, since a server elsewhere may have
    # other users.
    here = realtime.plan.access.target.loopback
    bounds = selection.bounds(config, here=here)
    known = scenarios(realtime.plan.dialect)
    run_config = RunConfig(
        run.loop,
        realtime.plan,
        chosen,
        answer=min(_ANSWER, timeout),
        fuzz=selection.fuzz(config, here=here),
        seed=config.fuzz_seed,
    )
    if host is not None and host.failed:
        # The warm-up has waited for the whole idle timeout before.
        limits = time_limits(min(_AFTER_FAILURE, timeout))
        run_config = replace(run_config, first=limits)
    elif _is_cold(realtime):
        limits = time_limits(timeout, wait=run.config.server.wait)
        run_config = replace(run_config, first=limits)
    early_stop = None
    names = {first_utterance.NAME, *asked}
    chosen_scenarios = [each for name, each in known.items() if name in names]
    planned = cost(
        chosen_scenarios,
        chosen,
        bounds,
        pace=realtime.plan.pace,
        requirements=realtime.plan.dialect.requirements,
        used=0.0 if run.account.limit is None else run.account.used,
    )

    def left(waiting: Mapping[str, float]) -> float:
        durations = {
            name: max(0.0, planned.durations[name] - spent)
            for name, spent in waiting.items()
            if name in planned.durations
        }
        return total(chosen_scenarios, durations, bounds.streams) + after

    if not config.keep_going:
        early_stop = EarlyStop(
            gate=lambda evidence: _failure(realtime, evidence),
            seconds=max(2 * planned.seconds, planned.seconds + 2 * timeout),
        )
    return Scheduler(
        run_config,
        known,
        bounds,
        early_stop=early_stop,
        repeats=REPEATS,
        recover=run.config.server.recover,
        account=run.account,
        progress=run.progress,
        left=left,
    )


def _failure(realtime: Realtime, evidence: Evidence) -> str | None:
    """Return why the run stops after the first utterance; ``None`` if it goes on.

    The run goes on if the first utterance violates a requirement that is listed as a
    known failure.
    """
    reason = first_utterance.failure(evidence)
    if reason is None:
        return None
    plan = realtime.plan
    listed = {
        each.id
        for each in realtime.run.config.known
        if each.applies_to(plan.version, plan.model)
    }
    expected = any(
        isinstance(each.check(evidence), Violated)
        for each in plan.rules
        if each.id in listed
    )
    if expected:
        return None
    return _with_advice(reason, realtime, evidence)


def _with_advice(reason: str, realtime: Realtime, evidence: Evidence) -> str:
    """Return the reason why the first utterance failed, with advice on what to try."""
    host = realtime.run.servers.last_host
    advice = first_utterance.advice(
        evidence,
        realtime.plan.dialect.name,
        models=() if host is None else host.models,
        cold=_is_cold(realtime),
    )
    return "; ".join([reason, *advice])


def _is_cold(realtime: Realtime) -> bool:
    """Return whether the server is cold: no warm-up session has received a final."""
    host = realtime.run.servers.last_host
    return realtime.run.config.server.warmup == 0 or (host is not None and host.failed)
