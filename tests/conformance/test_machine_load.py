"""The load of the machine: what is high, and how it is shown."""

from __future__ import annotations

import os

import pytest

from pytest_realtime_asr.conformance.machine_load import MachineLoad


def test_more_than_two_processes_for_each_core_are_a_high_load() -> None:
    assert not MachineLoad(4.0, 2).is_high
    assert MachineLoad(4.1, 2).is_high
    assert not MachineLoad(4.1, 4).is_high


def test_the_load_is_shown_with_the_number_of_cores() -> None:
    assert str(MachineLoad(16.7, 2)) == "load average 17 on 2 cores"


def test_the_load_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (3.5, 2.0, 1.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert MachineLoad.now() == MachineLoad(3.5, 8)
    monkeypatch.delattr(os, "getloadavg")
    assert MachineLoad.now() is None
