"""A folder through which xdist workers share the answers of servers."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class SharedAnswers:
    """Stores answers of servers in a folder, each under a key of several words.

    The words are, for example, a target and a model. All workers can access the
    ``folder``. If it is ``None``, nothing is stored.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def keep(self, answer: msgspec.Struct, *words: str) -> None:
        """Store an answer under these words; it replaces an earlier answer."""
        if self._folder is not None:
            write_whole(self._folder / key(*words), msgspec.json.encode(answer))

    def find(self, kind: type[T], *words: str) -> T | None:
        """Return the answer that a worker stored under these words, or ``None``."""
        if self._folder is None:
            return None
        path = self._folder / key(*words)
        if not path.exists():
            return None
        return msgspec.json.decode(path.read_bytes(), type=kind)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that other workers never read an incomplete file."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_bytes(content)
    os.replace(beside, path)


def key(*words: str) -> str:
    """Return the file name for these words: a digest, since the words may be secret."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
