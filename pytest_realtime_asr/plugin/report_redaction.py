"""Removes secrets from pytest's own reports of tests.

The output, the logs and the exceptions of a test may quote what a server sent. Pytest
puts them into its report of the test, and the terminal, JUnit XML and all other plugins
read this report.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import OptionsError
from pytest_realtime_asr.plugin.pytest_internals import junit_properties
from pytest_realtime_asr.run.audio_account import NotSent
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.privacy import PRIVATE
from pytest_realtime_asr.text.redaction import Redactor

_LAYOUT = re.compile("([\n\t])")
_COLOUR = re.compile("([\n\t]|\x1b\\[[0-9;]*m)")
_PACKAGE = "pytest_realtime_asr"
_FOLDER = Path(__file__).parents[1]


def clean(report: pytest.TestReport | pytest.CollectReport, redactor: Redactor) -> None:
    """Remove the secrets from every part of a report.

    The report is changed in place.
    """
    if not redactor:
        return
    report.longrepr = _each_text(report.longrepr, redactor.clean)
    report.sections = redactor.clean_value(list(report.sections))
    for name in ("user_properties", "wasxfail", "realtime"):
        if hasattr(report, name):
            setattr(report, name, redactor.clean_value(getattr(report, name)))


def escape(report: pytest.TestReport, *, coloured: bool = False) -> None:
    """Escape control characters in the reason why a test failed or was skipped.

    The report is changed in place. The test's own output is not escaped. If
    ``coloured`` is true, pytest's colour codes are not escaped either.
    """
    kept = _COLOUR if coloured else _LAYOUT
    report.longrepr = _each_text(report.longrepr, partial(_escaped, kept=kept))
    if hasattr(report, "wasxfail"):
        report.wasxfail = _escaped(report.wasxfail)
    report.user_properties = [
        (name, _escaped(value) if isinstance(value, str) else value)
        for name, value in report.user_properties
    ]


def lead(
    report: pytest.TestReport, raised: pytest.ExceptionInfo[BaseException] | None
) -> None:
    """Shorten a failure to one line in pytest's summary, if this package caused it.

    The line is the first line of the message, without the name of the exception that
    pytest puts before it. Otherwise, pytest would print the whole message a second time
    if the environment variable ``CI`` is set. The report is changed in place.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    if report.failed and raised is not None and crash is not None and is_ours(raised):
        crash.message = crash.message.removeprefix("Failed: ").partition("\n")[0]


def only_sentence(
    raised: pytest.ExceptionInfo[BaseException] | None,
) -> pytest.ExceptionInfo[BaseException] | None:
    """Return the exception; `NotSent` is replaced by one without source lines.

    A limit in the options of the run causes `NotSent`, so the source lines of the test
    would explain nothing.
    """
    if raised is None or not isinstance(raised.value, NotSent):
        return raised
    try:
        pytest.fail(str(raised.value), pytrace=False)
    except pytest.fail.Exception as error:
        return pytest.ExceptionInfo.from_exception(error)


def shown_exception(
    raised: pytest.ExceptionInfo[BaseException] | None, redactor: Redactor
) -> pytest.ExceptionInfo[BaseException] | None:
    """Remove the secrets from the exception of a test, and return the exception.

    Plugins may quote the exception. Its message is changed in place, so that the
    exception keeps its type and its traceback. If the message cannot be changed,
    another exception is returned instead. In a private run, the message is removed
    unless this package wrote it.
    """
    if raised is None:
        return None
    hidden = redactor.private and not _is_public(raised)
    text = PRIVATE if hidden else redactor.clean(str(raised.value))
    if not hidden and redactor.clean(raised.exconly()) == raised.exconly():
        return raised
    value = raised.value
    value.args = (text,)
    if hasattr(value, "msg"):  # the exceptions of pytest.fail and pytest.skip
        value.msg = text
    value.__notes__ = []
    if str(value) != text:
        error = Exception(f"{raised.typename}: {text}")
        return pytest.ExceptionInfo.from_exception(
            error.with_traceback(value.__traceback__)
        )
    return raised


def shield(report: pytest.TestReport, redactor: Redactor) -> None:
    """Remove the secrets from the message and the arguments of a subtest, in place."""
    if (context := getattr(report, "context", None)) is not None:
        _each_text(context, lambda text: _escaped(redactor.clean(text)))
        if redactor.private:
            _each_text(context, redactor.message)


