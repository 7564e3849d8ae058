"""The JSON Lines report: lines about the run, its utterances, levels and verdicts.

The process that runs an utterance appends its line as soon as the utterance ends. So
the report of a killed run has all utterances that had ended. Each line has the
conditions of its measurement, so that a later run can be compared with the report. The
first line describes the run; it is written by the process that appends first. The line
of a level of load is appended when the level ends. The lines of a test's verdicts are
appended when the test ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.metrics.accuracy import (
    head_deletions,
    tail_deletions,
)
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.metrics.normalizers import NONE
from pytest_realtime_asr.metrics.repetition import repeated
from pytest_realtime_asr.report import level_rows
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.level_rows import LevelRow
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.report.verdict_rows import VerdictRow, rows
from pytest_realtime_asr.run.identity import RunIdentity
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.verdicts.utterance_record import (
    Conditions,
    UtteranceRecord,
)

WRITTEN_BY = "give a file that --realtime-report=FILE.jsonl has written"
FORMAT = 3
_NAMED = 5  # the largest number of damaged lines whose line numbers are shown
# Fields that a private run leaves out.
_TEXTS = ("reference", "text", "normalizer_reason")
# The kinds of lines.
_RUN, _UTTERANCE, _LEVEL, _VERDICT = "run", "utterance", "level", "verdict"
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
        "audio": lambda: take.audio,
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


def _marked(replayed: bool) -> dict[str, object]:
    """Return the field ``replayed``, or {} if no recorded sessions were replayed."""
    return {"replayed": True} if replayed else {}


def run_line(
    run: RunIdentity, target: str, *, replayed: bool = False
) -> dict[str, object]:
    """Return the fields of the first line of a report, which describes the run.

    ``target`` is the URL of the server; it is used if the user named no target.
    ``replayed`` says that the server replays recorded sessions.
    """
    return {
        "kind": _RUN,
        "format": FORMAT,
        "run": run.id,
        "started": run.started,
        "versions": run.versions,
        "commit": run.commit.id,
        "dirty": run.commit.dirty,
        "host": run.host,
        "target": run.target or target,
        "baseline_target": run.baseline,
        "labels": run.labels,
        "calibration": run.calibration,
        **_marked(run.replayed or replayed),
    }


def end_line(run: RunIdentity, *, interrupted: bool) -> dict[str, object]:
    """Return the fields of the last line of a report.

    ``interrupted`` says that the run did not end by itself, so that tests are missing.
    """
    head = {"kind": _RUN, "format": FORMAT, "run": run.id}
    ended = {"interrupted": interrupted, "ended": datetime.now(UTC)}
    return {**head, **ended, **_marked(run.replayed)}


def verdict_line(
    run: RunIdentity, test: str, row: VerdictRow, *, replayed: bool = False
) -> dict[str, object]:
    """Return the fields of the line of one verdict, in the order of the line.

    ``replayed`` says that recorded sessions were judged.
    """
    head = {"kind": _VERDICT, "format": FORMAT, "run": run.id, "test": test}
    return head | msgspec.structs.asdict(row) | _marked(replayed)


def level_line(
    run: RunIdentity, test: str, row: LevelRow, *, replayed: bool = False
) -> dict[str, object]:
    """Return the fields of the line of a level, in the order of the line.

    ``replayed`` says that the server replayed recorded sessions.
    """
    head = {"kind": _LEVEL, "format": FORMAT, "run": run.id, "test": test}
    return head | msgspec.structs.asdict(row) | _marked(replayed)


def line(test: str, take: Transcription, run: RunIdentity) -> bytes:
    """Return the line of one utterance in the report.

    The fields ``errors`` and ``wer`` are computed from the normalised texts. The fields
    ``raw_errors`` and ``raw_wer`` are computed from the texts before normalisation. A
    field that cannot be made is null, and the field ``failed`` has the error.
    """
    parts = Parts(private=take.trace.redactor.private)
    makers = _makers(test, take, run)

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
    test: str, take: Transcription, run: RunIdentity
) -> dict[str, Callable[[], object]]:
    """Return the functions that make the fields of a line, in the order of the line."""

    @cache
    def raw() -> Errors:
        return take.align(NONE).errors

    return {
        "kind": lambda: _UTTERANCE,
        "counted": lambda: take.purpose is Purpose.TEST,
        "purpose": lambda: take.purpose,
        "format": lambda: FORMAT,
        "run": lambda: run.id,
        **({} if take.level is None else {"level": lambda: take.level}),
        **({"replayed": lambda: True} if take.conditions.replayed else {}),
        **_compared(test, take),
        **({"calibration": lambda: run.calibration} if run.calibration else {}),
        "language_by": lambda: _basis(take),
        "normalizer_reason": lambda: take.alignment.reason or "",
        "again": lambda: take.again,
        "dialect_found": lambda: take.found,
        "speech_by": lambda: take.utterance.speech_by,
        "target": lambda: take.trace.target,
        "server_version": lambda: take.trace.version,
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
    """Return the records of an earlier report of any format, in their order.

    Sessions that count for no test, such as the sessions of a parity check, are left
    out. An incomplete last line and lines that cannot be read are left out too.
    ``tell`` is called with a sentence about the unreadable lines, and with a sentence
    about records whose conditions are not known. Raises ValueError if the report cannot
    be used; its message names the file, the line and the error.
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
            raise ValueError(f"{path}:{number}: {why}; {WRITTEN_BY}")
        advice = "" if whole else f"; {WRITTEN_BY}"
        raise ValueError(f"{path}: the report has no completed utterance{advice}")
    if damaged:
        tell(f"{path}: {_skipped(damaged)}")
    if any(not row.stated for row in found):
        tell(
            f"{path}: lines of format 1 state neither audio nor conditions; both are "
            "assumed to have been the same as in this run"
        )
    return tuple(found)


