"""The page on stability lists the names that the code has."""

from __future__ import annotations

import re

import pytest

import pytest_realtime_asr
from pytest_realtime_asr import dialect_api, fault_api
from pytest_realtime_asr.plugin.fixtures import INTERNAL
from pytest_realtime_asr.plugin.options import MARKERS
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/stability.md").read_text()


def listed(part: str) -> list[str]:
    """The names in the last column of one row of the table."""
    (cells,) = re.findall(rf"^\| {part} \| [^|]+ \| (.*) \|$", PAGE, re.MULTILINE)
    return re.findall(r"`([\w.-]+)`", cells)


def test_the_public_names_are_listed() -> None:
    blocks = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    modules = (pytest_realtime_asr, dialect_api, fault_api)
    assert [block.split() for block in blocks] == [each.__all__ for each in modules]


def test_the_markers_are_listed() -> None:
    assert listed("markers") == sorted(MARKERS)


def test_the_pinned_suites_are_listed() -> None:
    assert listed("pinned suites") == sorted(pinned_suites.names())


def test_the_verdicts_are_listed() -> None:
    assert sorted(listed("verdicts")) == sorted(each.value for each in Verdict)


def test_the_fixtures_are_listed(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_subprocess("--fixtures", "-p", "no:hypothesispytest")
    own = r"^(\w+)(?: \[.*\])? -- .*pytest_realtime_asr/plugin"
    found = set(re.findall(own, done.stdout.str(), re.MULTILINE))
    assert listed("fixtures") == sorted(found - INTERNAL)
