"""The JSON Lines report: one line for each utterance.

The process that runs an utterance appends the whole line as soon as the utterance ends.
So the report of a killed run has all utterances that had ended. Each line has the
conditions of its measurement, so that a later run can be compared with the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import (
    head_deletions,
    tail_deletions,
    words,
)
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.metrics.normalizers import NONE
from pytest_realtime_asr.metrics.repetition import repeated
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.name_list import first_names
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.run.transcription import Purpose, Transcription
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord

FORMAT = 2
_NAMED = 5  # the largest number of damaged lines whose line numbers are shown
# Fields that a private run leaves out.
_TEXTS = ("reference", "text", "normalizer_reason")
Rows = tuple[UtteranceRecord, ...]


def row(test: str, take: Transcription) -> UtteranceRecord:
    """Return the record of one utterance, for the comparison of two runs."""
    made: dict[str, Any] = {n: make() for n, make in _compared(test, take).items()}
    return UtteranceRecord(**made)


def _compared(test: str, take: Transcription) -> dict[str, Callable[[], object]]:
    """Return the functions that make the fields of a record, by field name."""
    return {
        "test": lambda: test,
        "started": lambda: take.trace.started,
        "dialect": lambda: take.trace.dialect,
        "utterance": lambda: take.utterance.id,
        "audio": lambda: _digest(take.utterance),
        "language": lambda: take.utterance.language,
        "synthetic": lambda: take.utterance.synthetic,
        "lost": lambda: take.lost,
        "reference": lambda: take.utterance.text,
        "text": lambda: take.text,
        "normalizer": lambda: take.alignment.normalizer,
        "unit": lambda: take.alignment.unit,
        "errors": lambda: take.alignment.errors,
        "metrics": lambda: dict(take.metrics),
        "premature": lambda: take.premature,
        "conditions": lambda: take.conditions,
    }


def line(test: str, take: Transcription, calibration: str = "") -> bytes:
    """Return the line of one utterance in the report.

    ``calibration`` is the last calibration of the client, or "". The fields ``errors``
    and ``wer`` are computed from the normalised texts, ``raw_errors`` and ``raw_wer``
    from the texts before normalisation. A field that cannot be made is null, and the
    field ``failed`` has the error.
    """
    parts = Parts(private=take.trace.redactor.private)
    makers = _makers(test, take, calibration)

    redactor = take.trace.redactor

    def encoded(name: str, make: Callable[[], object]) -> msgspec.Raw:
        value = redactor.clean_value(msgspec.to_builtins(make()))
        if name in _TEXTS and value:
            value = redactor.message(value)
        return msgspec.Raw(msgspec.json.encode(value))

    missing = msgspec.Raw(b"null")
    written = {
        name: parts(name, partial(encoded, name, make), missing)
        for name, make in makers.items()
    }
    if parts.failed:
        written["failed"] = encoded("failed", lambda: parts.failed)
    return msgspec.json.encode(written) + b"\n"


def _makers(
    test: str, take: Transcription, calibration: str
) -> dict[str, Callable[[], object]]:
    """Return the functions that make the fields of a line, in the order of the line."""

    @cache
    def raw() -> Errors:
        spoken, text = take.utterance, take.hypothesis
        return words(
            spoken.text, text, normalizer=NONE, language=spoken.language
        ).errors

    return {
        "format": lambda: FORMAT,
        **_compared(test, take),
        **({"calibration": lambda: calibration} if calibration else {}),
        "language_by": lambda: _basis(take),
        "normalizer_reason": lambda: take.alignment.reason or "",
        "purpose": lambda: take.purpose,
        "again": lambda: take.again,
        "dialect_found": lambda: take.found,
        "speech_by": lambda: take.utterance.speech_by,
        "target": lambda: take.trace.target,
        "session": lambda: take.session,
        "reason": lambda: take.reason,
        "wer": lambda: take.alignment.errors.rate,
        "cer": lambda: take.characters.errors.rate,
        "raw_errors": raw,
        "raw_wer": lambda: raw().rate,
        "head_deletions": lambda: head_deletions(take.alignment),
        "tail_deletions": lambda: tail_deletions(take.alignment),
        "repeated": lambda: repeated(take.alignment) or "",
        "counts": lambda: take.counts,
        "usage": lambda: take.usage,
        "violations": lambda: [str(violation) for violation in take.violations],
        "end": lambda: take.trace.end,
    }


def read(path: Path, *, tell: Callable[[str], None] = lambda text: None) -> Rows:
    """Return the records of an earlier report in their order.

    Sessions that count for no test, such as those of parity, are left out. An
    incomplete last line and lines that cannot be read are left out too; ``tell`` is
    called with a sentence about the unreadable lines. Raises ValueError if the report
    cannot be used; its message names the file, the line and the error.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    whole = text[: text.rfind(b"\n") + 1]  # without an incomplete last line
    found: list[UtteranceRecord] = []
    damaged: dict[int, str] = {}
    for number, each in enumerate(whole.split(b"\n"), 1):
        if not each.strip():
            continue
        try:
            row = _read(each, f"{path}:{number}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            damaged[number] = f"is not a line of a report: {error}"
        else:
            found += [] if row is None else [row]
    if not found:
        for number, why in damaged.items():
            raise ValueError(f"{path}:{number}: {why}")
        raise ValueError(f"{path}: the report has no completed utterance")
    if damaged:
        tell(f"{path}: {_skipped(damaged)}")
    return tuple(found)


def _skipped(damaged: Mapping[int, str]) -> str:
    """Return how many lines were skipped, their numbers, and the first error."""
    where = first_names(list(damaged), most=_NAMED)
    what = next(iter(damaged.values()))
    if len(damaged) == 1:
        return f"line {where} is skipped, since it {what}"
    return f"{len(damaged)} lines are skipped ({where}); the first of them {what}"


class _Format(msgspec.Struct):
    format: int
    purpose: Purpose = Purpose.TEST


def _read(text: bytes, place: str) -> UtteranceRecord | None:
    """Return the record of a line, or ``None`` if the line counts for no test.

    Raises ValueError if the line has another format, and any error of the decoder.
    """
    head = msgspec.json.decode(text, type=_Format)
    found = head.format
    if found == FORMAT and head.purpose is not Purpose.TEST:
        return None
    if found == FORMAT:
        return msgspec.json.decode(text, type=UtteranceRecord)
    older = ", which lacks the conditions of the utterances; make the report again"
    raise ValueError(
        f"{place}: the line has format {found}{older if found < FORMAT else ''}; "
        f"this version reads only format {FORMAT}"
    )


def _basis(take: Transcription) -> str:
    """Return how the language of the reference is known."""
    found = take.alignment.language
    return "" if found is None else found.basis.value


def _digest(utterance: Utterance) -> str:
    """Return the digest of the audio, or "" if the audio cannot be decoded."""
    try:
        return utterance.audio.digest
    except AudioError:
        return ""


class Appender:
    """Appends one line to a report for each utterance of the run."""

    def __init__(self, file: ReportFile, calibration: str = "") -> None:
        self._file = file
        self._calibration = calibration

    def __str__(self) -> str:
        return str(self._file)

    def __call__(self, test: str, take: Transcription) -> None:
        """Append the line of an utterance.

        Raises OSError if the report cannot be written.
        """
        self._file.append(line(test, take, self._calibration))
