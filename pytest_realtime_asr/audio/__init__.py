"""Mono PCM16 audio in memory (`pcm`), and audio files of any format (`files`)."""

from pytest_realtime_asr.audio.files import (
    AudioError,
    Decoded,
    Header,
    decode,
    header,
    length,
    read,
    write,
)
from pytest_realtime_asr.audio.pcm import (
    Audio,
    Resampler,
    clipped,
    from_float,
    join,
    silence,
    speech,
)

__all__ = [
    "Audio",
    "AudioError",
    "Decoded",
    "Header",
    "Resampler",
    "clipped",
    "decode",
    "from_float",
    "header",
    "join",
    "length",
    "read",
    "silence",
    "speech",
    "write",
]
