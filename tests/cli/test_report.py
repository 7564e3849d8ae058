"""The command ``report`` describes a wrong file in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main


@pytest.mark.parametrize("view", ["matrix", "badge"])
def test_a_file_that_is_not_there(
    view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", view, str(tmp_path / "absent.json")]) == 2
    assert "absent.json: there is no such file" in capsys.readouterr().err
