"""The command ``init``: writes a project that passes, and changes no file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from tests.support.project import Project

FILES = ["conftest.py", "pytest.ini", "test_realtime.py"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_the_files_are_written_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == 0
    written = files(folder)
    assert list(written) == FILES
    assert "realtime_target = fake\n" in written["pytest.ini"]
    said = capsys.readouterr().out.splitlines()
    assert sorted(said[:3]) == [f"wrote {name}" for name in FILES]
    assert said[3:] == ["next: pytest test_realtime.py"]
    assert main(["init", "--target", "gpu-7:8000"]) == 0
    assert files(folder) == written
    *kept, following = capsys.readouterr().out.splitlines()
    assert len(kept) == 3
    assert all(line.startswith("did not change ") for line in kept)
    assert following == "next: pytest --realtime-target=gpu-7:8000 test_realtime.py"


def test_the_lines_for_an_ini_file_that_exists_are_printed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = '[tool.pytest.ini_options]\nrealtime_corpus = "mine"\n'
    (folder / "pyproject.toml").write_text(table)
    inner = folder / "tests"
    inner.mkdir()
    assert main(["init", "tests", "--target", "gpu-7:8000"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert '    realtime_target = "gpu-7:8000"' in said
    assert not any("realtime_corpus" in line for line in said)
    assert (
        said[-1] == "next: pytest --realtime-target=gpu-7:8000 tests/test_realtime.py"
    )
    assert list(files(inner)) == ["conftest.py", "test_realtime.py"]
    assert (folder / "pyproject.toml").read_text() == table


def test_an_application_is_returned_by_a_fixture(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--target", "my_server.web:app"]) == 0
    written = files(folder)
    assert "from my_server.web import app\n" in written["conftest.py"]
    compile(written["conftest.py"], "conftest.py", "exec")
    assert "realtime_target" not in written["pytest.ini"]
    assert "realtime_dialect = vllm\n" in written["pytest.ini"]
    said = capsys.readouterr().out
    assert "the dialect is vllm, since the dialect of an application is not" in said
    assert said.endswith("next: pytest test_realtime.py\n")
    (folder / "conftest.py").write_text("")
    capsys.readouterr()
    assert main(["init", "--target", "my_server.web:app"]) == 0
    assert "    def realtime_target():" in capsys.readouterr().out.splitlines()
    assert (folder / "conftest.py").read_text() == ""


def test_the_dialect_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pytest.ini").write_text("[pytest]\n")
    words = ["--target", "my_server:app", "--dialect", "openai"]
    assert main(["init", *words]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "    realtime_dialect = openai" in said
    assert said[-1] == "next: pytest --realtime-dialect=openai test_realtime.py"
    assert not any(line.startswith("the dialect is") for line in said)
    assert main(["init", "--dialect", "nonsense"]) == 2
    assert "--dialect: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("u:p@gpu-7", "must not contain a user or password"),
        ("ftp://gpu-7", "the scheme ftp:// is unknown"),
    ],
)
def test_a_wrong_target_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, said: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["init", "--target", target])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
    assert files(folder) == {}


def test_a_folder_that_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "none"]) == 2
    assert "none: there is no such folder; make it first" in capsys.readouterr().err


def test_an_ini_file_that_cannot_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pyproject.toml").write_text("[")
    assert main(["init"]) == 2
    assert "pyproject.toml" in capsys.readouterr().err
    assert list(files(folder)) == ["pyproject.toml"]


@pytest.mark.slow
def test_the_project_passes(project: Project) -> None:
    """The budget needs real time, and the clips of the sample take some seconds."""
    (project.path / "pytest.ini").unlink()
    assert main(["init", str(project.path)]) == 0
    project.run("test_realtime.py", "--realtime-dialect=vllm").assert_outcomes(passed=1)
