"""Frozen suites: sets of requirements by which a server's CI can let itself be judged.

A suite never changes once it was released, so that a newer release of this package
turns no server red that changed nothing. Each is a file in ``suites/``: a JSON object
of its dialect and of each requirement's id with its level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pytest_realtime_asr.requirements.requirement import Level, Requirement
from pytest_realtime_asr.trace.records import Sender

_FOLDER = Path(__file__).parent / "suites"


class _Pinned(msgspec.Struct):
    dialect: str
    requirements: dict[str, Level]


@dataclass(frozen=True, slots=True)
class PinnedSuite:
    """A set of requirements by id, each with its level in it."""

    name: str
    dialect: str
    levels: Mapping[str, Level]

    def select(self, requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
        """Those that are in the suite, at the level that they have in it.

        What binds the client is in every suite.
        """
        return tuple(
            replace(each, level=self.levels.get(each.id, each.level))
            for each in requirements
            if each.id in self.levels or each.binds is Sender.CLIENT
        )


def names() -> tuple[str, ...]:
    """The suites that there are, the oldest first."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


def load(name: str) -> PinnedSuite:
    """The suite of this name. ValueError names those that there are."""
    if name not in names():
        raise ValueError(f"{name!r} is no suite; there is: {', '.join(names())}")
    row = msgspec.json.decode((_FOLDER / f"{name}.json").read_bytes(), type=_Pinned)
    return PinnedSuite(name, row.dialect, row.requirements)
