"""The table of all utterances of a test: error rate, errors and aligned texts.

``--realtime-utterances`` shows the table in the terminal. ``--realtime-report=out.csv``
writes the table as CSV (RFC 4180), one row for each utterance.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Mapping
from functools import partial

from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.metrics.alignment import Alignment, TextUnit, kind
from pytest_realtime_asr.report import alignment as alignments
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.number_format import several

_INDENT = 4
_FORMULA = ("=", "+", "-", "@")  # the first characters of a formula in a spreadsheet
_TEXTS = ("reference", "text", "aligned_reference", "aligned_text", "aligned_errors")
COLUMNS = (
    *("test", "utterance", "session", "lost", "language", "normalizer", "unit"),
    *("wer", "errors", "substitutions", "deletions", "insertions", "unspoken"),
    *("reference_length", *_TEXTS, "replayed"),
)


def lines(takes: Iterable[Transcription], *, width: int = USUAL) -> list[str]:
    """Return the lines of the table for the terminal, in the order of ``takes``.

    The aligned texts of each utterance follow its line, unless the run is private. If
    an utterance cannot be scored, its line shows the exception. Utterances without a
    recognition error have no lines of their own; the last line counts them.
    """
    found: list[str] = []
    right = 0
    for take in takes:
        private = take.trace.redactor.private
        parts = Parts(private=private)
        aligned = parts("errors", partial(take.align, None), None)
        if not take.lost and aligned is not None and _is_right(aligned):
            right += 1
            continue
        head = f"{take.utterance.id}: {summary(take, aligned)}"
        line = "; ".join([head, *parts.lines])
        found += wrapped(line, width, first="  ", then=" " * _INDENT)
        if aligned is not None and not private:
            text = alignments.lines(aligned, width=width - _INDENT)
            found += textwrap.indent(text, " " * _INDENT).splitlines()
    if right:
        found.append(f"  {several(right, 'utterance')} without an error")
    return found


def _is_right(aligned: Alignment) -> bool:
    return not (aligned.errors.wrong or aligned.errors.unspoken)


def summary(take: Transcription, aligned: Alignment | None) -> str:
    """Return the part of a line that describes the result of an utterance.

    It says how the session was lost, if it was lost, and states the recognition errors.
    """
    parts = [str(take.lost)] if take.lost else []
    if aligned is not None:
        errors = aligned.errors
        name = "WER" if aligned.unit is TextUnit.WORD else "CER"
        if errors.rate is None:
            parts.append(
                f"{several(errors.unspoken, aligned.unit.value)} recognised "
                "where nothing was said"
            )
        else:
            parts.append(
                f"{name} {errors.rate:.1%}, {errors.wrong} wrong of "
                f"{errors.reference} (S={errors.substitutions} D={errors.deletions} "
                f"I={errors.insertions})"
            )
    return ", ".join(parts)


def header() -> bytes:
    """Return the first line of the CSV report."""
    return _csv(COLUMNS)


def row(test: str, take: Transcription) -> bytes:
    """Return the CSV line of one utterance.

    In a private run, the texts are empty.
    """
    redactor = take.trace.redactor
    cells = {
        "test": test,
        "utterance": take.utterance.id,
        "session": take.session,
        "lost": str(take.lost),
        "language": take.utterance.language,
        **_scores(take.align(None)),
        "reference": take.utterance.text,
        "text": take.text,
        "replayed": "yes" if take.conditions.replayed else "",
    }
    if redactor.private:
        cells |= dict.fromkeys(_TEXTS, "")
    return _csv([redactor.clean(str(cells[name])) for name in COLUMNS])


def _scores(aligned: Alignment) -> Mapping[str, object]:
    """Return the cells that are computed from an alignment, by column.

    Each of the three ``aligned_*`` cells has one part for each pair of aligned words
    (or characters); ``|`` separates the parts.
    """
    errors, pairs = aligned.errors, aligned.pairs
    return {
        "normalizer": aligned.normalizer,
        "unit": aligned.unit.value,
        "wer": "" if errors.rate is None else f"{errors.rate:.4f}",
        "errors": errors.wrong,
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
        "unspoken": errors.unspoken,
        "reference_length": errors.reference,
        "aligned_reference": "|".join(pair.reference or "" for pair in pairs),
        "aligned_text": "|".join(pair.hypothesis or "" for pair in pairs),
        "aligned_errors": "|".join(map(kind, pairs)),
    }


def _csv(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(map(_cell, cells))
    return text.getvalue().encode(errors="replace")


def _cell(text: str) -> str:
    """Return a cell that neither a terminal nor a spreadsheet executes."""
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


class Appender:
    """Appends one line to a CSV report for each utterance of the tests."""

    def __init__(self, file: ReportFile) -> None:
        self._file = file

    def __str__(self) -> str:
        return str(self._file)

    def __call__(self, test: str, take: Transcription) -> None:
        """Append the line of an utterance, if its session counts for a test.

        Raises OSError if the report cannot be written.
        """
        if take.purpose is Purpose.TEST:
            self._file.append(row(test, take), header=header)
