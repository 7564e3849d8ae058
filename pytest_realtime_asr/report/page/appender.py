"""Appends the results of a run to its HTML page, as its sessions and tests end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.report import jsonl, level_rows, session_chart
from pytest_realtime_asr.report.conformance import Document
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.page import chunks, session_data
from pytest_realtime_asr.report.page.clips import Clips
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.report.session_chart import SessionChart
from pytest_realtime_asr.report.verdict_rows import rows
from pytest_realtime_asr.run.identity import RunIdentity
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import loads


def chart(take: Transcription) -> SessionChart | None:
    """Return the chart of an utterance; the secrets are removed from its frames.

    Returns ``None`` if the frames were dropped.
    """
    if take.kept is not None:
        if take.written is None:
            return None
        trace = loads(take.written)
    else:
        original = replace(take.trace, spoken=(described(take.utterance),))
        trace = original.redacted()
        if trace is original:
            recording = replace(take.recording, trace=trace)
            return session_chart.chart(recording, take.item)
    return session_chart.chart(dialects.recording(take.dialect, trace), take.item)


def session_line(line: bytes, take: Transcription) -> bytes:
    """Return the line that describes an utterance in the file of a page.

    ``line`` is the line of the utterance in the JSON Lines report.
    """
    redactor = take.trace.redactor
    parts = Parts(private=redactor.private)
    fields: dict[str, Any] = msgspec.json.decode(line)
    found = session_data.detail(
        fields,
        parts("chart", lambda: chart(take), None),
        None if redactor.private else parts("pairs", lambda: take.align(None), None),
        private=redactor.private,
    )
    if parts.failed:
        found["failed"] = {**found.get("failed", {}), **parts.failed}
    row = session_data.row(fields, take.label)
    return (
        chunks.block("row", redactor.clean_value(row))
        + chunks.packed("session", redactor.clean_value(found))
        + b"\n"
    )


class Appender:
    """Appends lines to the page of a run.

    ``clips`` makes the audio clips of the page and limits how many are added.
    """

    def __init__(self, file: ReportFile, run: RunIdentity, clips: Clips) -> None:
        self._file = file
        self._run = run
        self._clips = clips

    def __str__(self) -> str:
        return str(self._file)

    def __call__(self, test: str, take: Transcription) -> None:
        """Append an utterance. Raises OSError if the page cannot be written."""
        line = jsonl.line(test, take, self._run)
        self._append(session_line(line, take), [take], take.trace.redactor)

    def level(self, test: str, record: LevelRecord, plan: Plan) -> None:
        """Append a level of load. Raises OSError if the page cannot be written."""
        replayed = plan.replayed
        row = level_rows.row(record)
        fields = jsonl.level_line(self._run, test, row, replayed=replayed)
        redactor = plan.redactor
        line = chunks.block("level", redactor.clean_value(msgspec.to_builtins(fields)))
        target = plan.access.target.shown
        self._file.append(
            line + b"\n", header=lambda: self._head(target, redactor, replayed=replayed)
        )

    def verdicts(self, results: Results) -> None:
        """Append a test's verdicts, and the clips of its worst sessions if it fails.

        A private run has no clips. Raises OSError if the page cannot be written.
        """
        takes = [*results.takes, *results.judged.values(), *results.beside]
        if not takes:
            return
        redactor = takes[0].trace.redactor
        blocks = [
            chunks.block(
                "verdict",
                redactor.clean_value(
                    msgspec.to_builtins(
                        jsonl.verdict_line(
                            self._run, results.test, each, replayed=results.replayed
                        )
                    )
                ),
            )
            for each in rows(results)
        ]
        if results.failing and not redactor.private:
            worst = sorted(_failed(takes), key=_badness, reverse=True)
            blocks += self._clips.blocks(take.utterance for take in worst)
        if blocks:
            self._append(b"\n".join(blocks) + b"\n", takes, redactor)

    def traces(self, results: Results) -> None:
        """Append the paths of the traces of a test that fails.

        Raises OSError if the page cannot be written.
        """
        takes = [*results.takes, *results.judged.values(), *results.beside]
        if results.paths and takes:
            redactor = takes[0].trace.redactor
            line = chunks.block("traces", redactor.clean_value(dict(results.paths)))
            self._append(line + b"\n", takes, redactor)

    def conformance(self, found: Document) -> None:
        """Append the results of the suite.

        Their texts must be free of secrets already. Raises OSError if the page cannot
        be written.
        """
        target = found.server.target
        self._file.append(
            chunks.block("conformance", found) + b"\n",
            header=lambda: self._head(
                target, Redactor(), replayed=found.server.replayed
            ),
        )

    def trend(self, block: bytes) -> None:
        """Append the trend if the page belongs to this run.

        Raises OSError if the page cannot be written.
        """
        self._file.finish(block + b"\n", run=self._run.id)

    def end(self, *, failed: Sequence[str] = (), interrupted: bool) -> None:
        """Append the end of the run if the page belongs to this run.

        ``failed`` has the ids of all tests that failed. Some of them have no verdict,
        such as a test whose worker crashed. The ids have no secrets. Raises OSError if
        the page cannot be written.
        """
        line = chunks.block("end", {"interrupted": interrupted, "failed": failed})
        self._file.finish(line + b"\n", run=self._run.id)

    def _append(
        self, lines: bytes, takes: Iterable[Transcription], redactor: Redactor
    ) -> None:
        every = list(takes)
        targets = (t.trace.target for t in every if t.purpose is Purpose.TEST)
        target = next(targets, "")
        replayed = any(take.conditions.replayed for take in every)
        self._file.append(
            lines, header=lambda: self._head(target, redactor, replayed=replayed)
        )

    def _head(self, target: str, redactor: Redactor, *, replayed: bool) -> bytes:
        fields: Mapping[str, Any] = redactor.clean_value(
            msgspec.to_builtins(jsonl.run_line(self._run, target, replayed=replayed))
        )
        return chunks.head(fields, session_data.metric_columns())


def _failed(takes: Iterable[Transcription]) -> list[Transcription]:
    """Return the utterances of a failed test that count in results, each once."""
    found = {id(take): take for take in takes if take.purpose is Purpose.TEST}
    return list(found.values())


def _badness(take: Transcription) -> tuple[bool, int, float, float]:
    """Return a sort key: the worse a session, the larger its key."""
    late = take.metrics.get("final_from_commit") or 0.0
    rate = 0.0 if take.lost else take.alignment.errors.rate or 0.0
    return bool(take.lost), len(take.violations), rate, late
