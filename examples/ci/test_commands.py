"""What has to hold on every change."""

import pytest


@pytest.mark.latency_budget("final_from_commit", p95="2s")
@pytest.mark.wer_threshold(0.2)
def test_commands(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])
