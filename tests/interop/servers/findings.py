"""What the suite is known to find in the released servers, and its lines in the docs.

The list is ``findings.toml``; its lines stand in docs/servers.md.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from released import SERVERS, Server

LEVELS = ("must", "should", "info")
STATUSES = ("satisfied", "violated", "undecided")


@dataclass(frozen=True)
class Finding:
    """A requirement that some servers violate.

    The value ``where`` has, for the name of each of these servers, the file of the
    wheel and the lines that are the reason. If ``cause`` is another requirement, the
    suite reports this one as violated by the event that violates the other.
    """

    requirement: str
    level: str
    why: str
    where: Mapping[str, str]
    cause: str | None = None


@dataclass(frozen=True)
class Undecided:
    """A requirement that cannot be decided on some servers, and the reason.

    If it is ``by_chance``, some runs decide it; it is neither compared nor counted.
    """

    requirement: str
    servers: tuple[str, ...]
    why: str
    by_chance: bool = False


@dataclass(frozen=True)
class Findings:
    """The list as a whole."""

    findings: tuple[Finding, ...]
    undecided: tuple[Undecided, ...]

    def violated(self, server: Server, *, status: str = "violated") -> set[str]:
        """Return the requirements that a server is known to violate.

        With the status "same cause" they are those that share the event of another one.
        """
        shared = status == "same cause"
        return {
            finding.requirement
            for finding in self.findings
            if server.name in finding.where and (finding.cause is not None) == shared
        }

    def open(self, server: Server) -> set[str]:
        """Return the requirements that cannot be decided on a server."""
        return {
            entry.requirement
            for entry in self.undecided
            if server.name in entry.servers and not entry.by_chance
        }

    def by_chance(self) -> set[str]:
        """Return the requirements that only some runs decide."""
        return {entry.requirement for entry in self.undecided if entry.by_chance}

    def lines(self) -> list[str]:
        """Return the list as lines of Markdown tables, without their heads."""
        return [
            *(_finding_line(finding) for finding in self.findings),
            *(_undecided_line(entry) for entry in self.undecided),
        ]


def known() -> Findings:
    """Return the list; KeyError is raised if it names an unknown server."""
    table = tomllib.loads(Path(__file__).with_name("findings.toml").read_text())
    return Findings(
        tuple(Finding(**entry) for entry in table["finding"]),
        tuple(
            Undecided(**{**entry, "servers": tuple(entry["servers"])})
            for entry in table["undecided"]
        ),
    )


def matrix_line(server: Server, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a run as a line of the matrix, up to the column of the date."""
    counts = Counter((row["level"], row["status"]) for row in rows)
    cells = (
        "/".join(str(counts[level, status]) for status in STATUSES) for level in LEVELS
    )
    return f"| {_title(server)} | `{server.dialect}` | {' | '.join(cells)} |"


def _finding_line(finding: Finding) -> str:
    places = "; ".join(
        f"{servers}: `{place}`" for place, servers in _by_place(finding.where)
    )
    cause = f" (same cause as `{finding.cause}`)" if finding.cause else ""
    level = finding.level.upper()
    return f"| `{finding.requirement}` | {level} | {finding.why}{cause} | {places} |"


def _undecided_line(entry: Undecided) -> str:
    return f"| `{entry.requirement}` | {_titles(entry.servers)} | {entry.why} |"


def _by_place(where: Mapping[str, str]) -> list[tuple[str, str]]:
    places: dict[str, list[str]] = {}
    for name, place in where.items():
        places.setdefault(place, []).append(name)
    return [(place, _titles(names)) for place, names in places.items()]


def _titles(names: Iterable[str]) -> str:
    return ", ".join(_title(SERVERS[name]) for name in names)


def _title(server: Server) -> str:
    return f"{server.product} {server.version}"
