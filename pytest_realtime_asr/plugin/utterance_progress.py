"""The progress of a run in the tests that get one utterance each."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.run.forecast import CallProgress, expected


def utterance(item: pytest.Item) -> Utterance | None:
    """Return the utterance that a test gets as a parameter, or ``None``."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return params.get("utterance")


class UtteranceProgress:
    """The progress of the tests of a run that get one utterance each.

    The elapsed time counts from the creation of this object. ``servers`` is the number
    of servers that get each utterance.
    """

    def __init__(
        self, items: Iterable[pytest.Item], *, pace: float, servers: int
    ) -> None:
        given = {
            item.nodeid: clip
            for item in items
            if (clip := utterance(item)) is not None
            and "realtime" in getattr(item, "fixturenames", ())
        }
        self._places = {id: place for place, id in enumerate(given)}
        seconds = expected(list(given.values()), pace=pace, servers=servers)
        self._progress = CallProgress(len(given), seconds, what="test")

    def text(self, item: pytest.Item) -> str:
        """Return a line about the progress, to be shown when a test starts.

        Returns "" if the test gets no utterance, or is the only test that gets one.
        """
        known = item.nodeid in self._places and len(self._places) > 1
        return str(self._progress) if known else ""

    def end(self, item: pytest.Item) -> None:
        """Note that a test has ended."""
        if (place := self._places.get(item.nodeid)) is not None:
            self._progress.end(place)
