"""The part of the plugin that runs only in the controller of xdist."""

from __future__ import annotations

import shutil
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_realtime_asr.plugin.options import REST
from pytest_realtime_asr.plugin.pytest_internals import (
    interrupt_worker,
    new_folder,
    runs,
)
from pytest_realtime_asr.plugin.worker import MEASURES, run_id
from pytest_realtime_asr.run.fakes import is_started

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin

_GRACE = 1.0  # s; the time in which interrupted workers end by themselves


class Controller:
    """The hooks in xdist's controller; they tell the workers the URLs of fake servers.

    The controller has started these servers. ``output`` contains the lines that
    applications of the workers printed outside of all tests.
    """

    def __init__(self, plugin: RealtimePlugin) -> None:
        self._plugin = plugin
        self.output: list[str] = []
        self._nodes: list[Any] = []

    @cached_property
    def _folder(self) -> Path:
        """The folder that all workers share."""
        return new_folder(self._plugin.config)

    @property
    def used_folder(self) -> Path | None:
        """The folder that all workers share; ``None`` if no worker was started."""
        return self._folder if "_folder" in self.__dict__ else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        self._nodes.append(node)
        plugin, given = self._plugin, node.workerinput
        given["realtime_shared"] = str(self._folder)
        given["realtime_run"] = run_id(plugin.config)
        given["realtime_dist"] = str(plugin.config.getoption("dist"))
        target = plugin.options.text("target")
        named = {target, plugin.options.text("baseline-target")}
        given["realtime_fakes"] = {
            each: plugin.state.targets.url(each, plugin.state.settings.dialect)
            for each in filter(is_started, named)
        }
        if target and not is_started(target) and plugin.asks_target:
            plugin.state.detect()
            found = plugin.state.judging.run.servers.discovered
            given["realtime_discovered"] = {
                text: [each.dialect, each.reason, each.lost]
                for text, each in found.items()
            }

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Lock the report files if a worker has a test that uses this plugin."""
        if (self._folder / MEASURES).exists():
            self._plugin.state.lock_reports(self._folder)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Collect the output of the applications that a worker has served."""
        self.output += getattr(node, "workeroutput", {}).get(REST, [])

    def interrupt(self) -> None:
        """Interrupt the tests of the workers; otherwise xdist would wait 5 s for them.

        Ctrl-C reaches the workers too, so this method first gives them a short time to
        end by themselves.
        """
        deadline = time.monotonic() + _GRACE
        while any(map(runs, self._nodes)) and time.monotonic() < deadline:
            time.sleep(_GRACE / 20)
        for node in filter(runs, self._nodes):
            interrupt_worker(node)

    def stop(self) -> None:
        """Remove the shared folder."""
        if "_folder" in self.__dict__:
            shutil.rmtree(self._folder, ignore_errors=True)
