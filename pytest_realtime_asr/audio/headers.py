"""Reads header fields of WAV and MP3 files; libsndfile ignores these fields."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

_UNKNOWN_BYTES = 0x7FFF_0000  # or more in the header of a WAV written to a pipe
_CONTAINERS = (  # where in a file they begin with what
    (0, b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (4, b"ftyp", "MP4 or M4A"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"wvpk", "WavPack"),
    (0, b"OggS", "Ogg"),
    (8, b"WAVE", "WAV"),
)
_MP3_HEAD = 4096  # bytes within which the first frame of an MP3 states the length


def container(path: Path) -> str:
    """Return the name of the container format of an audio file; "" if it is unknown."""
    with path.open("rb") as file:
        head = file.read(16)
    found = (name for at, magic, name in _CONTAINERS if head.startswith(magic, at))
    return next(found, "")


def missing(path: Path) -> int:
    """Return how many bytes are missing at the end of a WAV file; 0 for other files.

    libsndfile does not report a truncated WAV file.
    """
    with path.open("rb") as file:
        stated, there = _data(file, path.stat().st_size)
    return max(0, stated - there) if stated < _UNKNOWN_BYTES else 0


def piped(path: Path) -> io.BytesIO | None:
    """Return the content of a WAV file, with the sizes in its header corrected.

    Some programs that write to a pipe leave the size of the audio at 0. Then all bytes
    from the header to the end of the file are audio. Returns ``None`` for a file that
    needs no correction.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        stated, there = _data(file, size)
        if stated or not there:
            return None
        start = file.tell()
        if _only_chunks(file, size):
            return None
        file.seek(0)
        whole = io.BytesIO(file.read())
    whole.seek(start - 4)
    whole.write(there.to_bytes(4, "little"))
    whole.seek(4)
    whole.write((size - 8).to_bytes(4, "little"))
    whole.seek(0)
    return whole


def _data(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return how many bytes of audio a WAV header states, and how many bytes follow it.

    Both numbers are 0 if the file is not a WAV file. Afterwards, the read position in a
    WAV file is the first byte of audio.
    """
    if file.read(12)[:4] != b"RIFF":
        return 0, 0
    head = file.read(8)
    while head[:4] not in (b"data", b""):
        count = int.from_bytes(head[4:], "little")
        file.seek(count + count % 2, 1)  # chunks are padded to even sizes
        head = file.read(8)
    return int.from_bytes(head[4:], "little"), max(0, size - file.tell())


def _only_chunks(file: BinaryIO, size: int) -> bool:
    """Return whether only RIFF chunks follow the current position in a WAV file."""
    while head := file.read(8):
        count = int.from_bytes(head[4:], "little")
        at = file.seek(count + count % 2, 1)
        if len(head) < 8 or not head[:4].isalnum() or at > size + 1:
            return False
    return True


def mp3_states_length(path: Path) -> bool:
    """Return whether an MP3 file states in its first frame how many frames it has.

    Without this number, libsndfile estimates the length from the bit rate of the first
    frame, and does not read beyond this estimate.
    """
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":  # a tag; each byte of its size has 7 bits
            count = 0
            for byte in head[6:10]:
                count = count << 7 | byte & 0x7F
            file.seek(10 + count)
        else:
            file.seek(0)
        frame = file.read(_MP3_HEAD)
    if b"VBRI" in frame:
        return True
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    return at >= 0 and len(frame) > at + 7 and bool(frame[at + 7] & 1)
