"""What a run says of its server before its tests, and of its tests at its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.target import TargetError
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.report import terminal
from pytest_realtime_asr.run.run import Run


def shown(text: str) -> str:
    """A target as it may be printed, without asking it anything."""
    try:
        return target.parse(text, path="").shown
    except TargetError as error:
        return str(error)


def introduce(run: Run, text: str, corpus: Iterable[str]) -> str:
    """The server that a target names, or why there is none; it is asked for its model.

    Raises LookupError where the dialect is unknown.
    """
    spoken = f"corpus {run.config.redactor.message(' '.join(corpus))}"
    try:
        dialect, reason = run.servers.dialect(text, run.config.session.dialect)
        where, model = run.servers.ask(text, dialect)
    except (Unreachable, ValueError) as error:
        return f"{error}, {spoken}"
    found = f" ({reason})" if reason else ""
    return f"{where}, {dialect.name}{found}, model {model}, {spoken}"


def table(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """The lines of the table, of rows that came as plain mappings from the workers."""
    return terminal.table(msgspec.convert(list(rows), list[terminal.Row]))
