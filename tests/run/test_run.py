"""A run: the test to which each session belongs."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.trace.records import Ending
from tests.support.runs import (
    Start,
    realtime,
)
from tests.support.servers import CLIP


def test_sessions_belong_to_the_running_test(start: Start, url: str) -> None:
    run = start()
    told: list[tuple[str, Transcription]] = []
    run.sinks.append(lambda test, take: told.append((test, take)))
    with pytest.raises(RuntimeError, match="while a test runs"):
        realtime(run, url)
    assert run.finish() is None
    run.begin("first")
    server = realtime(run, url)
    server.transcribe(CLIP)
    session = server.connect().open()
    ledger = run.finish()
    assert ledger is not None
    assert run.finish() is None
    assert (ledger.test, len(ledger.sessions), len(ledger.takes)) == ("first", 2, 1)
    recordings = [live.recording for live in ledger.sessions]
    assert [each.trace.end.how for each in recordings] == [Ending.CLOSED_BY_US] * 2
    assert [each.trace for each in recordings] == [
        live.trace for live in ledger.sessions
    ]
    assert [live.recording for live in ledger.sessions] == recordings
    assert ledger.takes[0].recording is recordings[0]  # it was read once
    with pytest.raises(Lost, match="closed by us"):
        session.send_raw("too late")
    run.begin("second")
    for late in (session.transcribe, server.transcribe):
        with pytest.raises(RuntimeError, match="first has ended"):
            late(CLIP)
    ledger = run.finish()
    assert ledger is not None
    assert not ledger.sessions
    assert not ledger.takes
    assert [(test, take.text) for test, take in told] == [("first", CLIP.text)]
