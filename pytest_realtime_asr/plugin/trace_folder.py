"""The folder for the traces of a run; it has the traces of one run only."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from pytest_realtime_asr.client.target import replayed
from pytest_realtime_asr.plugin.pytest_internals import cache_folder
from pytest_realtime_asr.plugin.settings import Settings

NAME = "realtime-traces"
# The end of the name of a test's folder: a part of a hash; traces that a test asked for
# have a folder of their own.
_OF_A_TEST = re.compile(r"-[0-9a-f]{8}(-asked)?$")
# This file marks a folder as made by the plugin, and keeps it out of git.
_MARK = ".gitignore"
_CONTENT = "# Traces of a run; each run of pytest-realtime-asr replaces them.\n*\n"


class TraceFolder:
    """A folder that the plugin makes when it keeps the first trace of a run.

    Each run removes the traces of the previous run. Therefore, the plugin never uses a
    folder that contains files, unless the plugin itself made this folder. ``cache`` is
    pytest's cache if the folder is inside the cache.
    """

    def __init__(self, path: Path, *, cache: pytest.Cache | None = None) -> None:
        self.path = path
        self._cache = cache

    def check(self) -> None:
        """Raise ValueError if the folder cannot be used; no file is changed."""
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file; name a folder")
        if not self._is_ours:
            raise ValueError(
                f"{self.path} contains files, but this plugin did not make it; a run "
                "removes the earlier traces in its folder, so name another folder with "
                "--realtime-traces=DIR"
            )

    def refuse_recordings(self, target: str) -> None:
        """Raise ValueError if a target replays traces that this run would remove."""
        if (folder := replayed(target)) is None:
            return
        given, own = Path(folder).resolve(), self.path.resolve()
        if given == own or given in own.parents or own in given.parents:
            raise ValueError(
                f"the run would remove the recordings in {folder}, since it keeps its "
                "own traces there; name another folder with --realtime-traces=DIR"
            )

    def clear(self) -> None:
        """Remove the traces of earlier runs; other files in the folder are kept."""
        if not self._is_ours or not self.path.is_dir():
            return
        for each in self.path.iterdir():
            if each.is_dir() and _OF_A_TEST.search(each.name):
                shutil.rmtree(each, ignore_errors=True)
        if [each.name for each in self.path.iterdir()] == [_MARK]:
            shutil.rmtree(self.path, ignore_errors=True)

    def make(self) -> Path:
        """Make the folder and return its path. Raises OSError."""
        if self._cache is not None:
            return self._cache.mkdir(NAME)
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / _MARK).write_text(_CONTENT)
        return self.path

    @property
    def _is_ours(self) -> bool:
        """Whether the folder was made by the plugin, is empty or does not exist."""
        if self._cache is not None or not self.path.is_dir():
            return True
        mark = self.path / _MARK
        if mark.is_file():
            return mark.read_text(errors="replace") == _CONTENT
        return not any(self.path.iterdir())


def trace_folder(config: pytest.Config, settings: Settings) -> TraceFolder | None:
    """Return the folder for traces; ``None`` if no traces are kept.

    The folder that the user named is used. If the user named none, the folder is beside
    the first report, or in pytest's cache if there is no report.
    """
    if settings.traces is not None:
        return TraceFolder(settings.traces)
    paths = [path for _, path in settings.reports]
    if xml := getattr(config.option, "xmlpath", None):
        named = os.path.expanduser(os.path.expandvars(xml))
        paths.append(config.invocation_params.dir / named)
    for path in paths:
        if path.is_file() or not path.exists():  # not a device such as /dev/stdout
            return TraceFolder(path.parent / NAME)
    cache = getattr(config, "cache", None)
    if cache is None:
        return None
    return TraceFolder(cache_folder(cache, NAME), cache=cache)
