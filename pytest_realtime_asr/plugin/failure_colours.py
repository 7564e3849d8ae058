"""Colours the strips in the failures that the terminal shows.

The text of a failure has no colour codes, since JUnit XML and other reports contain it.
So the codes are there only while pytest prints the failures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

_STRIP = "\n  audio "  # the first line of a strip


class Colours(Protocol):
    """The object that colours failures in the terminal."""

    def failures(
        self, reports: Collection[object], reporter: pytest.TerminalReporter
    ) -> AbstractContextManager[None]: ...


class FailureColours:
    """The pytest plugin that colours strips; ``colours`` returns what colours them."""

    def __init__(self, colours: Callable[[], Colours]) -> None:
        self._colours = colours

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # pytest prints failures in a wrapper
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Colour the strips while pytest prints the failures."""
        stats = terminalreporter.stats
        failed = [
            report
            for report in (*stats.get("failed", ()), *stats.get("error", ()))
            if _STRIP in getattr(report, "longreprtext", "")
        ]
        if not failed or not terminalreporter.hasmarkup:
            return (yield)
        with self._colours().failures(failed, terminalreporter):
            return (yield)
