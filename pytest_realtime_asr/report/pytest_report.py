"""pytest's own report of a test, without secrets.

What a test prints, logs or raises may hold what a server said. All of it is in the
report that pytest makes of the test, from which the terminal, JUnit XML and every other
plugin take it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from pytest_realtime_asr.redaction import Redactor, printable


def clean(report: pytest.TestReport | pytest.CollectReport, redactor: Redactor) -> None:
    """Remove the secrets from a report: texts, captured output, properties, rows.

    The report is changed in place.
    """
    if not redactor:
        return
    report.longrepr = _each_text(report.longrepr, redactor.clean)
    report.sections = redactor.clean_value(list(report.sections))
    for name in ("user_properties", "realtime", "realtime_result"):
        if hasattr(report, name):
            setattr(report, name, redactor.clean_value(getattr(report, name)))


def escape(report: pytest.TestReport) -> None:
    """Write out control characters in what failed or skipped a test.

    The report is changed in place. What the test itself has printed stays as it is.
    """
    report.longrepr = _each_text(report.longrepr, _escaped)


def _escaped(text: str) -> str:
    """Return a text of several lines with its control characters written out."""
    lines = text.split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a failure, in pytest's own form, with each text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_each_text(each, change) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            changed = _each_text(getattr(value, field.name), change)
            object.__setattr__(value, field.name, changed)
    return value
