"""The faults of word times, measured in sessions with a small dialect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.fake.faults import lacking
from pytest_realtime_asr.fake.faults.registry import Needs
from pytest_realtime_asr.fake.faults.word_times import SHIFT, WIDER
from pytest_realtime_asr.metrics import measure
from tests.support.segmented import SEGMENTED
from tests.support.servers import faking, plan

CLIPS: Corpus = corpus.load("bundled:english")
SPOKEN = (CLIPS["turn-right"], CLIPS["open-door"])
EXACT = 20.0  # ms; the recogniser knows the times of words to this
NAMES = ("shifts-word-times", "widens-word-times")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


def measured(
    loop: Loop, *faults: str, dialect: Dialect = SEGMENTED
) -> list[Mapping[str, float | None]]:
    """Return the metrics of two utterances in one session."""

    async def talk(url: str) -> Live:
        rules = dialect.requirements
        live = Live(loop, plan(url, dialect=dialect, rules=rules))
        try:
            await live.open()
            await live.configure()
            for clip in SPOKEN:
                await live.speak(clip)
        finally:
            await live.close()
        return live

    with faking(*faults, dialect=dialect) as (url, _):
        timeline = loop.run(talk(url)).timeline
    assert [timeline.item(n).text for n in (0, 1)] == [clip.text for clip in SPOKEN]
    return [measure(timeline.item(n), clip) for n, clip in enumerate(SPOKEN)]


def values(found: Mapping[str, float | None]) -> tuple[float, float]:
    error, bias = found["word_time_error"], found["word_time_bias"]
    assert error is not None
    assert bias is not None
    return error, bias


def test_a_correct_server_states_exact_times(loop: Loop) -> None:
    for found in measured(loop):
        error, bias = values(found)
        assert error <= EXACT
        assert abs(bias) <= error


def test_words_without_a_time_lower_the_share_of_words_with_a_time(loop: Loop) -> None:
    deepgram = dialects.load("deepgram")
    for found in measured(loop, dialect=deepgram):
        assert found["word_time_coverage"] == 1.0
    for found in measured(loop, "first-word-untimed", dialect=deepgram):
        error, _ = values(found)
        assert error <= EXACT  # the other words have their exact times
        assert found["word_coverage"] == 1.0
        assert found["word_time_coverage"] == 0.75  # of four words


def test_a_shift_is_in_the_error_and_in_the_bias(loop: Loop) -> None:
    for sound, shifted in zip(
        measured(loop), measured(loop, "shifts-word-times"), strict=True
    ):
        _, before = values(sound)
        error, bias = values(shifted)
        assert bias == pytest.approx(before + 1000 * SHIFT)
        assert error == pytest.approx(bias)


def test_wider_words_have_an_error_without_a_bias(loop: Loop) -> None:
    for found in measured(loop, "widens-word-times"):
        error, bias = values(found)
        assert error == pytest.approx(1000 * WIDER, abs=EXACT)
        assert abs(bias) <= EXACT


@pytest.mark.parametrize("fault", NAMES)
def test_the_faults_need_word_times(fault: str) -> None:
    assert lacking(fault, SEGMENTED) is None
    assert lacking(fault, VLLM) is Needs.WORD_TIMES
