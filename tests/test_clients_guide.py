"""The guide for authors of clients says what the fake server does."""

from __future__ import annotations

import re

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.faults import FAULTS
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guide/clients.md").read_text()


def test_the_faults_that_it_names_exist() -> None:
    named = set(re.findall(r"--fault ([\w-]+)", PAGE))
    assert named
    assert named <= FAULTS.keys()


def test_its_table_is_what_the_dialects_show() -> None:
    rows = re.findall(r"^\| (`.*`) \| [^|]+ \| ([^|]+) \| ([^|]+) \|", PAGE, re.M)
    names = {}
    for cells, version, gauge in rows:
        for name in re.findall(r"`([^`]+)`", cells):
            names[name] = (version.strip("` "), gauge.strip("` "))
    profiles = {
        each if index == 0 else f"{each}:{profile}"  # the first is the default
        for each in dialects.installed()
        for index, profile in enumerate(dialects.load(each).profiles or [""])
    }
    assert names.keys() == profiles
    for name, shown in names.items():
        found = dialects.load(name).traits.operations
        assert shown == (found.version or "none", found.gauge or "none"), name


@pytest.mark.slow
def test_its_example_passes(pytester: pytest.Pytester) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    pytester.makepyfile(
        client=(ROOT / "examples/client/client.py").read_text(), test_client=example
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-W", "error")
    result.assert_outcomes(passed=3)
