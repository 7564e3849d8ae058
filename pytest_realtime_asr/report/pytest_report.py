"""pytest's own report of a test, without secrets.

What a test prints, logs or raises may hold what a server said. All of it is in the
report that pytest makes of the test, from which the terminal, JUnit XML and every other
plugin take it.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    report.longrepr = _clean(report.longrepr, redactor)
    report.sections = redactor.clean_value(list(report.sections))
    for name in ("user_properties", "realtime", "realtime_result"):
        if hasattr(report, name):
            setattr(report, name, redactor.clean_value(getattr(report, name)))


def escape(report: pytest.TestReport) -> None:
    """Write out control characters in a failure that is a plain text.

    The report is changed in place. A failure of pytest's own form has them written out.
    """
    if isinstance(report.longrepr, str):
        lines = report.longrepr.split("\n")
        report.longrepr = "\n".join(map(printable, lines))


def _clean(value: Any, redactor: Redactor) -> Any:
    """Return a text, or a part of a traceback, without secrets."""
    if isinstance(value, str):
        return redactor.clean(value)
    if isinstance(value, Sequence):
        return type(value)(_clean(each, redactor) for each in value)  # type: ignore[call-arg]
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            cleaned = _clean(getattr(value, field.name), redactor)
            object.__setattr__(value, field.name, cleaned)
    return value
