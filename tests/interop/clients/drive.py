"""The common part of the drivers; it needs only the standard library.

A driver runs in the environment of its client, speaks each clip to the server in real
time with a pause after it, waits for the text, and prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
import wave
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

KEY = "CLIENTS_KEY"  # the variable that holds the server's key
PATIENCE = 20.0  # s for each text
PAUSE = 1.2  # s of silence behind each clip


@dataclass(frozen=True)
class Clip:
    """Mono PCM16."""

    pcm: bytes
    rate: int


@dataclass(frozen=True)
class Task:
    """The task of a driver; ``mode`` is one of the modes of this driver."""

    url: str
    mode: str
    model: str
    clips: tuple[Clip, ...]
    key: str


def task(models: Mapping[str, str]) -> Task:
    """The task on the command line; ``models`` are the requested ones, by mode."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="of the fake server")
    parser.add_argument("mode", choices=models)
    parser.add_argument("files", nargs="*", type=Path, help="WAV, mono, 16 bit")
    given = parser.parse_args()
    clips = tuple(map(_clip, given.files))
    model = models[given.mode]
    return Task(given.url, given.mode, model, clips, os.environ[KEY])


async def pieces(
    clip: Clip, milliseconds: int, *, pause: bool = True
) -> AsyncIterator[bytes]:
    """The clip and the pause after it, each piece at its time."""
    size = clip.rate * milliseconds // 1000 * 2
    pcm = clip.pcm + bytes(2 * round(clip.rate * PAUSE) * pause)
    begin = time.monotonic()
    for number, start in enumerate(range(0, len(pcm), size)):
        due = begin + number * milliseconds / 1000
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield pcm[start : start + size].ljust(size, b"\0")


def tell(package: str, texts: Sequence[str], **more: object) -> None:
    """Print the result."""
    told = {"version": version(package), "texts": list(texts), **more}
    print(json.dumps(told), flush=True)


def _clip(path: Path) -> Clip:
    with wave.open(str(path), "rb") as file:
        return Clip(file.readframes(file.getnframes()), file.getframerate())
