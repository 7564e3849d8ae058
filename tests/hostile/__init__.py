"""What servers, disks, users and files do wrong, and what must be said of it.

Each module holds rows of one table, `CASES`. A fault that is found later is one more
row. Most rows call the function that decides; few start a run of pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    ``does`` says what the server, disk, user or file does wrong. ``says`` are texts
    that the one line must contain which the user is shown. ``within`` is the time in
    seconds after which the case counts as hanging. ``ask`` does it, in an empty folder,
    and returns what the user is shown.
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
