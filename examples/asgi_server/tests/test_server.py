"""The request handler keeps the protocol; no GPU and no open port are needed."""

import pytest


@pytest.mark.wer_threshold(0.0)
def test_words_come_while_the_audio_is_sent(realtime, corpus):
    found = realtime.transcribe(corpus["turn-right"])
    assert found.partials  # the text grows while the audio is sent
    assert found.violations == ()


def test_sessions_do_not_share_text(realtime, corpus):
    alone = realtime.transcribe(corpus["turn-right"])
    crowd = realtime.transcribe([corpus["turn-right"]] * 4, concurrency=4)
    assert {each.text for each in crowd} == {alone.text}


@pytest.mark.asyncio
async def test_a_commit_before_the_update_is_refused(realtime):
    async with realtime.connect(configure=False) as session:
        await session.send_raw({"type": "input_audio_buffer.commit", "final": True})
        assert (await session.expect("error")).code == "model_not_validated"
