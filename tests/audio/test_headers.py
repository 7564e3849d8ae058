"""The headers of WAV and MP3 files, with any bytes after the first ones."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_realtime_asr.audio import AudioError, length, read
from pytest_realtime_asr.audio.headers import mp3_states_length
from tests.audio.test_pcm import steady

FORM = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)


@steady
@given(
    st.sampled_from([b"", FORM, FORM + b"data", FORM + b"data" + bytes(4)]),
    st.binary(max_size=64),
    st.integers(0, 2**32 - 1),
)
@example(FORM + b"data" + bytes(4), b"", 0)
@example(FORM + b"data" + bytes(4), b"\1\0", 0)
def test_any_header_gives_audio_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, form: bytes, rest: bytes, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", size) + form + rest)
    with suppress(AudioError):
        assert read(path).seconds == length(path)


@pytest.mark.parametrize(
    ("content", "stated"),
    [
        (b"\xff\xfb\x90\x00" + bytes(32) + b"Xing\0\0\0\1", True),
        (b"\xff\xfb\x90\x00" + bytes(17) + b"Info\0\0\0\x0f", True),
        (b"\xff\xfb\x90\x00" + bytes(17) + b"Info\0\0\0\x0e", False),  # no frames
        (b"\xff\xfb\x90\x00" + bytes(32) + b"VBRI", True),
        (b"\xff\xfb\x90\x00" + bytes(500), False),
        (b"\xff\xfb\x90\x00" + bytes(17) + b"Info", False),
        (b"ID3\4\0\0\0\0\x30\0" + bytes(48 * 128 + 21) + b"Xing\0\0\0\1", True),
        (b"ID3", False),
        (b"", False),
    ],
)
def test_length_of_an_mp3(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, stated: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.mp3"
    path.write_bytes(content)
    assert mp3_states_length(path) is stated
