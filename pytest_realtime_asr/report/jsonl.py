"""JSON Lines: one line for each utterance, appended whole as it ends.

Whichever process of a run ends an utterance appends its line, so that a run that is
killed keeps what was finished.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pytest_realtime_asr.ledger import Transcription

FORMAT = 1


def line(test: str, take: Transcription) -> bytes:
    """What became of one utterance, with everything that a later reader may ask."""
    errors = take.alignment.errors
    row = {
        "format": FORMAT,
        "test": test,
        "started": take.trace.started,
        "target": take.trace.target,
        "dialect": take.trace.dialect,
        "dialect_found": take.found,
        "session": take.session,
        "utterance": take.utterance.id,
        "lost": take.lost,
        "reason": take.reason,
        "reference": take.utterance.text,
        "text": take.text,
        "normalizer": take.alignment.normalizer,
        "unit": take.alignment.unit.value,
        "errors": errors,
        "wer": errors.rate,
        "cer": take.characters.errors.rate,
        "metrics": dict(take.metrics),
        "counts": take.counts,
        "usage": take.usage,
        "violations": [str(violation) for violation in take.violations],
        "end": take.trace.end,
    }
    return msgspec.json.encode(row) + b"\n"


def create(path: Path) -> None:
    """Begin an empty report, and its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


class Appender:
    """Appends a line for each utterance to the report at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, test: str, take: Transcription) -> None:
        """Append in one write, so that lines of several processes do not mix."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line(test, take))
        finally:
            os.close(file)
