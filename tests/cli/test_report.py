"""The command ``report`` describes a wrong file in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from tests.support.paths import ROOT


@pytest.mark.parametrize("view", ["matrix", "badge"])
def test_a_file_that_is_not_there(
    view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", view, str(tmp_path / "absent.json")]) == 2
    assert "absent.json: there is no such file" in capsys.readouterr().err


@pytest.fixture
def reports(tmp_path: Path) -> list[str]:
    """Two nights of the same utterances."""
    text = (ROOT / "fixtures" / "reports" / "format-2.jsonl").read_text()
    paths = [tmp_path / f"{night}.jsonl" for night in (1, 2)]
    for path in paths:
        path.write_text(text)
    return list(map(str, paths))


def test_a_trend_is_printed(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "trend", *reports]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 runs from 2026-11-29 18:09 to 2026-11-29 18:09, ")
    assert "first_partial_from_speech p50" in out


@pytest.mark.parametrize(("name", "start"), [("o.md", "## "), ("o.html", "<!DOCTYPE")])
def test_a_trend_is_written(
    name: str,
    start: str,
    reports: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / name
    assert main(["report", "trend", *reports, "-o", str(out)]) == 0
    assert out.read_text().startswith(start)
    assert capsys.readouterr().out == ""


def test_a_trend_of_a_chosen_metric(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "trend", *reports, "--metric=drain"]) == 0
    out = capsys.readouterr().out
    assert "drain p95" in out
    assert "final_from_commit" not in out


def test_a_trend_of_an_unknown_metric_is_an_error(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "trend", *reports, "--metric=finale"]) == 2
    assert "error: 'finale' is not a metric" in capsys.readouterr().err


def test_a_page_that_is_neither_html_nor_markdown_is_an_error(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["report", "trend", *reports, "-o", "out.pdf"])
    assert "'out.pdf' is neither HTML nor Markdown" in capsys.readouterr().err


def test_a_trend_warns_of_a_report_that_is_not_there(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "trend", *reports, "absent.jsonl"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("warning: left out: absent.jsonl: No such file")
