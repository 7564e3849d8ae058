"""The progress on a terminal and in a log."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_realtime_asr.report.progress import Progress, ProgressLines

LONG = "level 3: 24 of 24 streams, 130 sessions done, 2 failed"
Screen = Callable[[str], list[str]]


@pytest.fixture
def screen() -> Iterator[Screen]:
    """Shows texts after 30 of 60 columns; returns the lines of the terminal."""
    reading, writing = os.pipe()
    progress = Progress(writing, lambda: 30, width=lambda: 60)
    lines, place = [["."] * 30, []], [0, 30]

    def put(sign: str) -> None:
        row, column = place
        lines[row] += [" "] * (column + 1 - len(lines[row]))
        lines[row][column] = sign
        place[1] += 1

    def shown(text: str) -> list[str]:
        progress.show(text)
        os.write(writing, b"\0")
        said = os.read(reading, 1000).decode()
        for part in re.findall(r"\x1b\[\d*[A-Z]|.", said, re.DOTALL):
            match part:
                case "\n":
                    place[0] += 1
                case "\r":
                    place[1] = 0
                case "\b":
                    place[1] -= 1
                case "\x1b[K":
                    del lines[place[0]][place[1] :]
                case "\x1b[A":
                    place[0] -= 1
                case "\0":
                    assert place == [0, 30]  # the cursor is where it was
                case _ if part.startswith("\x1b["):
                    place[1] += int(part[2:-1])
                case _:
                    put(part)
        return ["".join(line).rstrip() for line in lines]

    yield shown
    progress.close()
    os.close(reading)
    os.close(writing)


def test_a_long_text_has_the_line_below(screen: Screen) -> None:
    dots = "." * 30
    assert screen("1 of 2") == [f"{dots} 1 of 2", ""]
    assert screen(LONG) == [dots, LONG]
    assert screen("2 of 2") == [f"{dots} 2 of 2", ""]
    assert screen(LONG) == [dots, LONG]
    assert screen(f"{LONG}, p95 412 ms") == [dots, LONG]  # the last part is left out
    assert screen("x" * 70) == [dots, "x" * 59]
    assert screen("") == [dots, ""]


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