def _skipped(damaged: Mapping[int, str]) -> str:
    """Return a text with the numbers of the skipped lines and the first error."""
    where = first_names(list(damaged), most=_NAMED)
    what = next(iter(damaged.values()))
    if len(damaged) == 1:
        return f"line {where} is skipped, since it {what}"
    return f"{len(damaged)} lines are skipped ({where}); the first of them {what}"


class _Head(msgspec.Struct):
    """The fields that decide how a line is read; ``kind`` is new in format 3."""

    format: int
    kind: str = _UTTERANCE
    purpose: Purpose = Purpose.TEST


class _First(msgspec.Struct):
    """A line of format 1, which states neither the audio nor the conditions."""

    test: str
    started: datetime
    dialect: str
    utterance: str
    lost: str
    reference: str
    text: str
    normalizer: str
    unit: TextUnit
    errors: Errors
    metrics: dict[str, float | None]


def _read(text: bytes, place: str) -> UtteranceRecord | None:
    """Return the record of a line, or ``None`` if the line counts for no test.

    Raises ValueError if the line has an unknown format. Raises any error of the decoder
    if the line cannot be decoded.
    """
    head = msgspec.json.decode(text, type=_Head)
    if not 1 <= head.format <= FORMAT:
        raise ValueError(
            f"{place}: the line has format {head.format}; this version reads the "
            f"formats 1 to {FORMAT}"
        )
    if head.kind != _UTTERANCE or head.purpose is not Purpose.TEST:
        return None
    if head.format > 1:
        return msgspec.json.decode(text, type=UtteranceRecord)
    first = msgspec.json.decode(text, type=_First)
    return UtteranceRecord(
        **msgspec.structs.asdict(first),
        audio="",
        language="",
        synthetic=False,
        conditions=Conditions(),
        stated=False,
    )


def _basis(take: Transcription) -> str:
    """Return how the language of the reference was determined."""
    found = take.alignment.language
    return "" if found is None else found.basis.value


class Appender:
    """Appends the lines of utterances, levels and verdicts to a report."""

    def __init__(self, file: ReportFile, run: RunIdentity) -> None:
        self._file = file
        self._run = run

    def __str__(self) -> str:
        return str(self._file)

    def __call__(self, test: str, take: Transcription) -> None:
        """Append the line of an utterance.

        Raises OSError if the report cannot be written.
        """
        redactor = take.trace.redactor
        made = line(test, take, self._run)
        replayed = take.conditions.replayed
        self._append(made, _target([take]), redactor, replayed=replayed)

    def level(self, test: str, record: LevelRecord, plan: Plan) -> None:
        """Append the line of a level of load; ``plan`` is the plan of its sessions.

        Raises OSError if the report cannot be written.
        """
        replayed = plan.replayed
        row = level_rows.row(record)
        fields = level_line(self._run, test, row, replayed=replayed)
        self._append(
            _encoded(fields, plan.redactor),
            plan.access.target.shown,
            plan.redactor,
            replayed=replayed,
        )

    def verdicts(self, results: Results) -> None:
        """Append the lines of a test's verdicts, if the test measured something.

        Raises OSError if the report cannot be written.
        """
        takes = [*results.takes, *results.judged.values(), *results.beside]
        if not takes:
            return
        replayed = results.replayed
        made = [
            verdict_line(self._run, results.test, each, replayed=replayed)
            for each in rows(results)
        ]
        if made:
            redactor = takes[0].trace.redactor
            lines = b"".join(_encoded(each, redactor) for each in made)
            self._append(lines, _target(takes), redactor, replayed=replayed)

    def end(self, *, interrupted: bool) -> None:
        """Append the line about the end of the run, if this run has written the report.

        Raises OSError if the report cannot be written.
        """
        found = msgspec.json.encode(end_line(self._run, interrupted=interrupted))
        self._file.finish(found + b"\n", run=self._run.id)

    def _append(
        self, lines: bytes, target: str, redactor: Redactor, *, replayed: bool
    ) -> None:
        def header() -> bytes:
            first = run_line(self._run, target, replayed=replayed)
            return _encoded(first, redactor)

        self._file.append(lines, header=header)


def _target(takes: Iterable[Transcription]) -> str:
    """Return the URL of the server under test, or "" if nothing was sent to it."""
    found = (take.trace.target for take in takes if take.purpose is Purpose.TEST)
    return next(found, "")


def _encoded(fields: Mapping[str, object], redactor: Redactor) -> bytes:
    """Return the line with these fields; secrets of the run are removed from it."""
    cleaned = redactor.clean_value(msgspec.to_builtins(fields))
    return msgspec.json.encode(cleaned) + b"\n"
