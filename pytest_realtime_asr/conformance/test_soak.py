"""Puts a small load on the server for a long time, and judges which metrics grow."""

from __future__ import annotations

from datetime import timedelta

from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.realtime import Realtime


def test_soak(
    realtime: Realtime, corpus: Corpus, realtime_suite_config: SuiteConfig
) -> None:
    seconds = realtime_suite_config.soak
    assert seconds is not None  # the option asks for this test
    realtime.soak(corpus, duration=timedelta(seconds=seconds))
