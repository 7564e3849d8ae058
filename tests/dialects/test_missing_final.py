"""What the message about a final that does not come says, for each dialect."""

from __future__ import annotations

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.client.session import Live
from tests.support.servers import CLIP, faking, plan

LIMITS = Limits(connect=10, ready=10, silence=1, beyond=10)
FRAMES = {
    "deepgram": "Results with from_finalize",
    "deepgram:whisperlivekit-listen": "Metadata after CloseStream",
    "openai": "conversation.item.input_audio_transcription.completed",
    "sglang-omni": "transcription.segment with is_final, up to the end of the audio",
    "vllm": "transcription.done",
    "vosk": "the result after eof",
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_message_names_the_frame_that_is_missing(loop: Loop, name: str) -> None:
    dialect = dialects.load(name)

    async def talk(live: Live) -> None:
        await live.open()
        await live.configure()
        try:
            await live.speak(CLIP)
        finally:
            await live.close()

    with faking("no-final", dialect=dialect) as (url, _):
        live = Live(
            loop,
            plan(url, dialect=dialect, rules=dialect.requirements, limits=LIMITS),
        )
        with pytest.raises(Lost) as caught:
            loop.run(talk(live))
    awaited = f"for the final of utterance 0 (turn-right): {FRAMES[name]}; "
    assert awaited in str(caught.value)
