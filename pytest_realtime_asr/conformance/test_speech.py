"""Measures WER and latency of a server on the spoken corpus.

They are reported for any target, and judged only on the reference server, whose
recogniser and clips are part of this package.
"""

from __future__ import annotations

import pytest

from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.realtime import Realtime

WER = 0.12
FINAL = "3s"  # the recogniser is a real one, and its speed depends on the machine


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest, realtime_target: str) -> None:
    """Set the limits where the target is the reference server."""
    if realtime_target == "fake":
        pytest.skip(
            "the fake server knows the texts of its clips: there is nothing to measure"
        )
    if realtime_target == "reference":
        request.applymarker(pytest.mark.wer_threshold(WER))
        request.applymarker(pytest.mark.latency_budget("final_from_commit", p50=FINAL))


def test_spoken_corpus(realtime: Realtime, corpus: Corpus) -> None:
    takes = realtime.transcribe(corpus)
    if lost := [take for take in takes if take.lost]:
        # Not an assertion, which would print the utterances with their texts and paths.
        found = (
            f"{len(lost)} of {len(takes)} have no final; the first: {lost[0].reason}"
        )
        pytest.fail(found, pytrace=False)
