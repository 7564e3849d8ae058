"""Starts servers in child processes of the plugin.

The servers are the fake server, the reference server and ASGI applications.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_realtime_asr.client.target import REPLAY
from pytest_realtime_asr.corpus import Corpus, nemo
from pytest_realtime_asr.fake.process import FakeError
from pytest_realtime_asr.plugin.server_output import ServerOutput
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.run.fakes import FakeServers, is_replay, is_started

if TYPE_CHECKING:
    from pytest_realtime_asr.client.asgi import Application


class Targets:
    """Returns the URL of each target, and starts a server for it if needed.

    Each server is started once. ``shared`` maps targets to the URLs of the servers that
    xdist's controller started. ``corpus`` returns the corpus of the run, and raises
    UsageError if the corpus cannot be loaded. ``warn`` takes a line that the user sees
    at the end of the run. ``output`` collects what the applications under test print.
    """

    def __init__(
        self,
        settings: Settings,
        shared: Mapping[str, str],
        *,
        corpus: Callable[[], Corpus],
        warn: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._shared = shared
        self._corpus = corpus
        self._folder: TemporaryDirectory[str] | None = None
        self._fakes = FakeServers()
        self._warn = warn
        self._replays: dict[tuple[str, str], str] = {}  # by target and dialect
        # The keys are the ids of the applications, since not every application has a
        # hash. The reference to an application keeps its id unique.
        self._applications: dict[int, tuple[object, Application | str]] = {}
        self.output = ServerOutput()

    def url(self, target: object, dialect: str) -> str:
        """Return the URL of a target.

        The target is a URL, ``fake``, ``reference`` or an ASGI application. Raises
        UsageError.
        """
        if callable(target):
            return self._application(target)
        if not isinstance(target, str):
            raise pytest.UsageError(
                f"the fixture realtime_target returned {target!r}; it should return a "
                "URL, fake, reference or an ASGI application"
            )
        if not is_started(target):
            return target
        if target in self._shared and dialect == self._settings.dialect:
            return self._shared[target]
        if is_replay(target):
            return self._replay(target, dialect)
        return self._fake(target, dialect)

    @property
    def serves_applications(self) -> bool:
        """Return whether any target is an application."""
        return bool(self._applications)

    def stop_applications(self) -> list[str]:
        """Stop the applications; return the lines that they printed between tests."""
        return self.output.stop()

    def stop(self) -> None:
        """Stop all servers that were started."""
        self._fakes.stop()
        for line in self.stop_applications():  # pytest has ended without a summary
            print(line, file=sys.stderr)
        if self._folder is not None:
            self._folder.cleanup()

    def _replay(self, target: str, dialect: str) -> str:
        """Return the URL of a server that replays the traces of a target."""
        if (target, dialect) not in self._replays:
            settings, given = self._settings, target.removeprefix(REPLAY)
            try:
                server = self._fakes.replay(
                    given,
                    dialect=dialect,
                    timing=settings.replay.timing.value,
                    arguments=settings.fake,
                    warn=self._warn,
                    max_age=settings.replay.max_age,
                )
            except (FakeError, LookupError, OSError, ValueError) as error:
                raise pytest.UsageError(f"{target}: {error}") from None
            self._replays[target, dialect] = server.url
        return self._replays[target, dialect]

    def _fake(self, target: str, dialect: str) -> str:
        settings = self._settings
        # Otherwise the fake server would fail to start, with a less clear message.
        corpus = self._corpus()
        specs = settings.corpus
        if settings.perturb and target == "fake":
            specs = (*specs, self._written(corpus))
        try:
            return self._fakes.target(
                target,
                dialect,
                corpus=specs,
                arguments=settings.fake,
                key=settings.run.server.key,
            )
        except FakeError as error:
            why = str(error)
            if settings.run.private:  # the message may name the files of the corpus
                why = (
                    f"--realtime-target={target}: the server did not start; run "
                    "without --realtime-private to see the reason"
                )
            raise pytest.UsageError(why) from None

    def _written(self, corpus: Corpus) -> str:
        """Write the perturbed clips to files, and return the path of their manifest.

        The fake server reads the manifest. Without it, the server would know only the
        clips before their perturbation.
        """
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="pytest-realtime-asr-")
            nemo.write(Path(self._folder.name), corpus)
        return str(Path(self._folder.name) / nemo.NAME)

    def _application(self, application: Callable[..., Any]) -> str:
        key = id(application)
        if key not in self._applications:
            try:  # this module needs an optional extra of the package
                from pytest_realtime_asr.client.asgi import (
                    Application,
                    ApplicationError,
                )
            except ImportError as error:
                raise pytest.UsageError(str(error)) from None
            started: Application | str
            try:
                started = Application(application)
                self.output.add(started)
            except ApplicationError as error:
                started = str(error)  # later tests get the same message
            self._applications[key] = application, started
        _, found = self._applications[key]
        if isinstance(found, str):
            raise pytest.UsageError(found)
        return found.url
