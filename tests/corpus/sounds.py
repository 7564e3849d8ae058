"""Audio files for corpora under test."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pytest_realtime_asr.audio import Audio, from_float, write

RATE = 8000


def tone(seconds: float = 1.0, *, hertz: float = 440, peak: float = 0.5) -> Audio:
    """Return a tone, which counts as speech."""
    times = np.arange(round(seconds * RATE)) / RATE
    return from_float(peak * np.sin(2 * np.pi * hertz * times), RATE)


def put(path: Path, audio: Audio | None = None) -> Path:
    """Write audio, a tone of one second by default, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, audio or tone())
    return path


def put_text(path: Path, *lines: str) -> Path:
    """Write lines of text and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
