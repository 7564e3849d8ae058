"""The trend on the page of a run: this run and earlier runs.

``report trend`` shows the same trend: the same runs, the same numbers and the same
drawings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from pytest_realtime_asr.report import recorded_runs, trend_page
from pytest_realtime_asr.report.page import chunks
from pytest_realtime_asr.verdicts.trend import trend

THIS = "this run"  # its name in the trend


def block(
    earlier: Iterable[Path],
    own: Path,
    *,
    interrupted: bool = False,
    tell: Callable[[str], None],
) -> bytes:
    """Return the block of the trend.

    ``earlier`` are the reports of the earlier runs. ``own`` is the report of this run;
    it is counted once even if ``earlier`` contains it. This run counts as interrupted
    if ``interrupted`` is true or if its report says so. ``tell`` is called with a
    sentence about each report or line that is left out. Raises ValueError if no earlier
    report can be used, or if the report of this run cannot be used.
    """
    paths = [path for path in earlier if path.resolve() != own.resolve()]
    this = recorded_runs.read(own, tell=tell)
    this = replace(this, name=THIS, interrupted=interrupted or this.interrupted)
    found = trend([*recorded_runs.read_all(paths, tell=tell), this])
    return chunks.fragment("trend", trend_page.part(found, level=3))
