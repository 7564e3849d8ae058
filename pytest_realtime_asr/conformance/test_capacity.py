"""Searches for the largest number of streams for which the limits of a run hold."""

from __future__ import annotations

from datetime import timedelta

from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.realtime import Realtime


def test_capacity(
    realtime: Realtime, corpus: Corpus, realtime_suite_config: SuiteConfig
) -> None:
    search = realtime_suite_config.capacity
    realtime.capacity(
        corpus,
        between=search.between,
        hold=timedelta(seconds=search.hold),
        confirm=timedelta(seconds=search.confirm),
        max_time=timedelta(seconds=search.max_time),
    )
