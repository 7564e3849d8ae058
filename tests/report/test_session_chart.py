"""Session charts: times, texts and the description of the audio."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.report.session_chart import Mark, SessionChart, chart
from pytest_realtime_asr.trace.records import Sender, loads
from tests.support.servers import CLIP, plan


def charted(url: str, *, pace: float) -> SessionChart:
    """Return the chart of a session, after its trace was written and read again."""
    loop = Loop()
    try:
        live = Live(loop, replace(plan(url), pace=pace))

        async def talk() -> None:
            await live.open()
            await live.configure()
            await live.speak(CLIP)
            await live.close()

        loop.run(talk())
    finally:
        loop.stop()
    written = replace(live.trace, spoken=(described(CLIP),)).dumps()
    dialect = dialects.load("vllm")
    return chart(dialects.recording(dialect, loads(written)), 0)


@pytest.mark.parametrize("pace", [1.0, 4.0])
def test_the_chart_of_a_session(url: str, pace: float) -> None:
    found = charted(url, pace=pace)
    assert found.spoken == described(CLIP)
    assert found.seconds == pytest.approx(CLIP.duration, abs=0.1)
    assert found.pace == pytest.approx(1000 / pace, rel=0.02)
    assert found.text == CLIP.text
    commit, final = found.first(Mark.COMMIT), found.first(Mark.FINAL)
    assert commit is not None
    assert final is not None
    # The commit follows the audio, which ends one pace after its last second.
    assert found.seconds * found.pace <= commit.at < final.at <= found.end
    texts = [mark.text for mark in found.marks if mark.kind is Mark.PARTIAL]
    assert "".join(texts) == final.text == CLIP.text
    audio = [frame for frame in found.frames if frame.samples]
    assert {frame.sender for frame in audio} == {Sender.CLIENT}
    assert sum(frame.samples for frame in audio) == round(found.seconds * 16_000)
    assert all(frame.late is not None for frame in audio)


def test_an_envelope_is_loud_where_there_are_words() -> None:
    (clip,) = [each for each in corpus.load("bundled:english") if each.id == CLIP.id]
    spoken = described(clip)
    assert len(spoken.envelope) == -(-round(spoken.seconds / 0.05 * 1e6) // 10**6)
    word = max(spoken.words, key=lambda each: each.end - each.start)
    inside = spoken.envelope[int(word.start / 0.05) + 1 : int(word.end / 0.05)]
    assert max(inside) > 30
    assert spoken.without_texts.envelope == b""
