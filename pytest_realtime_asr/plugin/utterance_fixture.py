"""Runs a test for every utterance of the corpus if the test uses ``utterance``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_realtime_asr.plugin.items import is_default
from pytest_realtime_asr.plugin.pytest_internals import fixtures_of_function

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin


def generate(metafunc: pytest.Metafunc, plugin: RealtimePlugin) -> None:
    """Parametrise the fixture ``utterance``, unless the test does so itself."""
    if not _is_ours(metafunc) or _is_parametrized(metafunc):
        return
    try:
        found = plugin.state.corpus()
    except pytest.UsageError as error:
        plugin.refused.add(str(error))
        raise pytest.Collector.CollectError(str(error)) from None
    ids = [each.id for each in found]
    metafunc.parametrize("utterance", list(found), ids=ids, indirect=True)


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    """Return whether the test's ``utterance`` is the plugin's fixture or wraps it."""
    for each in reversed(fixtures_of_function(metafunc, "utterance")):
        if is_default(each):
            return True
        if "utterance" not in each.argnames:
            return False
    return False


def _is_parametrized(metafunc: pytest.Metafunc) -> bool:
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", "")
        if isinstance(names, str):
            names = names.replace(" ", "").split(",")
        if "utterance" in names:
            return True
    return False
