"""Pinned suites: fixed sets of requirements for the CI of a server.

A suite does not change after its release. So an unchanged server does not fail because
of a newer release of this package. Each suite is a file in ``suites/``: a JSON object
with the dialect of the suite, and with the level of each requirement by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pytest_realtime_asr.requirements.requirement import Level, Requirement
from pytest_realtime_asr.trace.records import Sender

_FOLDER = Path(__file__).parent / "suites"


class _File(msgspec.Struct):
    dialect: str
    requirements: dict[str, Level]


@dataclass(frozen=True, slots=True)
class PinnedSuite:
    """A set of requirements; ``levels`` has the level of each requirement by its id."""

    name: str
    dialect: str
    levels: Mapping[str, Level]

    def select(self, requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
        """Return the requirements that are in the suite, with the levels of the suite.

        The requirements that bind the client are in every suite.
        """
        return tuple(
            replace(each, level=self.levels.get(each.id, each.level))
            for each in requirements
            if each.id in self.levels or each.binds is Sender.CLIENT
        )


def names() -> tuple[str, ...]:
    """Return the names of all suites, the oldest first."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


def load(name: str) -> PinnedSuite:
    """Return the suite of this name. Raises ValueError if no suite has this name."""
    if name not in names():
        choices = ", ".join(names())
        raise ValueError(f"{name!r} is not a pinned suite; choose from {choices}")
    file = msgspec.json.decode((_FOLDER / f"{name}.json").read_bytes(), type=_File)
    return PinnedSuite(name, file.dialect, file.requirements)
