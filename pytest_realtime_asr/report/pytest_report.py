"""pytest's own report of a test, without secrets.

What a test prints, logs or raises may hold what a server said. All of it is in the
report that pytest makes of the test, from which the terminal, JUnit XML and every other
plugin take it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.redaction import PRIVATE, Redactor, printable

_PACKAGE = "pytest_realtime_asr"
_FOLDER = Path(__file__).parents[1]


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


def withhold(
    report: pytest.TestReport, raised: pytest.ExceptionInfo[BaseException] | None
) -> None:
    """Leave out what a test itself has printed or raised, which may quote a text.

    The report is changed in place. What this package says of a test stays.
    """
    report.sections = [
        (name, text if "realtime" in name else PRIVATE)
        for name, text in report.sections
    ]
    if raised is None:
        return
    last = raised.traceback[-1]
    place = f"{last.path}:{last.lineno + 1}"
    if type(raised.value).__module__.startswith(f"{_PACKAGE}.session"):
        report.longrepr = f"{place}: {raised.typename}: {raised.value}"
    elif not _is_ours(raised):
        told = f"{raised.typename}: {PRIVATE}"
        if isinstance(report.longrepr, tuple):  # of a test that is skipped
            report.longrepr = (*report.longrepr[:2], told)
        else:
            report.longrepr = f"{place}: {told}"


def _is_ours(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Return whether this package has failed, skipped or xfailed the test."""
    kinds = (pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)
    callers = [entry.path for entry in raised.traceback]
    return isinstance(raised.value, kinds) and _FOLDER in Path(callers[-2]).parents


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
