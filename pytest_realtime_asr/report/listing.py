"""Lists the available requirements, dialects, metrics, options and faults."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Protocol

from pytest_realtime_asr import dialects
from pytest_realtime_asr import metrics as catalogue
from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.fake.faults import having
from pytest_realtime_asr.fake.faults.registry import known
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import Level

LISTS = ("requirements", "dialects", "metrics", "options", "faults")
_WIDTH = 80


class Option(Protocol):
    """An option of the plugin."""

    @property
    def cli(self) -> str: ...
    @property
    def ini(self) -> str: ...
    @property
    def env(self) -> str: ...
    @property
    def metavar(self) -> str: ...
    @property
    def help(self) -> str: ...
    @property
    def many(self) -> bool: ...
    @property
    def flag(self) -> bool: ...
    @property
    def guide(self) -> str: ...


class Group(Protocol):
    """The options of one subject."""

    @property
    def title(self) -> str: ...
    @property
    def options(self) -> Sequence[Option]: ...
    @property
    def about(self) -> str: ...


def requirements(
    dialect: str, *, level: Level = Level.INFO, pinned: PinnedSuite | None = None
) -> list[str]:
    """Return the lines that list the requirements of a dialect.

    If ``dialect`` is `AUTO`, the lines list the requirements of the pinned suite's
    dialect or, without a pinned suite, of all dialects. Raises LookupError for an
    unknown dialect, and ValueError if the pinned suite is for another dialect.
    """
    names: tuple[str, ...] = (dialect,)
    if dialect == AUTO:
        names = dialects.installed() if pinned is None else (pinned.dialect,)
    lines = []
    for name in names:
        found = selection.requirements(name, level=level, pinned=pinned)
        for each in found:
            interval = f" ({each.interval})" if each.interval else ""
            lines.append(f"{each.id}  {each.level.name}{interval}")
            lines += _indented(each.title)
            lines += _indented(each.clause)
        lines.append(f"{len(found)} requirements of {name}")
    return [*lines, f"pinned suites: {', '.join(pinned_suites.names())}"]


def installed_dialects() -> list[str]:
    """Return the lines that list the dialects with their profiles."""
    lines = []
    for name in dialects.installed():
        dialect = dialects.load(name)
        lines.append(f"{name}  {dialect.path}, {dialect.rate} Hz")
        for profile, changes in dialect.profiles.items():
            lines.append(f"    {profile}  {changes or 'the default'}")
    return lines


def metrics() -> list[str]:
    """Return the lines that list the metrics with their units."""
    lines = []
    for name, metric in catalogue.DECLARED.items():
        lines.append(f"{name}  in {metric.unit.value}")
        lines += _indented(metric.summary or f"needs {metric.needs}")
    return lines


def options(groups: Iterable[Group]) -> list[str]:
    """Return the lines that list the options of each group.

    An option has three names: for the command line, the ini file and the environment.
    """
    lines = []
    for group in groups:
        lines.append(f"{group.title}:")
        for option in group.options:
            value = f"={option.metavar}" if option.metavar else ""
            lines.append(f"{option.cli}{value}  ({option.ini}, {option.env})")
            lines += _indented(option.help)
    return lines


def faults() -> list[str]:
    """Return the lines that list the faults with the dialects of their servers.

    Raises LookupError if the faults of an installed package cannot be imported.
    """
    every = dialects.installed()
    lines = []
    for name, fault in known().items():
        names = having(name)
        where = "every dialect" if names == every else ", ".join(names)
        lines.append(f"{name}  {where}")
        lines += _indented(f"a server that {fault.about}")
    return lines


def _indented(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