def shield_suite(config: pytest.Config, redactor: Redactor) -> None:
    """Remove the secrets from the properties of the whole run in JUnit XML, in place.

    In a private run, all values of the properties are removed.
    """
    if (properties := junit_properties(config)) is not None:
        properties[:] = [
            (name, redactor.message(_escaped(redactor.clean(str(value)))))
            for name, value in properties
        ]


def rephrase(message: Warning | str, redactor: Redactor) -> Warning | str:
    """Return a warning without secrets.

    In a private run, the message of a warning is removed. The warnings of this package
    keep their messages, which quote no transcript.
    """
    text = _escaped(redactor.clean(str(message)))
    if not type(message).__module__.startswith(_PACKAGE):
        text = redactor.message(text)
    if text == str(message):
        return message
    try:
        return type(message)(text)
    except Exception:  # the class of the warning needs other arguments
        return UserWarning(f"{type(message).__name__}: {text}")


class Formatter(logging.Formatter):
    """Formats records with the formatter ``inner``; removes secrets from the text.

    ``redactor`` returns a redactor for all secrets that are known so far.
    """

    def __init__(
        self, inner: logging.Formatter, redactor: Callable[[], Redactor]
    ) -> None:
        super().__init__()
        self._inner = inner
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        redactor = self._redactor()
        return redactor.message(redactor.clean(self._inner.format(record)))


def withhold(
    report: pytest.TestReport, raised: pytest.ExceptionInfo[BaseException] | None
) -> None:
    """Remove the output and the exception of a test, which may quote a transcript.

    The report is changed in place. The messages of this package are kept.
    """
    report.sections = [
        (name, text if "realtime" in name else PRIVATE)
        for name, text in report.sections
    ]
    report.user_properties = [
        (name, value if name.startswith("realtime.") else PRIVATE)
        for name, value in report.user_properties
    ]
    if raised is None:
        return
    if isinstance(raised.value, pytest.xfail.Exception) and not is_ours(raised):
        report.wasxfail = PRIVATE
    last = raised.traceback[-1]
    place = f"{last.path}:{last.lineno + 1}"
    if isinstance(raised.value, Lost | OptionsError):
        report.longrepr = f"{place}: {raised.typename}: {raised.value}"
    elif not is_ours(raised):
        shown = f"{raised.typename}: {PRIVATE}"
        if isinstance(report.longrepr, tuple):  # the test is skipped
            report.longrepr = (*report.longrepr[:2], shown)
        else:
            report.longrepr = f"{place}: {shown}"


def withhold_collected(report: pytest.CollectReport, ours: Collection[str]) -> None:
    """Remove the exception that a module raised during the collection.

    The report is changed in place. ``ours`` are messages of this package, which are
    kept.
    """
    if str(report.longrepr) not in ours:
        report.longrepr = f"{report.nodeid}: {PRIVATE}"


def _is_public(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Return whether an exception is of this package; it then quotes no transcript."""
    return isinstance(raised.value, Lost | OptionsError) or is_ours(raised)


def is_ours(raised: pytest.ExceptionInfo[BaseException]) -> bool:
    """Return whether this package caused the failure, skip or xfail of the test."""
    kinds = (pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)
    callers = [entry.path for entry in raised.traceback]
    return isinstance(raised.value, kinds) and _FOLDER in Path(callers[-2]).parents


def _escaped(text: str, *, kept: re.Pattern[str] = _LAYOUT) -> str:
    """Escape the control characters of a text, except those that ``kept`` matches."""
    parts = kept.split(text)  # the kept characters are at the odd indices
    return "".join(
        part if place % 2 else printable(part) for place, part in enumerate(parts)
    )


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Apply ``change`` to each string in a value of a report; return the new value.

    An object of a dataclass is changed in place.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each_text(each, change) for each in value]
    if isinstance(value, tuple):
        return tuple(_each_text(each, change) for each in value)
    if isinstance(value, dict):
        return {name: _each_text(each, change) for name, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            changed = _each_text(getattr(value, field.name), change)
            object.__setattr__(value, field.name, changed)
    return value
