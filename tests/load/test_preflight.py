"""The preflight of a load: what is missing before it begins."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.load.machine import Machine
from pytest_realtime_asr.load.preflight import (
    DESCRIPTORS,
    Finding,
    Subject,
    preflight,
)
from pytest_realtime_asr.load.workload import Arrivals, Load

AMPLE = Machine(descriptors=20_000, ports=28_000, memory=2**36)
LOAD = Load(100, hold=60.0)
CLIPS = (2.0, 4.0)


def found(load: Load = LOAD, **changes: Any) -> tuple[Finding, ...]:
    """Return the findings of a load in good conditions with these changes."""
    sound = {"machine": AMPLE, "clips": CLIPS, "workers": 2, "slots": 2, "sessions": 0}
    return preflight(load, **{**sound, **changes})


def only(*findings: Finding) -> Finding:
    """Return the only finding."""
    (one,) = findings
    return one


def test_a_load_in_good_conditions_has_no_findings() -> None:
    assert found() == ()


def test_unknown_resources_are_no_finding() -> None:
    assert found(machine=Machine(), sessions=None) == ()


# Descriptors


def test_enough_descriptors_are_no_finding() -> None:
    machine = Machine(descriptors=50 + DESCRIPTORS)
    assert found(machine=machine) == ()


def test_too_few_descriptors_are_found() -> None:
    lack = only(*found(machine=Machine(descriptors=49 + DESCRIPTORS)))
    assert (lack.subject, lack.hard) == (Subject.DESCRIPTORS, True)
    assert lack.text == (
        "file descriptors: a process may open 113; a worker with 50 streams needs 114 "
        "descriptors; raise the hard limit (ulimit -Hn 114), or start more workers"
    )


def test_the_available_workers_share_the_streams() -> None:
    machine = Machine(descriptors=50 + DESCRIPTORS)
    assert Subject.DESCRIPTORS in {
        each.subject for each in found(machine=machine, slots=1)
    }


# Ports


@pytest.mark.parametrize(
    ("ports", "hard"), [(2101, None), (2100, False), (101, False), (100, True)]
)
def test_ports_of_open_and_closed_sessions(ports: int, hard: bool | None) -> None:
    # 100 streams and a witness; a session of 3 s on average has 20 in a minute.
    lacks = found(machine=Machine(ports=ports))
    assert [each.hard for each in lacks] == ([] if hard is None else [hard])
    assert all(each.subject is Subject.PORTS for each in lacks)


def test_the_rate_of_an_open_load_needs_ports() -> None:
    load = Load(100, hold=60.0, arrivals=Arrivals.POISSON, rate=2.0)
    assert found(load, machine=Machine(ports=101 + 120)) == ()
    lack = only(*found(load, machine=Machine(ports=101 + 119)))
    assert lack.text == (
        "local ports: this machine has 220; 101 open sessions and up to 120 that were "
        "closed within 60 s need 221 ports; widen net.ipv4.ip_local_port_range, or "
        "send longer clips"
    )


# Clips


@pytest.mark.parametrize(
    ("clips", "hard"),
    [((60.0,), None), ((3.0, 60.1), False), ((60.1, 90.0), True)],
)
def test_clips_longer_than_the_steady_part(
    clips: tuple[float, ...], hard: bool | None
) -> None:
    lacks = found(clips=clips)
    assert [each.hard for each in lacks] == ([] if hard is None else [hard])
    assert all("start and end in the steady part" in each.needed for each in lacks)


@pytest.mark.parametrize(("clips", "lacks"), [((1.0, 3.0), 0), ((0.4, 0.9, 3.0), 1)])
def test_short_clips(clips: tuple[float, ...], lacks: int) -> None:
    short = found(clips=clips)
    assert len(short) == lacks
    for each in short:
        assert not each.hard
        assert (
            each.found == "2 of 3 clips last less than 1 s; the shortest lasts 0.40 s"
        )


# Workers, memory and other sessions


@pytest.mark.parametrize(
    ("slots", "hard", "says"),
    [
        (0, True, "start at least one worker"),
        (1, False, "a worker with 100 streams may be the limit, not the server"),
    ],
)
def test_too_few_workers(slots: int, hard: bool, says: str) -> None:
    lack = only(*found(slots=slots))
    assert (lack.subject, lack.hard) == (Subject.WORKERS, hard)
    assert says in lack.text
    assert "100 streams should have 2" in lack.text


def test_memory() -> None:
    # 100 open sessions, two workers, and the rows of 2,000 sessions.
    needed = 100 * 2**20 + 2 * 150 * 2**20 + 2_000 * 16 * 2**10
    assert found(machine=Machine(memory=needed)) == ()
    lack = only(*found(machine=Machine(memory=needed - 1)))
    assert (lack.subject, lack.hard) == (Subject.MEMORY, False)
    assert "2000 sessions need about 432 MiB" in lack.text


def test_sessions_of_other_clients() -> None:
    lack = only(*found(sessions=3.0))
    assert lack.text == (
        "other sessions: 3 open at the server before the load; the server should have "
        "none; these sessions use a part of the server's capacity; end them, or test "
        "at another time"
    )
    assert not lack.hard


def test_hard_findings_come_first() -> None:
    lacks = found(machine=Machine(descriptors=10), sessions=1.0, clips=(0.5, 3.0))
    assert [each.hard for each in lacks] == [True, False, False]
