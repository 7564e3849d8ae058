"""The command ``dialect check``: its lines, its exit code, and what it leaves out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.conformance import selftest
from tests.support.packed import Packed


class Score:
    """A stand-in for the score of a dialect."""

    def __init__(self, *unproven: str) -> None:
        self.unproven = unproven

    def __str__(self) -> str:
        return "the score"


class Unjudged(Packed):
    requirements = ()


@pytest.fixture
def tested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the self-test; return the names of the dialects that it tested."""
    found: list[str] = []

    def run(name: str, *, progress: Callable[[str], None]) -> Score:
        found.append(name)
        progress("half of it")
        return Score(*(["unproven"] if "odd" in name else []))

    monkeypatch.setattr(selftest, "selftest", run)
    return found


def test_a_correct_dialect(
    tested: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dialect", "check", "vllm", "--quick"]) == 0
    quick = capsys.readouterr().out.splitlines()
    assert len(quick) == 10
    assert all(line.startswith("ok     ") for line in quick)
    assert not tested
    assert main(["dialect", "check", "vllm"]) == 0
    assert tested == ["vllm"]
    assert capsys.readouterr().out.splitlines() == [*quick, "the score"]


@pytest.mark.usefixtures("tested")
def test_a_requirement_without_its_proof(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dialects, "load", lambda name: Packed())
    assert main(["dialect", "check", "odd"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["unproven", "the score"]


def test_a_flaw_ends_the_check_before_the_self_test(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tested: list[str],
) -> None:
    monkeypatch.setattr(dialects, "load", lambda name: Unjudged())
    for more in ([], ["--quick"]):
        assert main(["dialect", "check", "packed", *more]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert "wrong  every requirement has a check and its scenarios" in lines
        assert any(line.startswith("       - the dialect has no req") for line in lines)
    assert not tested


def test_an_unknown_dialect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dialect", "check", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown dialect 'none'")
