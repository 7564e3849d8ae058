"""Measures WER and latency of a server on the spoken corpus.

WER and latency are reported for any target, and judged by the limits of the run. For
the reference server, the test also limits the metrics that the run does not limit,
unless the clips are perturbed. It can do so because the recogniser and the clips are
part of this package. For any other target, the test fails if over half of the words are
wrong and the run does not limit the WER.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.conformance import wrong_texts
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.results import after_loss, after_stop
from pytest_realtime_asr.conformance.suite_run import suite_run
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.run.outage import outage
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.text.name_list import first_names

WER = 0.12
_CLIPS = 5  # lost clips that a failure names
FINAL = "3s"  # long, since the speed of the recogniser depends on the machine


@pytest.fixture(autouse=True)
def judged(
    request: pytest.FixtureRequest,
    realtime_target: str,
    corpus: Corpus,
    realtime_suite_config: SuiteConfig,
) -> None:
    """Set limits for the reference server; skip the test for the fake server.

    The test is not skipped if the user has asked for a limit or a comparison.
    """
    if realtime_target == "fake" and not realtime_suite_config.measured:
        pytest.skip(
            "the fake server knows the transcripts of its clips, so there is nothing "
            "to measure; choose another target, or give a limit by --realtime-budget"
        )
    perturbed = any(utterance.perturbation for utterance in corpus)
    if realtime_target != "reference" or perturbed:
        return
    if "wer" not in realtime_suite_config.limited:
        request.applymarker(pytest.mark.wer_threshold(WER))
    if "final_from_commit" not in realtime_suite_config.limited:
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
        names = first_names([take.utterance.id for take in lost], most=_CLIPS)
        found = f"{len(lost)} of {len(takes)} utterances have no final: {names}"
        found += f"; the first failure: {lost[0].reason}"
        if (gone := outage(takes)) is not None:
            found = str(gone)
        pytest.fail(found, pytrace=False)
    _judge_error_rate(realtime, takes)


def _judge_error_rate(realtime: Realtime, takes: Sequence[Transcription]) -> None:
    """Fail the test, or warn, if too many words are wrong and no budget limits the WER.

    Perturbed clips are not judged, since even a correct server may misrecognise them.
    """
    if realtime.limits_wer or any(take.utterance.perturbation for take in takes):
        return
    texts = [(take.utterance, take.text) for take in takes]
    rate = wrong_texts.error_rate(texts)
    if rate is None or rate <= wrong_texts.WARNS:
        return
    message = f"{rate:.0%} of the words of the spoken corpus are wrong (WER)"
    if not realtime.run.config.private:
        message += f":\n{wrong_texts.examples(texts)}"
    if rate <= wrong_texts.FAILS:
        for line in message.splitlines():
            realtime.run.warn(line)
        return

    def send(utterances: Iterable[Utterance]) -> wrong_texts.Texts:
        # These sessions do not count in the results of the test.
        loop = realtime.run.loop
        return loop.submit(_sent(Live(loop, realtime.plan), utterances)).result()

    causes = wrong_texts.causes(texts, realtime.plan.caller.rate, send)
    tried = ", ".join(each.value for each in wrong_texts.Misreading)
    none = f"no cause was found; these causes do not fit the errors: the server {tried}"
    causes = causes or [none]
    pytest.fail("\n".join((message, *causes)), pytrace=False)


async def _sent(live: Live, utterances: Iterable[Utterance]) -> wrong_texts.Texts:
    """Send utterances in a session; return the transcribed ones with their texts."""
    texts = []
    try:
        await live.open()
        await live.configure()
        for each in utterances:
            item = await live.speak(each)
            texts.append((each, live.timeline.item(item).text))
    except Lost:
        return texts
    finally:
        await live.close()
    return texts


def _first_utterance(
    request: pytest.FixtureRequest,
    realtime: Realtime,
    corpus: Corpus,
    config: SuiteConfig,
) -> None:
    """End the test if the first utterance of the run failed, or the server was lost.

    The test fails, or is skipped if another test reports this problem.
    """
    run = suite_run(request, realtime, corpus, config)
    scheduler = run.scheduler
    turns = realtime.run.turns
    scheduler.start((), before=turns.occupy, over=turns.vacate)
    reason = scheduler.stop_reason()
    if scheduler.loss is not None:
        reporter = run.loss_reporter("test_spoken_corpus")
        if reporter == "test_spoken_corpus":
            pytest.fail(str(scheduler.loss), pytrace=False)
        pytest.skip(after_loss(reporter))
    if reason is None:
        return
    reporter = scheduler.reporter("test_spoken_corpus")
    if reporter == "test_spoken_corpus":
        pytest.fail(f"the first utterance of the run failed: {reason}", pytrace=False)
    pytest.skip(after_stop(reporter))
