"""Known failures: what a server is expected to break, as its repository lists it.

[[known]]
id = "binary-answered"
reason = "a binary frame ends the session without a word"
issue = "https://github.com/vllm-project/vllm/issues/1"
until = 2027-01-31
version = "<0.34"        # optional, as pip writes it
model = "voxtral"        # optional

[[flaky]]                # runs, and is tolerated when it fails
...                      # the same fields
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pytest_realtime_asr.requirements.requirement import Level, Requirement
from pytest_realtime_asr.text.inputs import InputError, toml

SOON = 14  # days before its end that an entry is announced
_NEEDED = ("id", "reason", "issue", "until")
_FIELDS = (*_NEEDED, "version", "model")


class Expected(enum.Enum):
    """What is expected of a listed requirement."""

    KNOWN = "known"
    FLAKY = "flaky"


@dataclass(frozen=True, slots=True)
class Known:
    """One entry of the list; ``until`` is the last day on which it holds."""

    id: str
    kind: Expected
    reason: str
    issue: str
    until: date
    versions: str = ""
    model: str = ""

    def applies_to(self, version: str, model: str) -> bool:
        """Whether it is about this server; an unknown version is any version."""
        if self.model and self.model != model:
            return False
        try:
            return not self.versions or SpecifierSet(self.versions).contains(
                Version(version), prereleases=True
            )
        except ValueError:  # not a version, or one of too many digits
            return True

    def __str__(self) -> str:
        return f"{self.reason} ({self.issue}, until {self.until})"


def read(path: Path) -> tuple[Known, ...]:
    """The entries of a file, in its order.

    Raises `InputError`, which names the file, the entry and what is wrong with it.
    """
    tables = toml(path)
    kinds = {kind.value: kind for kind in Expected}
    if unknown := sorted(set(tables) - set(kinds)):
        raise InputError(
            f"{path}: no [[{unknown[0]}]]; there are [[known]] and [[flaky]]"
        )
    found: dict[tuple[str, str, str], Known] = {}
    for name, rows in tables.items():
        if not isinstance(rows, list):
            raise InputError(f"{path}: {name} should be a list: write [[{name}]]")
        for number, row in enumerate(rows, 1):
            where = f"{path}: [[{name}]] {number}"
            entry = _entry(row, kinds[name], where)
            key = entry.id, entry.versions, entry.model
            if key in found:
                raise InputError(f"{where}: {entry.id} is listed twice")
            found[key] = entry
    return tuple(found.values())


def _entry(row: object, kind: Expected, where: str) -> Known:
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a table; write [[{kind.value}]]")
    if missing := [name for name in _NEEDED if name not in row]:
        raise InputError(f"{where}: it has no {', '.join(missing)}")
    if unknown := [name for name in row if name not in _FIELDS]:
        raise InputError(
            f"{where}: no field {unknown[0]}; there are {', '.join(_FIELDS)}"
        )
    until = row["until"]
    if not isinstance(until, date) or isinstance(until, datetime):
        raise InputError(f"{where}: until should be a date such as 2027-01-31")
    texts = {name: row.get(name, "") for name in _FIELDS if name != "until"}
    for name, text in texts.items():
        if not isinstance(text, str) or (name in _NEEDED and not text.strip()):
            raise InputError(f"{where}: {name} should be a text")
    try:
        SpecifierSet(texts["version"]).contains("0")  # reads its numbers too
    except ValueError:
        raise InputError(
            f"{where}: version should look like '<0.34' or '>=0.22,<0.34'"
        ) from None
    return Known(
        id=texts["id"],
        kind=kind,
        reason=texts["reason"],
        issue=texts["issue"],
        until=until,
        versions=texts["version"],
        model=texts["model"],
    )


def check(entries: Sequence[Known], ids: Collection[str], today: date) -> None:
    """Refuse entries whose id no requirement has, and those past their date.

    Raises `InputError`.
    """
    for entry in entries:
        if entry.id not in ids:
            raise InputError(
                f"{entry.id}: there is no such requirement; "
                "--realtime-list=requirements lists them"
            )
        if entry.until < today:
            raise InputError(
                f"{entry.id}: its time is over since {entry.until} ({entry.issue}); "
                "take it out, or give it a later date"
            )


def soon(entries: Sequence[Known], today: date) -> list[str]:
    """One line for each entry that ends within `SOON` days."""
    return [
        f"known failure {entry.id} ends in {(entry.until - today).days} days, on "
        f"{entry.until} ({entry.issue})"
        for entry in entries
        if 0 <= (entry.until - today).days <= SOON
    ]


def softened(
    requirements: Sequence[Requirement],
    entries: Sequence[Known],
    *,
    version: str,
    model: str,
) -> tuple[Requirement, ...]:
    """The requirements, of which those that are listed for this server blame nobody."""
    listed = {entry.id: entry for entry in entries if entry.applies_to(version, model)}
    return tuple(
        replace(
            each,
            level=Level.INFO,
            title=f"{each.title} ({listed[each.id].kind.value}: {listed[each.id]})",
        )
        if each.id in listed
        else each
        for each in requirements
    )
