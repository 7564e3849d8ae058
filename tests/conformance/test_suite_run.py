"""Which requirement reports that the server was lost during the suite."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.results import Result, Status
from pytest_realtime_asr.conformance.server_loss import ServerLoss
from pytest_realtime_asr.conformance.suite_run import SuiteRun
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.reporters import Reporters

LOSS = ServerLoss(0.0, "another-scenario", "Connection refused")
FOUND = {"first-event": None, "created-now": str(LOSS), "order": str(LOSS)}


@pytest.mark.parametrize("shared", [False, True])
def test_a_satisfied_requirement_reports_no_loss(
    shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(run: SuiteRun, requirement: Requirement, *, wait: bool) -> Result:
        reason = FOUND[requirement.id]
        status = Status.MISSING if reason else Status.SATISFIED
        return Result(requirement, status, reason)

    monkeypatch.setattr(SuiteRun, "_judged", judged)
    known = {each.id: each for each in dialects.load("vllm").requirements}
    run = SimpleNamespace(shared=shared, reporters=Reporters(None))
    suite = SuiteRun(
        cast(Any, SimpleNamespace(loss=LOSS)),
        cast(Any, SimpleNamespace(run=run)),
        requirements=tuple(known[name] for name in FOUND),
    )
    first, second, third = (suite.judge(known[name]) for name in FOUND)
    assert first.status is Status.SATISFIED
    assert second.status is Status.MISSING
    assert second.fails(strict=False)
    assert third.status is Status.STOPPED
    assert third.reason is not None
    assert "created-now" in third.reason
