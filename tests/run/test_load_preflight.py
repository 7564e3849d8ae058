"""The preflight of a load, with a real server."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.load.machine import Machine
from pytest_realtime_asr.load.preflight import Finding, Subject
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.run import load_preflight
from pytest_realtime_asr.run.run import Run
from tests.support.runs import Site, Start, terms
from tests.support.servers import faking, serving

CLIPS = (2.0, 4.0)
LOAD = Load(2, hold=60.0)


def found(run: Run, url: str, load: Load = LOAD) -> tuple[Finding, ...]:
    """Return the findings of a load for this server."""
    plan = run.servers.plan(url, terms(run), {})
    return load_preflight.findings(run, plan, load, CLIPS)


def test_a_small_load_has_no_findings(start: Start) -> None:
    with faking() as (url, _):
        assert found(start(), url) == ()


def test_sessions_of_other_clients_are_found(start: Start) -> None:
    with faking() as (url, _):
        run = start()
        other = Live(run.loop, run.servers.plan(url, terms(run), {}))
        run.loop.run(other.open())
        (lack,) = found(run, url)
        run.loop.run(other.close())
    assert lack.subject is Subject.SESSIONS
    assert lack.found == "1 open at the server before the load"


def test_a_server_without_metrics_is_no_finding(start: Start) -> None:
    with serving(answer=Site()) as url:
        assert found(start(), url) == ()


def test_the_limits_of_this_machine_are_checked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_preflight, "this_machine", lambda: Machine(descriptors=65))
    with faking() as (url, _):
        (lack,) = found(start(), url)
    assert (lack.subject, lack.hard) == (Subject.DESCRIPTORS, True)


def test_the_number_of_workers_is_checked(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_preflight, "this_machine", Machine)
    with faking() as (url, _):
        run = start()
        streams = 50 * run.executor.slots
        assert found(run, url, Load(streams, hold=60.0)) == ()
        (lack,) = found(run, url, Load(streams + 1, hold=60.0))
    assert (lack.subject, lack.hard) == (Subject.WORKERS, False)
