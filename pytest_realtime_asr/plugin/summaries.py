"""Writes the summaries of a run: report files, GitHub's job page and annotations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pytest_realtime_asr.metrics import Better
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.report import (
    benchmark_json,
    github_annotations,
    markdown,
    openmetrics,
)
from pytest_realtime_asr.report.run_summary import Failure, RunSummary
from pytest_realtime_asr.text.messages import error_text

_CONTENT: Mapping[str, Callable[[RunSummary], bytes]] = {
    "md": lambda found: markdown.document(found).encode(),
    "prom": openmetrics.dumps,
    "benchmark": lambda found: benchmark_json.dumps(found, Better.LOWER),
    "benchmark-bigger": lambda found: benchmark_json.dumps(found, Better.HIGHER),
}
KINDS = _CONTENT.keys()
"""The kinds of reports that summarise a run; they are written when the run ends."""

# Plugins that annotate the failures of every test themselves.
_ANNOTATORS = ("pytest_github_actions_annotate_failures",)


class Summaries:
    """Writes the summaries of a run.

    If a report cannot be written, `write` adds a note and raises no error.
    ``environment`` has the variables that GitHub Actions sets: ``GITHUB_ACTIONS``,
    ``GITHUB_STEP_SUMMARY`` and ``GITHUB_WORKSPACE``.
    """

    def __init__(self, state: State, environment: Mapping[str, str]) -> None:
        self._state = state
        self._environment = environment

    @property
    def _in_github(self) -> bool:
        return self._environment.get("GITHUB_ACTIONS") == "true"

    def write(self, found: RunSummary) -> None:
        """Write the reports of all `KINDS`, and the summary on GitHub's job page."""
        for kind, make in _CONTENT.items():
            for file in self._state.reports.get(kind, ()):
                with self._noted(str(file)):
                    if content := make(found):
                        file.replace(self._cleaned(content))
        path = self._environment.get("GITHUB_STEP_SUMMARY")
        if self._in_github and path:
            with self._noted("GITHUB_STEP_SUMMARY"):
                self._append(Path(path), found)

    def annotations(self, failures: Iterable[Failure]) -> list[str]:
        """Return the annotations of failures for GitHub Actions.

        The list is empty outside of GitHub Actions, or if another plugin annotates all
        failures.
        """
        plugins = self._state.config.pluginmanager
        if not self._in_github or any(map(plugins.hasplugin, _ANNOTATORS)):
            return []
        placed = map(self._placed, failures)
        return list(map(self._state.redactor.clean, github_annotations.lines(placed)))

    def _placed(self, failure: Failure) -> Failure:
        """Return a failure whose path is relative to the root of the repository."""
        root = Path(self._environment.get("GITHUB_WORKSPACE") or os.curdir).resolve()
        path = (self._state.config.rootpath / failure.path).resolve()
        inside = path.is_file() and path.is_relative_to(root)
        shown = path.relative_to(root).as_posix() if inside else ""
        return msgspec.structs.replace(failure, path=shown)

    def _cleaned(self, content: bytes) -> bytes:
        return self._state.redactor.clean(content.decode()).encode()

    def _append(self, path: Path, found: RunSummary) -> None:
        """Append the summary to a file to which other commands may have written."""
        room = markdown.MOST - (path.stat().st_size if path.exists() else 0)
        with path.open("ab") as file:
            file.write(self._cleaned(markdown.document(found, most=room).encode()))

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        """Catch an error in the ``with`` block; add a note about report ``name``."""
        try:
            yield
        except Exception as error:
            self._state.note(f"{name}: the report is not written: {error_text(error)}")
