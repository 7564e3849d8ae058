"""Known failures: the requirements that a server is expected to violate.

The repository of the server lists them in a TOML file:

[[known]]
id = "binary-answered"
reason = "a binary frame ends the session without an error"
issue = "https://github.com/vllm-project/vllm/issues/1"
until = 2027-01-31       # the last day on which the entry applies
version = "<0.34"        # optional, as pip writes it
model = "voxtral"        # optional

[[flaky]]                # is checked, and may fail
...                      # the fields of [[known]]
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pytest_realtime_asr.requirements.requirement import Level, Requirement
from pytest_realtime_asr.text.inputs import InputError, toml
from pytest_realtime_asr.text.number_format import several

SOON = 14  # days; an entry that expires within them is announced
_Text = Annotated[str, msgspec.Meta(pattern=r"\S")]
_EMPTY = "Expected `str` matching regex"  # msgspec's message about an empty `_Text`
_HOW_TO_WRITE = (
    "write [[known]] or [[flaky]] with the strings `id`, `reason` and `issue`, the "
    "date `until` (such as 2027-01-31) and, if needed, the strings `version` and "
    "`model`"
)


class Expected(enum.Enum):
    """Whether a listed requirement is expected to fail (KNOWN), or may fail (FLAKY)."""

    KNOWN = "known"
    FLAKY = "flaky"


@dataclass(frozen=True, slots=True)
class Known:
    """One entry of the list; ``until`` is the last day on which the entry applies.

    If ``versions`` is ``None``, the entry applies to all versions of the server. If
    ``model`` is ``None``, the entry applies to all models.
    """

    id: str
    kind: Expected
    reason: str
    issue: str
    until: date
    versions: str | None = None
    model: str | None = None

    def applies_to(self, version: str, model: str) -> bool:
        """Return whether the entry applies to a server with this version and model.

        If the version cannot be compared with the versions of the entry, only the model
        decides.
        """
        if self.model is not None and self.model != model:
            return False
        try:
            return self.versions is None or SpecifierSet(self.versions).contains(
                Version(version), prereleases=True
            )
        except ValueError:  # not a version, or one of too many digits
            return True

    def __str__(self) -> str:
        return f"{self.reason} ({self.issue}, until {self.until})"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry as it is in the file; the fields have the names that the file uses."""

    id: _Text
    reason: _Text
    issue: _Text
    until: date
    version: _Text = ""  # the default is not validated
    model: _Text = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    known: tuple[_Entry, ...] = ()
    flaky: tuple[_Entry, ...] = ()


def read(path: Path) -> tuple[Known, ...]:
    """Return the entries of a file, in the order of the file.

    Raises `InputError`, which names the file and the entry, says what is wrong with
    the entry, and shows how to write an entry.
    """
    tables = toml(path)
    file = _converted(tables, path)
    entries = {Expected.KNOWN: file.known, Expected.FLAKY: file.flaky}
    found: dict[tuple[str, str, str], Known] = {}
    for kind in map(Expected, tables):
        for number, entry in enumerate(entries[kind], 1):
            where = f"{path}: [[{kind.value}]] {number}"
            key = entry.id, entry.version, entry.model
            if key in found:
                raise InputError(
                    f"{where}: {entry.id} is listed twice; remove one of the entries"
                )
            _check_version(entry.version, where)
            found[key] = Known(
                id=entry.id,
                kind=kind,
                reason=entry.reason,
                issue=entry.issue,
                until=entry.until,
                versions=entry.version or None,
                model=entry.model or None,
            )
    return tuple(found.values())


def _converted(tables: Mapping[str, object], path: Path) -> _File:
    try:
        # A date must be a TOML date, not a string.
        return msgspec.convert(tables, _File, builtin_types=(date, datetime))
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        if what.startswith(_EMPTY):
            what = "the string is empty"
        place = re.sub(r"^(\w+)\[(\d+)\]", _numbered, where.rstrip("`"))
        place = place and f"{place}: "
        raise InputError(f"{path}: {place}{what}; {_HOW_TO_WRITE}") from None


def _numbered(match: re.Match[str]) -> str:
    """Return ``[[known]] 1`` for ``known[0]``, and so on for other entries."""
    return f"[[{match[1]}]] {int(match[2]) + 1}"


def _check_version(version: str, where: str) -> None:
    try:
        SpecifierSet(version).contains("0")  # parses the numbers too
    except ValueError:
        raise InputError(
            f"{where}: the version cannot be read; write it as in "
            "'<0.34' or '>=0.22,<0.34'"
        ) from None


def check(entries: Sequence[Known], ids: Collection[str], today: date) -> None:
    """Raise `InputError` if an entry has expired, or if no requirement has its id."""
    for entry in entries:
        if entry.id not in ids:
            raise InputError(
                f"{entry.id}: there is no such requirement; "
                "--realtime-list=requirements lists all requirements"
            )
        if entry.until < today:
            raise InputError(
                f"{entry.id}: the entry expired on {entry.until} ({entry.issue}); "
                "remove the entry, or give it a later date"
            )


def soon(entries: Sequence[Known], today: date) -> list[str]:
    """Return one line for each entry that expires within `SOON` days."""
    return [
        f"known failure {entry.id} expires in "
        f"{several((entry.until - today).days, 'day')}, on {entry.until} "
        f"({entry.issue})"
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
    """Return the requirements, with level INFO for requirements that have an entry.

    Only entries that apply to this version and model are used. The text of an entry is
    added to the title of its requirement.
    """
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
