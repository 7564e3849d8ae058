"""The servers that the plugin starts itself: the fake, the reference, ASGI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_realtime_asr.fake.process import FakeError
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.run.fakes import FAKES, FakeServers

if TYPE_CHECKING:
    from pytest_realtime_asr.client.asgi import Application


class Targets:
    """Gives each target as a URL; a server that is to be started is started once.

    ``shared`` are the URLs of servers that the controller of xdist started.
    ``check_corpus`` raises UsageError if the corpus of the run cannot be loaded.
    """

    def __init__(
        self,
        settings: Settings,
        shared: Mapping[str, str],
        *,
        check_corpus: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._shared = shared
        self._check_corpus = check_corpus
        self._fakes = FakeServers()
        # By the id of an application, since not every application has a hash. The
        # reference to the application keeps its id unique.
        self._applications: dict[int, tuple[object, Application | str]] = {}

    def url(self, target: object, dialect: str) -> str:
        """Return the URL of a target: a URL, a name, or an ASGI application.

        Raises UsageError.
        """
        if callable(target):
            return self._application(target)
        if not isinstance(target, str):
            raise pytest.UsageError(
                f"the fixture realtime_target returned {target!r}; it should return a "
                "URL, fake, reference or an ASGI application"
            )
        if target not in FAKES:
            return target
        if target in self._shared and dialect == self._settings.dialect:
            return self._shared[target]
        return self._fake(target, dialect)

    def stop(self) -> None:
        """Stop all servers."""
        self._fakes.stop()
        for _, started in self._applications.values():
            if not isinstance(started, str):
                started.stop()

    def _fake(self, target: str, dialect: str) -> str:
        settings = self._settings
        self._check_corpus()  # else its error would be one of the fake server
        try:
            return self._fakes.target(
                target,
                dialect,
                corpus=settings.corpus,
                arguments=settings.fake,
                key=settings.run.server.key,
            )
        except FakeError as error:
            why = str(error)
            if settings.run.private:  # it may name the files of the corpus
                why = (
                    f"--realtime-target={target}: it did not start; without "
                    "--realtime-private, a run says why"
                )
            raise pytest.UsageError(why) from None

    def _application(self, application: Callable[..., Any]) -> str:
        key = id(application)
        if key not in self._applications:
            try:  # the extra is optional, and so is this import
                from pytest_realtime_asr.client.asgi import (
                    Application,
                    ApplicationError,
                )
            except ImportError as error:
                raise pytest.UsageError(str(error)) from None
            started: Application | str
            try:
                started = Application(application)
            except ApplicationError as error:
                started = str(error)  # it is not started again for each test
            self._applications[key] = application, started
        _, found = self._applications[key]
        if isinstance(found, str):
            raise pytest.UsageError(found)
        return found.url
