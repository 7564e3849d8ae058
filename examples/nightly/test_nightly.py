"""What has to hold every night, on the machine that the limits are for."""

import pytest

COMMANDS = ("turn-right", "open-door", "go-forward")


@pytest.mark.latency_budget("final_from_commit", p95="$final")
@pytest.mark.latency_budget("first_partial_from_speech", p50="$first")
@pytest.mark.budget("normalized_erasure", at_most="$erasure")
@pytest.mark.wer_threshold(0.12)
def test_commands(realtime, corpus):
    realtime.transcribe([corpus[name] for name in COMMANDS])


@pytest.mark.latency_budget("final_from_commit", max="$crowded")
def test_commands_of_four_at_a_time(realtime, corpus):
    clips = [corpus[name] for name in COMMANDS]
    realtime.transcribe([*clips, clips[0]], concurrency=4)
