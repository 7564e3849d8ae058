"""The guide to dialects shows the code of the example, and its commands work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr import dialect_api, fault_api
from pytest_realtime_asr.dialect_api import (
    Capability,
    Dialect,
    Malformed,
    Record,
    Sender,
)
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.requirements.requirement import Satisfied, Violated
from pytest_realtime_asr.requirements.shared.events import protocol_check
from pytest_realtime_asr.requirements.shared.stating import SHARED
from pytest_realtime_asr.trace.records import Ending
from tests.support.check_outcomes import OPENED, seen
from tests.support.example_dialect import SOURCE
from tests.support.paths import ROOT
from tests.support.sessions import part

PAGE = (ROOT / "docs/guide/dialect.md").read_text()
CODE = SOURCE / "steno_dialect"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


EXCERPTS = [each for each in blocks("python") if each.startswith("# ")]
PROGRAMS = [each for each in blocks("python") if not each.startswith("# ")]
COMMANDS = [line for block in blocks("console") for line in block.splitlines()]


def test_its_code_is_that_of_the_example() -> None:
    files = {path.name for path in CODE.glob("*.py")}
    shown = set()
    for excerpt in EXCERPTS:
        head, _, code = excerpt.partition("\n")
        name = head.removeprefix("# ")
        assert code in (CODE / name).read_text(), excerpt
        shown.add(name)
    assert shown == files
    (entry_points,) = blocks("toml")
    assert entry_points in (SOURCE / "pyproject.toml").read_text()


def test_its_capabilities_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert rows == [(each.name, each.value) for each in Capability]


def test_its_table_has_all_members_of_a_dialect() -> None:
    _, _, part = PAGE.partition("It has these members:\n")
    rows = re.findall(r"^\| (`.*`) \| .* \|$", part.partition("```")[0], re.MULTILINE)
    named = re.findall(r"`(\w+)`", " ".join(rows))
    members = {*Dialect.__annotations__, *vars(Dialect)}
    assert set(named) == {each for each in members if not each.startswith("_")}


def test_the_requirements_without_a_check_are_those_that_it_names() -> None:
    without = [id for id, each in SHARED.items() if each.check is protocol_check]
    (said,) = re.findall(r"on\nyour events: (.*?)\. Each", PAGE, re.DOTALL)
    assert re.findall(r"`([\w-]+)`", said) == without


def test_its_names_are_public() -> None:
    code = "\n".join([*PROGRAMS, *(path.read_text() for path in CODE.glob("*.py"))])
    modules = set(re.findall(r"from (pytest_realtime_asr[\w.]*) import", code))
    assert modules == {dialect_api.__name__, fault_api.__name__}


def parsed(text: str) -> Any:
    """The message that the guide's decoder of events without a type finds."""
    program, *_ = PROGRAMS
    names: dict[str, Any] = {"__name__": "their_events"}
    exec(compile(program, "dialect.md", "exec", dont_inherit=True), names)
    return names["parse_server"](Record(Sender.SERVER, 0, text=text))


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ('{"lines":[{"text":"open"}],"buffer":" the"}', "state"),
        ('{"lines":[]}', "state"),
        ('{"type":"ready_to_stop"}', "ready_to_stop"),
        ('{"type":"other"}', "unknown"),
        ('{"lines":5}', "malformed"),
        ("{}", "malformed"),
        ("{", "malformed"),
    ],
)
def test_its_decoder_of_events_without_a_type(text: str, move: str) -> None:
    assert parsed(text).move == move


@pytest.mark.parametrize(
    ("code", "outcome"), [(4003, Satisfied), (1000, Violated), (4401, Violated)]
)
def test_its_requirement_accepts_the_close_code(code: int, outcome: type) -> None:
    *_, program = PROGRAMS
    names: dict[str, Any] = {"__name__": "their_requirements"}
    exec(compile(program, "dialect.md", "exec", dont_inherit=True), names)
    closed = part("wrong-key", how=Ending.CLOSED_BY_PEER, code=code)
    assert isinstance(names["WRONG_KEY"].check(seen(OPENED, closed)), outcome)


def test_its_decoder_says_what_is_wrong() -> None:
    message = parsed('{"lines":5}')
    assert isinstance(message, Malformed)
    assert message.reason.startswith("state: Expected `array`, got `int`")


# Its commands

URL = "http://127.0.0.1:9000"
LISTED, REAL, FAKE, FAULTY, CHECKED = COMMANDS


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page in a folder with its test."""
    _, test, _ = PROGRAMS
    (folder / "test_text.py").write_text(test)
    words = shlex.split(command.removeprefix("python "))
    if words[0] == "pytest":
        words = ["-m", "pytest", *words[1:], "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_its_dialect_is_listed(tmp_path: Path) -> None:
    done = run(LISTED, tmp_path)
    assert done.returncode == 0
    assert "steno  /steno, 16000 Hz\n    gateway  path=/speech/steno\n" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_its_test_passes_on_a_server(tmp_path: Path) -> None:
    with FakeServer([], dialect="steno") as server:
        done = run(REAL.replace(URL, server.url), tmp_path)
    assert URL in REAL
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_its_test_passes_on_the_fake_server(tmp_path: Path) -> None:
    done = run(FAKE, tmp_path)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_its_fault_violates_its_requirement(tmp_path: Path) -> None:
    done = run(FAULTY, tmp_path)
    assert "1 failed" in done.stdout, done.stdout
    assert "segments-in-order" in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_its_check_reports_no_problem(tmp_path: Path) -> None:
    done = run(CHECKED, tmp_path)
    assert done.returncode == 0, done.stderr
    (shown,) = blocks("text")
    assert done.stdout == shown


OWN = """
from pytest_realtime_asr.conformance.selftest import Bench, prove
from pytest_realtime_asr.requirements.requirement import Proof

OWN = (
    *("odd-bytes-refused", "segments-in-order", "interim-off-obeyed"),
    *("order", "deltas-add-up", "settled-text-stays"),
)

if __name__ == "__main__":
    with Bench("steno") as bench:
        for found in (bench.start(OWN, Proof(()))(), prove(bench, OWN)):
            print(*sorted((id, each.status.value) for id, each in found.items()))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("steno")
def test_the_requirements_of_the_example_are_proven(tmp_path: Path) -> None:
    # `dialect check` proves all of them, which takes a minute. The others are shared
    # requirements without a change, which are proven for other dialects.
    (tmp_path / "own.py").write_text(OWN)
    done = run("python own.py", tmp_path)
    sound, faulty = done.stdout.splitlines()
    assert sound.count("'satisfied'") == faulty.count("'violated'") == 6, done.stdout
