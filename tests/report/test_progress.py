"""The lines about progress in a log."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_realtime_asr.report.progress import ProgressLines


def test_one_line_in_each_interval(tmp_path: Path) -> None:
    now, column = [0.0], [4]
    with (tmp_path / "log").open("wb") as log:
        lines = ProgressLines(log.fileno(), lambda: column[0], clock=lambda: now[0])
        log.write(b"....")
        log.flush()
        for second in range(47):
            now[0] = float(second)
            lines.show(f"{second} of 46")
            lines.show("")
        column[0] = 6  # pytest has written two more dots
        log.write(b"..")
        log.flush()
        now[0] = 60.0
        lines.show("60 of 60")
        lines.close()
        lines.show("after the end")
    assert (tmp_path / "log").read_text().splitlines() == [
        "....",
        "realtime: 15 of 46",
        "realtime: 30 of 46",
        "realtime: 45 of 46",
        "..",
        "realtime: 60 of 60",
    ]


def test_the_descriptor_is_a_duplicate(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        ProgressLines(log.fileno(), lambda: 0).close()
        os.fstat(log.fileno())
