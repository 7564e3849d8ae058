"""Mistakes of servers, disks, users and files, and the message that each must give.

Each module has rows of one table, `CASES`. A mistake that is found later is one more
row. Most rows call the function that decides; few start a run of pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    ``does`` is the mistake of the server, disk, user or file. ``says`` are texts that
    the message must contain. ``within`` is the time limit in s. ``ask`` makes the
    mistake, in an empty folder, and returns the message.
    """

    id: str
    does: str
    says: tuple[str, ...]
    within: float
    ask: Callable[[Path], str]


def message(kind: type[Exception], call: Callable[[], object]) -> str:
    """Return the text of the exception of this kind that the call must raise."""
    try:
        found = call()
    except kind as error:
        return str(error)
    raise AssertionError(f"nothing was raised; the call returned {found!r}")
