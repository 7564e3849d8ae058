"""Searches for the largest number of streams for which the limits of a run hold."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.realtime import Realtime

_ARGUMENTS = ("between", "hold", "confirm", "max_time")


def test_capacity(
    realtime: Realtime, corpus: Corpus, realtime_suite_config: SuiteConfig
) -> None:
    search = realtime_suite_config.capacity
    try:
        realtime.capacity(
            corpus,
            between=search.between,
            hold=timedelta(seconds=search.hold),
            confirm=timedelta(seconds=search.confirm),
            max_time=timedelta(seconds=search.max_time),
        )
    except ValueError as error:
        wrong = _of_option(str(error))
    else:
        return
    pytest.fail(wrong, pytrace=False)


def _of_option(message: str) -> str:
    """Return a message in which an option replaces the name of its argument."""
    name, _, rest = message.partition("=")
    if name in _ARGUMENTS:
        return f"--realtime-capacity-{name.replace('_', '-')}={rest}"
    return f"--realtime-capacity: {message}"
