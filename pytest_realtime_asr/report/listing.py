"""Lists of what there is: requirements, dialects, metrics, options."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from pytest_realtime_asr import dialects, metrics
from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.plugin.options import AUTO, OPTIONS
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.requirements import pinned_suites

WIDTH = 80


def listing(what: str, settings: Settings) -> list[str]:
    """The lines of a list. ValueError where there is no such list."""
    match what:
        case "requirements":
            return _requirements(settings)
        case "dialects":
            return _dialects()
        case "metrics":
            return _metrics()
        case "options":
            return _options()
    raise ValueError(f"{what!r}; there are requirements, dialects, metrics and options")


def _requirements(settings: Settings) -> list[str]:
    """Those of the dialect; of a server that was not asked, those of all dialects."""
    names: tuple[str, ...] = (settings.dialect,)
    if settings.dialect == AUTO:
        pinned = settings.suite
        names = dialects.installed() if pinned is None else (pinned.dialect,)
    lines = []
    for name in names:
        lines += _of(replace(settings, dialect=name))
    return [*lines, f"frozen suites: {', '.join(pinned_suites.names())}"]


def _of(settings: Settings) -> list[str]:
    found = selection.requirements(settings)
    lines = []
    for each in found:
        interval = f" ({each.interval})" if each.interval else ""
        lines.append(f"{each.id}  {each.level.name}{interval}")
        lines += _under(each.title)
        lines += _under(each.clause)
    return [*lines, f"{len(found)} requirements of {settings.dialect}"]


def _dialects() -> list[str]:
    lines = []
    for name in dialects.installed():
        dialect = dialects.load(name)
        lines.append(f"{name}  {dialect.path}, {dialect.rate} Hz")
        for profile, changes in dialect.profiles.items():
            lines.append(f"    {profile}  {changes or 'the default'}")
    return lines


def _metrics() -> list[str]:
    lines = []
    for name, metric in metrics.CATALOGUE.items():
        lines.append(f"{name}  in {metric.unit.value}")
        lines += _under(metric.summary or f"needs {metric.needs}")
    return lines


def _options() -> list[str]:
    lines = []
    for option in OPTIONS:
        value = f"={option.metavar}" if option.metavar else ""
        lines.append(f"{option.cli}{value}  ({option.ini}, {option.env})")
        lines += _under(option.help)
    return lines


def _under(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
