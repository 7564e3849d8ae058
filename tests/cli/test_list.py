"""The command ``list`` shows the same as the option ``--realtime-list``."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.report import listing
from tests.support.project import Project


@pytest.mark.parametrize("what", listing.LISTS)
def test_each_list_equals_the_list_of_the_option(
    what: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    option = project.run("-o", "realtime_dialect=auto", f"--realtime-list={what}")
    capsys.readouterr()
    assert main(["list", what]) == 0
    assert capsys.readouterr().out.splitlines() == option.outlines


def test_the_requirements_of_a_dialect_and_a_level(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["list", "requirements", "--dialect", "vllm"]
    assert main(words) == 0
    everything = capsys.readouterr().out
    assert main([*words, "--level", "must"]) == 0
    must = capsys.readouterr().out
    assert "  SHOULD" in everything
    assert "  SHOULD" not in must
    assert "requirements of vllm" in must


def test_the_help_names_the_levels(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "--help"])
    assert "--level {must,should,info}" in capsys.readouterr().out


def test_the_requirements_of_a_pinned_suite(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "requirements", "--suite", "openai-2026.11"]) == 0
    assert "requirements of openai" in capsys.readouterr().out
    wrong = ["list", "requirements", "--suite", "openai-2026.11", "--dialect", "vllm"]
    assert main(wrong) == 2
    assert "is for openai, but the dialect is vllm; choose" in capsys.readouterr().err


def test_an_unknown_dialect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "requirements", "--dialect", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown dialect 'none'")
