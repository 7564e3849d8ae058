"""What one xdist worker learnt about the servers, left in a folder for the others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class SharedAnswers:
    """Answers by the words that they are about, such as a target and a model.

    ``folder`` is seen by all workers. Without one, nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def keep(self, answer: msgspec.Struct, *words: str) -> None:
        """Keep an answer, in place of an earlier one."""
        if self._folder is not None:
            path = self._folder / key(*words)
            path.write_bytes(msgspec.json.encode(answer))

    def find(self, kind: type[T], *words: str) -> T | None:
        """Return the answer that some worker kept, else ``None``."""
        if self._folder is None:
            return None
        path = self._folder / key(*words)
        if not path.exists():
            return None
        return msgspec.json.decode(path.read_bytes(), type=kind)


def key(*words: str) -> str:
    """Return the name of a file for these words, which may be secret."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
