"""The trend on the HTML page of a run that is compared with earlier reports."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

from pytest_realtime_asr.plugin.pytest_internals import new_folder
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.page import history

_NAME = "page-trend.jsonl"


class PageTrend:
    """The trend over a run and the earlier reports that it is compared with.

    The processes of the run write their results into a file in ``shared``, the folder
    that all of them can access. If there is only one process, ``shared`` is ``None``,
    and this object makes the folder. The object is false if the run writes no HTML
    page, or is compared with no earlier report.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, shared: Path | None
    ) -> None:
        self._config = config
        self._shared = shared
        self._earlier = settings.comparison.reports
        self._pages = any(kind == "html" for kind, _ in settings.reports)

    def __bool__(self) -> bool:
        return bool(self._pages and self._earlier)

    @cached_property
    def lines(self) -> ReportFile:
        """The file that holds the results of this run, in JSON Lines."""
        return ReportFile(self._folder / _NAME, shared=self._shared)

    @cached_property
    def _folder(self) -> Path:
        return self._shared or new_folder(self._config)

    def block(
        self, shared: Path | None, *, interrupted: bool, tell: Callable[[str], None]
    ) -> bytes | None:
        """Return the trend for the page; ``None`` if this run has no result.

        ``shared`` is the folder of the xdist workers; ``None`` without workers.
        ``tell`` is called with a sentence about each report, or part of a report, that
        the trend leaves out. Raises ValueError if no report can be used.
        """
        folder = shared or (self._folder if "lines" in self.__dict__ else None)
        if folder is None or not (own := folder / _NAME).is_file():
            return None
        return history.block(self._earlier, own, interrupted=interrupted, tell=tell)

    def stop(self) -> None:
        """Remove the folder, if this object made it."""
        if self._shared is None and "_folder" in self.__dict__:
            shutil.rmtree(self._folder, ignore_errors=True)
