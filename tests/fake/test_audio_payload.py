"""Finding the audio in the frames of a client, in each dialect."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.fake.audio_payload import AudioPayload
from tests.support.servers import VLLM

PCM = b"\x01\x02\x03\x04"


@pytest.mark.parametrize("name", dialects.installed())
def test_finds_the_audio(name: str) -> None:
    dialect = dialects.load(name)
    caller = dialect.caller("m", {})
    payload = AudioPayload(dialect)
    assert payload.pcm(audio_frame(caller, PCM)) == PCM
    frames = [*caller.configure(), *caller.begin(), *caller.finish()]
    assert [payload.pcm(frame) for frame in frames] == [None] * len(frames)


def test_form_of_the_json_does_not_matter() -> None:
    payload = AudioPayload(VLLM)
    frame = '{ "audio": "AQIDBA==", "more": 1, "type": "input_audio_buffer.append"}'
    assert payload.pcm(frame) == PCM


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"audio",
        "",
        "[]",
        '{"type":"input_audio_buffer.append"}',
        '{"type":"input_audio_buffer.append","audio":7}',
        '{"type":"input_audio_buffer.append","audio":"?"}',
        '{"type":"input_audio_buffer.append","audio":""}',
        '{"type":"other","audio":"AQIDBA=="}',
        "[" * 5000,
    ],
)
def test_other_frames_have_no_audio(frame: str | bytes) -> None:
    assert AudioPayload(VLLM).pcm(frame) is None


def test_text_frame_of_a_binary_dialect_has_no_audio() -> None:
    assert AudioPayload(dialects.load("deepgram")).pcm("AQIDBA==") is None


def test_dialect_whose_audio_cannot_be_found() -> None:
    class Caller:
        binary = False

        def append(self, pcm: bytes) -> bytes:
            return b"audio " + pcm.hex().encode()

    class Odd:
        name = "odd"

        def caller(self, model: str, options: Any) -> Caller:
            return Caller()

    with pytest.raises(ValueError, match="the dialect odd cannot be found"):
        AudioPayload(Odd())  # type: ignore[arg-type]
