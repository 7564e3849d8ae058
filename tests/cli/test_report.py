"""The command ``report`` shows earlier runs, and describes a wrong file in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.conformance.results import ServerInfo, Status
from pytest_realtime_asr.report.conformance import Document, Entry, dumps
from pytest_realtime_asr.requirements.requirement import Level
from tests.support.paths import ROOT


@pytest.mark.parametrize("view", ["matrix", "badge"])
def test_a_missing_file_is_an_error(
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


@pytest.mark.parametrize(
    ("name", "start"), [("o.md", "## "), ("o.html", "<!doctype html>")]
)
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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"RIFFxx\n", "other.wav:1: is not a line of a report: "),
        (b"RIFFxx", "other.wav: the report has no completed utterance"),
    ],
)
def test_a_trend_of_another_file_says_what_to_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    other = tmp_path / "other.wav"
    other.write_bytes(content)
    assert main(["report", "trend", str(other)]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.endswith(
        "; give a file that --realtime-report=FILE.jsonl has written\n"
    )


def test_a_page_that_is_neither_html_nor_markdown_is_an_error(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["report", "trend", *reports, "-o", "out.pdf"])
    assert "'out.pdf' is neither HTML nor Markdown" in capsys.readouterr().err


def test_a_trend_warns_of_a_missing_report(
    reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "trend", *reports, "absent.jsonl"]) == 0
    err = capsys.readouterr().err
    assert err.startswith("warning: left out: absent.jsonl: No such file")


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Path, Path]:
    """Two releases with the reports of real runs; the second is slower."""
    nights = sorted((ROOT / "examples/nightly/trend").glob("*.jsonl"))
    for name, chosen in (("old", nights[:3]), ("new", nights[5:7])):
        (tmp_path / name).mkdir()
        for path in chosen:
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    return tmp_path / "old", tmp_path / "new"


def test_a_slower_release_ends_with_1(
    releases: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "signoff", *map(str, releases)]) == 1
    assert capsys.readouterr().out.startswith("FAIL:")


def test_an_undecided_release_ends_with_3(
    reports: list[str], releases: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "signoff", reports[0], str(releases[0])]) == 3
    assert capsys.readouterr().out.startswith("INCONCLUSIVE:")


def test_a_replayed_release_is_not_compared_with_a_live_one(
    releases: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = releases
    for path in new.iterdir():
        lines = map(json.loads, path.read_text().splitlines())
        rows = [json.dumps(_replayed(line)) for line in lines]
        path.write_text("\n".join([*rows, ""]))
    assert main(["report", "signoff", str(old), str(new)]) == 2
    assert capsys.readouterr().err == (
        f"error: {new}: replayed sessions are not compared with live ones; leave out "
        "the reports of replayed runs\n"
    )
    assert main(["report", "signoff", str(new), str(new)]) != 2
    assert main(["report", "trend", *map(str, (*old.iterdir(), *new.iterdir()))]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for path in new.iterdir():
        assert f"{path.name} (replayed): answers replayed -> live" in said
    assert main(["report", "trend", *map(str, new.iterdir())]) == 0
    assert capsys.readouterr().out.startswith("2 replayed runs from ")


def _replayed(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a report, as if recorded sessions had been replayed."""
    if "conditions" in line:
        line["conditions"]["replayed"] = True
    return line | {"replayed": True}


@pytest.mark.parametrize(
    ("name", "start"), [("o.md", "## "), ("o.html", "<!doctype html>")]
)
def test_a_signoff_is_written(
    name: str, start: str, releases: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / name
    assert main(["report", "signoff", *map(str, releases), "-o", str(out)]) == 1
    assert out.read_text().startswith(start)


def conformance_report(status: Status) -> bytes:
    """A conformance report of one requirement."""
    entry = Entry("a", "t", Level.MUST, "c", (), status)
    server = ServerInfo("t", "vllm", "m", "", "")
    return dumps(Document(1, "1", datetime(2026, 1, 2, tzinfo=UTC), server, 1, [entry]))


@pytest.mark.parametrize(
    ("now", "code"),
    [(Status.SATISFIED, 0), (Status.VIOLATED, 1), (Status.UNDECIDED, 3)],
)
def test_the_exit_code_follows_the_requirements(
    now: Status, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, status in (("old", Status.SATISFIED), ("new", now)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "suite.json").write_bytes(conformance_report(status))
        (tmp_path / name / "package.json").write_text("{}")
    releases = [str(tmp_path / name) for name in ("old", "new")]
    assert main(["report", "signoff", *releases]) == code
    assert capsys.readouterr().err.count("package.json: not a conformance report") == 2


def test_a_folder_without_a_report_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "signoff", str(tmp_path), str(tmp_path)]) == 2
    assert "there is no report of a release; give a folder" in capsys.readouterr().err
