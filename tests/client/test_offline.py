"""Transcriptions that are made again from written traces."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client import offline
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Trace, Vantage, loads, read
from pytest_realtime_asr.trace.spoken import Spoken
from tests.support.paths import FIXTURES
from tests.support.servers import CLIP, plan

WORDLESS = replace(CLIP, words=())  # the energy of its audio tells where the speech is
GOLDEN = FIXTURES / "traces" / "vllm-sound.jsonl"


def sent(
    loop: Loop, url: str, clip: Utterance, *, private: bool = False
) -> Transcription:
    """Send a clip at many times its pace."""
    planned = plan(url, pace=16.0)
    planned = replace(
        planned,
        rules=planned.dialect.requirements,
        redactor=Redactor(private=private),
    )
    return loop.run(run_utterance(Live(loop, planned), clip))


def written(take: Transcription) -> Trace:
    """Return the trace of a transcription, after it was written."""
    lines = take.dumps()
    assert lines is not None
    return loads(lines)


@pytest.mark.parametrize("clip", [CLIP, WORDLESS], ids=["words", "energy"])
def test_the_metrics_equal_those_of_the_run(
    loop: Loop, url: str, clip: Utterance
) -> None:
    take = sent(loop, url, clip)
    (again,) = offline.transcriptions(written(take))
    assert again.metrics == take.metrics
    assert again.premature == take.premature
    assert again.counts == take.counts
    assert again.client_state == take.client_state
    assert again.alignment == take.alignment
    assert again.characters == take.characters
    assert again.violations == take.violations
    assert (again.lost, again.text, again.label) == (take.lost, take.text, take.label)
    measured = [name for name, value in again.metrics.items() if value is not None]
    assert "final_from_speech_end" in measured
    assert ("word_settled" in measured) == bool(clip.words)


def test_a_session_without_a_final_is_lost(loop: Loop, url: str) -> None:
    trace = written(sent(loop, url, CLIP))
    kept = [each for each in trace.records if "transcription.done" not in str(each)]
    (take,) = offline.transcriptions(replace(trace, records=tuple(kept)))
    assert take.lost is Loss.CLOSED
    assert take.alignment.errors.hits == 0


def test_a_trace_that_does_not_describe_its_audio_needs_the_corpus() -> None:
    trace = read(GOLDEN)
    with pytest.raises(offline.OfflineError, match=r"go-forward; name .* --corpus"):
        offline.transcriptions(trace)
    found = offline.transcriptions(trace, corpus=corpus.load("bundled:english"))
    assert [take.utterance.id for take in found] == ["go-forward", "turn-left"]
    other = Corpus("other", (CLIP,))
    with pytest.raises(offline.OfflineError, match="go-forward"):
        offline.transcriptions(trace, corpus=other)


def test_a_private_trace_cannot_be_judged(loop: Loop, url: str) -> None:
    trace = written(sent(loop, url, CLIP, private=True))
    assert offline.is_private(trace)
    with pytest.raises(offline.OfflineError, match="private run"):
        offline.transcriptions(trace)


def test_a_trace_of_a_server_or_without_audio_cannot_be_judged() -> None:
    trace = read(GOLDEN)
    server = replace(trace, vantage=Vantage.SERVER)
    with pytest.raises(offline.OfflineError, match="recorded by a server"):
        offline.transcriptions(server)
    other = replace(trace, spoken=(Spoken("other", 1.0, digest="x", text="other"),))
    with pytest.raises(offline.OfflineError, match="none of the audio"):
        offline.transcriptions(other)
    silent = replace(trace, records=trace.records[:2])
    with pytest.raises(offline.OfflineError, match="no audio was sent"):
        offline.transcriptions(silent)


def test_the_requirements_are_those_of_the_server_version() -> None:
    trace = replace(read(GOLDEN), version="0.1.0")
    dialect = dialects.load("vllm")
    found = {each.id for each in offline.rules(dialect, trace)}
    assert found < {each.id for each in dialect.requirements}
