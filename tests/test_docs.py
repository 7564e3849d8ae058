"""The pages that are made from data are current, and what is frozen stays so."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects, frozen
from pytest_realtime_asr.conformance.proofs import PROOFS
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.report import markdown
from pytest_realtime_asr.trace import Sender

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SUITES = Path(frozen.__file__).parent / "suites"
VLLM = dialects.load("vllm")
IDS = {each.id for each in VLLM.requirements if each.blames is Sender.SERVER}
# Of each suite that was released, the SHA-256 of its file.
FROZEN = {
    "vllm-2026.11": "ec00ea08eac639874b43fb90b87b4c66e57958fcafc5380c045415cf111188a2",
}


def test_the_page_of_the_requirements_is_current() -> None:
    assert (DOCS / "conformance.md").read_text() == markdown.conformance(VLLM)


def test_the_tool_that_makes_it_says_so() -> None:
    command = [sys.executable, str(ROOT / "tools/make_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_table_of_faults_has_all_faults_and_proofs() -> None:
    text = (DOCS / "faults.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| .* \| (.*) \|$", text, re.MULTILINE))
    assert set(rows) == set(FAULTS)
    bold = {
        name: set(re.findall(r"\*\*([^*]+)\*\*", row)) for name, row in rows.items()
    }
    for id, proof in PROOFS.items():
        assert id in bold[proof.faults[-1]], id
    assert set().union(*bold.values()) <= IDS


@pytest.mark.parametrize("page", ["conformance.md", "servers.md", "faults.md"])
def test_what_the_pages_name_is_there(page: str) -> None:
    named = set(
        re.findall(r"`([a-z0-9.]+(?:-[a-z0-9.]+)+)`", (DOCS / page).read_text())
    )
    known = IDS | {each.id for each in VLLM.requirements} | set(FAULTS)
    suite = {"vllm-2026.11"}
    scenarios = {name for each in VLLM.requirements for name in each.scenarios}
    assert named <= known | suite | scenarios


def test_a_suite_that_was_released_never_changes() -> None:
    found = {
        name: hashlib.sha256((SUITES / f"{name}.json").read_bytes()).hexdigest()
        for name in frozen.names()
    }
    assert found == FROZEN


def test_the_newest_suite_has_all_requirements_that_there_are() -> None:
    assert set(frozen.load(frozen.names()[-1]).levels) == IDS
