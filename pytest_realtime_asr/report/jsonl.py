"""JSON Lines: one line for each utterance, appended whole as it ends.

Whichever process of a run ends an utterance appends its line, so that a run that is
killed keeps what was finished. Each line says by itself under what conditions it was
measured, so that a later run can be compared with what there is.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import msgspec

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.comparison import Row
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.ledger import Purpose, Transcription
from pytest_realtime_asr.metrics.accuracy import (
    NONE,
    head_deletions,
    repeated,
    tail_deletions,
    words,
)

FORMAT = 2


def row(test: str, take: Transcription) -> Row:
    """What became of one utterance, as two runs are compared by it."""
    alignment = take.alignment
    return Row(
        test=test,
        started=take.trace.started,
        dialect=take.trace.dialect,
        utterance=take.utterance.id,
        audio=_digest(take.utterance),
        language=take.utterance.language,
        synthetic=take.utterance.synthetic,
        lost=take.lost,
        reference=take.utterance.text,
        text=take.text,
        normalizer=alignment.normalizer,
        unit=alignment.unit,
        errors=alignment.errors,
        metrics=take.metrics,
        conditions=take.conditions,
    )


def line(test: str, take: Transcription, calibration: str = "") -> bytes:
    """What became of one utterance, with everything that a later reader may ask.

    ``calibration`` is the last one of the instrument, empty where there was none.
    ``errors`` and ``wer`` are of the normalised texts, ``raw_errors`` and ``raw_wer``
    of the texts as they are.
    """
    found, alignment = row(test, take), take.alignment
    heard = None if take.lost else take.text
    raw = words(
        take.utterance.text, heard, normalizer=NONE, language=take.utterance.language
    ).errors
    written = {
        "format": FORMAT,
        **{each.name: getattr(found, each.name) for each in fields(found)},
        **({"calibration": calibration} if calibration else {}),
        **({"normalizer_reason": alignment.reason} if alignment.reason else {}),
        "purpose": take.purpose,
        "again": take.again,
        "dialect_found": take.found,
        "metrics": dict(take.metrics),
        "speech_by": take.utterance.speech_by,
        "target": take.trace.target,
        "session": take.session,
        "reason": take.reason,
        "wer": alignment.errors.rate,
        "cer": take.characters.errors.rate,
        "raw_errors": raw,
        "raw_wer": raw.rate,
        "head_deletions": head_deletions(alignment),
        "tail_deletions": tail_deletions(alignment),
        "repeated": repeated(alignment),
        "counts": take.counts,
        "usage": take.usage,
        "violations": [str(violation) for violation in take.violations],
        "end": take.trace.end,
    }
    return msgspec.json.encode(written) + b"\n"


def read(path: Path) -> tuple[Row, ...]:
    """The rows of an earlier report that were spoken for its tests, in its order.

    A last line that was cut off is left out. Raises ValueError, which names the file,
    the line and what is wrong with it.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    whole = text[: text.rfind(b"\n") + 1]  # each line was written with its end
    rows = [
        _read(each, f"{path}:{number}")
        for number, each in enumerate(whole.split(b"\n"), 1)
        if each.strip()
    ]
    found = tuple(row for row in rows if row is not None)
    if not found:
        raise ValueError(f"{path}: no utterance has ended in it")
    return found


class _Format(msgspec.Struct):
    format: int
    purpose: Purpose = Purpose.TEST


def _read(text: bytes, place: str) -> Row | None:
    """The row of a line, ``None`` where it was spoken for no test."""
    try:
        head = msgspec.json.decode(text, type=_Format)
        found = head.format
        if found == FORMAT and head.purpose is not Purpose.TEST:
            return None
        if found == FORMAT:
            return msgspec.json.decode(text, type=Row)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{place}: is no line of a report: {error}") from error
    older = ", which does not say how its utterances were spoken; write it again"
    raise ValueError(
        f"{place}: is of format {found}{older if found < FORMAT else ''}; "
        f"format {FORMAT} can be read"
    )


def _digest(utterance: Utterance) -> str:
    """That of the sound; empty where it cannot be decoded, as it then was not sent."""
    try:
        return utterance.audio.digest
    except AudioError:
        return ""


def create(path: Path) -> None:
    """Begin an empty report, and its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


class Appender:
    """Appends a line for each utterance to the report at ``path``."""

    def __init__(self, path: Path, calibration: str = "") -> None:
        self._path = path
        self._calibration = calibration

    def __call__(self, test: str, take: Transcription) -> None:
        """Append in one write, so that lines of several processes do not mix."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line(test, take, self._calibration))
        finally:
            os.close(file)
