"""Measures WER and latency of a server on the spoken corpus.

WER and latency are reported for any target. They are judged only for the reference
server, since its recogniser and its clips are part of this package, and only without a
perturbation of the clips.
"""

from __future__ import annotations

import pytest

from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.results import after_stop
from pytest_realtime_asr.conformance.suite_run import suite_run
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.realtime import Realtime

WER = 0.12
FINAL = "3s"  # long, since the speed of the recogniser depends on the machine


@pytest.fixture(autouse=True)
def judged(
    request: pytest.FixtureRequest, realtime_target: str, corpus: Corpus
) -> None:
    """Set the limits if the target is the reference server; skip the fake server."""
    if realtime_target == "fake":
        pytest.skip(
            "the fake server knows the transcripts of its clips, so there is nothing "
            "to measure; choose another target"
        )
    perturbed = any(utterance.perturbation for utterance in corpus)
    if realtime_target == "reference" and not perturbed:
        request.applymarker(pytest.mark.wer_threshold(WER))
        request.applymarker(pytest.mark.latency_budget("final_from_commit", p50=FINAL))


def test_spoken_corpus(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    corpus: Corpus,
    realtime_suite_config: SuiteConfig,
) -> None:
    _first_utterance(request, realtime, corpus, realtime_suite_config)
    takes = realtime.transcribe(corpus)
    if lost := [take for take in takes if take.lost]:
        # No assertion, since it would print the utterances with texts and paths.
        found = (
            f"{len(lost)} of {len(takes)} utterances have no final; the first failure: "
            f"{lost[0].reason}"
        )
        pytest.fail(found, pytrace=False)


def _first_utterance(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    corpus: Corpus,
    config: SuiteConfig,
) -> None:
    """Skip the test if the first utterance of the run has failed.

    If no other test has reported this, the test fails.
    """
    scheduler = suite_run(request, realtime, corpus, config).scheduler
    turns = realtime.run.turns
    scheduler.start((), before=turns.occupy, over=turns.vacate)
    reason = scheduler.stop_reason()
    if reason is None:
        return
    reporter = scheduler.reporter("test_spoken_corpus")
    if reporter == "test_spoken_corpus":
        pytest.fail(f"the first utterance of the run failed: {reason}", pytrace=False)
    pytest.skip(after_stop(reporter))
