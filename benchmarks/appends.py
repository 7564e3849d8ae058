"""The cost of the frame that appends 100 ms of audio."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable

from benchmarks.comparison import Comparison, in_turns
from pytest_realtime_asr import dialects

PCM = os.urandom(3200)  # 100 ms at 16 kHz


def plain(pcm: bytes) -> bytes:
    """Return the frame by a JSON encoder and the base64 of the standard library."""
    audio = base64.b64encode(pcm).decode()
    return json.dumps({"type": "input_audio_buffer.append", "audio": audio}).encode()


def compare(*, rounds: int, frames: int = 2_000) -> Comparison:
    """Compare the frame of the dialect vllm with the plain way, in us of CPU time."""

    def cost(build: Callable[[bytes], bytes]) -> float:
        begun = time.process_time()
        for _ in range(frames):
            build(PCM)
        return (time.process_time() - begun) / frames * 1e6

    own = dialects.load("vllm").caller("m", {}).append
    figures = in_turns(lambda: cost(own), lambda: cost(plain), rounds=rounds)
    return Comparison("one append frame, beside json and base64", "us", *figures)
