"""Tests that the generated pages are current, and that pinned suites do not change."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.report import reference_pages
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.trace.records import Sender
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
SUITES = Path(pinned_suites.__file__).parent / "suites"
NAMES = ("vllm", "openai", "sglang-omni", "vosk", "deepgram")
DIALECTS = {name: dialects.load(name) for name in NAMES}
IDS = {
    name: {each.id for each in dialect.requirements if each.binds is Sender.SERVER}
    for name, dialect in DIALECTS.items()
}
# The SHA-256 of the file of each suite that is released.
FROZEN = {
    "openai-2026.11": (
        "c2e8f8208445a0c50038f85faea5eb23c03022fd9ac49424d4ed743c9a81499f"
    ),
    "vllm-2026.11": "ec00ea08eac639874b43fb90b87b4c66e57958fcafc5380c045415cf111188a2",
}


def test_the_page_of_the_requirements_is_current() -> None:
    sections = map(reference_pages.conformance, DIALECTS.values())
    assert (DOCS / "conformance.md").read_text() == "\n".join(sections)


@pytest.mark.slow
def test_make_docs_finds_all_generated_pages_current() -> None:
    command = [sys.executable, str(ROOT / "tools/make_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_tables_of_faults_have_all_faults_and_proofs() -> None:
    head, *sections = (DOCS / "faults.md").read_text().split("\n## With the dialect ")
    assert head.startswith("# Faults by requirements")
    seen: list[str] = []
    for text, (name, dialect) in zip(sections, DIALECTS.items(), strict=True):
        assert text.startswith(f"`{name}`\n")
        rows = dict(re.findall(r"^\| `([^`]+)` \| .* \| (.*) \|$", text, re.MULTILINE))
        bold = {
            fault: set(re.findall(r"\*\*([^*]+)\*\*", rows[fault])) for fault in rows
        }
        for each in dialect.requirements:
            # A fault is in one table, and may prove requirements of both dialects.
            if each.proof is not None and each.proof.faults[-1] in rows:
                assert each.id in bold[each.proof.faults[-1]], each.id
        assert set().union(*bold.values()) <= IDS[name]
        seen += rows
    assert sorted(seen) == sorted(FAULTS)


@pytest.mark.parametrize("page", ["conformance.md", "servers.md", "faults.md"])
def test_every_name_on_the_pages_exists(page: str) -> None:
    named = set(
        re.findall(r"`([a-z0-9.]+(?:-[a-z0-9.]+)+)`", (DOCS / page).read_text())
    )
    every = [each for it in DIALECTS.values() for each in it.requirements]
    known = {each.id for each in every} | set(FAULTS) | set(pinned_suites.names())
    scenarios = {name for each in every for name in each.scenarios}
    assert named <= known | scenarios | set(dialects.installed())


def test_a_suite_that_was_released_never_changes() -> None:
    found = {
        name: hashlib.sha256((SUITES / f"{name}.json").read_bytes()).hexdigest()
        for name in FROZEN
    }
    assert found == FROZEN


@pytest.mark.parametrize("name", DIALECTS)
def test_the_newest_suite_contains_all_requirements(name: str) -> None:
    suites = [pinned_suites.load(each) for each in pinned_suites.names()]
    newest = [suite for suite in suites if suite.dialect == name][-1]
    assert set(newest.levels) == IDS[name]
