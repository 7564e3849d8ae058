"""Disks, files, signals and the user's own code that fail while a report is made."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.metrics.alignment import Alignment
from pytest_realtime_asr.plugin import termination
from pytest_realtime_asr.plugin.judging import Case as Judge
from pytest_realtime_asr.plugin.judging import Judging
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.plugin.state import unwritable
from pytest_realtime_asr.report import conformance, jsonl, junit, messages, terminal
from pytest_realtime_asr.report.files import ReportFile, distinct
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.trace import records
from tests.hostile import Case, message
from tests.support.paths import FIXTURES
from tests.support.runs import RUN

TRACES = FIXTURES / "traces"
EARLIER = b"earlier\n"


def refused(call: Callable[[], object], path: Path) -> str:
    """Return the message that refuses a report before the run."""
    try:
        call()
    except OSError as error:
        return str(unwritable(f"--realtime-report={path}", error))
    raise AssertionError("nothing was refused")


def checked(path: Path) -> str:
    return refused(ReportFile(path).check, path)


def beside_a_folder(folder: Path) -> str:
    (folder / "out.jsonl.1").mkdir()
    return checked(folder / "out.jsonl")


def under_a_file(folder: Path) -> str:
    (folder / "file").touch()
    return checked(folder / "file" / "out.jsonl")


def fifo(folder: Path) -> str:
    os.mkfifo(folder / "out.jsonl")
    return checked(folder / "out.jsonl")


def protected(folder: Path) -> str:
    with mock.patch("os.access", return_value=False):
        return checked(folder / "deep" / "out.jsonl")


def twice(folder: Path) -> str:
    path = folder / "out.jsonl"
    (folder / "link").symlink_to(path)
    files = [ReportFile(path), ReportFile(folder / "link")]
    return refused(lambda: distinct(files), path)


def held(folder: Path) -> str:
    path = folder / "out.jsonl"
    first = ReportFile(path)
    first.lock()
    try:
        return refused(ReportFile(path).lock, path)
    finally:
        first.release()


def killed(folder: Path) -> str:
    """A run was killed while it wrote the report; the next run begins a new one."""
    path = folder / "out.jsonl"
    path.write_bytes(EARLIER)
    code = (
        "import os, sys; from filelock import FileLock\n"
        "FileLock(sys.argv[1] + '.lock').acquire(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=30)
    told: list[str] = []
    file = ReportFile(path, tell=told.append)
    file.lock()
    file.append(b"1\n")
    file.release()
    assert (folder / "out.jsonl.1").read_bytes() == EARLIER
    return "\n".join(told)


class Raising(Transcription):
    """An utterance for whose language the user's normaliser raises."""

    @cached_property
    def alignment(self) -> Alignment:
        raise ValueError("no such\nword")

    @cached_property
    def characters(self) -> Alignment:
        raise ValueError("no such\nword")


@cache
def taken(kind: type[Transcription] = Transcription) -> Transcription:
    """An utterance that was sent to a correct server."""
    found = records.read(TRACES / "vllm-sound.jsonl")
    dialect = dialects.load("vllm")
    clip = corpus.load("bundled:english")["turn-right"]
    return kind(clip, dialects.recording(dialect, found), dialect)


def run() -> tuple[Run, list[str]]:
    """A run without pytest, and the list of its notes at the end."""
    given = {"dialect": "vllm"}
    made = settings(lambda option: given.get(option.name), lambda option: None, {})
    found = Run(made.run, lambda: Corpus("warm", ()), shared=None)
    told: list[str] = []
    found.warn = told.append
    return found, told


def written(*files: Callable[[str, Transcription], None], times: int = 1) -> str:
    """Return the message after utterances were written to these reports."""
    found, told = run()
    seen: list[str] = []
    found.sinks = [*files, lambda test, take: seen.append(take.text)]
    for _ in range(times):
        found.ended(Ledger("test_it"), 0, taken())
    assert seen == [taken().text] * times  # the other report holds them all
    return "\n".join(dict.fromkeys(told))


@contextmanager
def failing(number: int, *, after: int = 0) -> Iterator[None]:
    """A disk that takes so many bytes, and then fails with this error."""
    write, left = os.write, after

    def some(file: int, content: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(number, os.strerror(number))
        count, left = min(left, len(content)), 0
        return write(file, content[:count])

    with mock.patch("os.write", some):
        yield


def unwritten(number: int, after: int = 0) -> Callable[[Path], str]:
    """Utterances that end while the disk fails; the line before stays whole."""

    def ask(folder: Path) -> str:
        path = folder / "out.jsonl"
        append = jsonl.Appender(ReportFile(path), RUN)
        append("test_before", taken())
        with failing(number, after=after):
            told = written(append, times=3)
        append("test_after", taken())
        tests = [row.test for row in jsonl.read(path)]
        assert tests == ["test_before", "test_after"]
        return told

    return ask


def gone(folder: Path) -> str:
    """The folder of the report is replaced by a file while the tests run."""
    append = jsonl.Appender(ReportFile(folder / "deep" / "out.jsonl"), RUN)
    append("test_before", taken())
    (folder / "deep").rename(folder / "away")
    (folder / "deep").touch()
    return written(append)


def of_no_kind(test: str, take: Transcription) -> None:
    raise KeyError("model")


def unscored(folder: Path) -> str:
    row = json(jsonl.line("test_it", taken(Raising), RUN))
    assert (row["text"], row["errors"]) == (taken().text, None)
    assert row["metrics"] == dict(taken().metrics)
    return f"errors: {row['failed']['errors']}"


def json(line: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(line)
    return found


def unscored_in_junit(folder: Path) -> str:
    rows = dict(junit.properties(Results("test_it", (taken(Raising),))))
    assert rows["realtime.planned"] == 1
    assert "realtime.final_from_commit_ms.p50" in rows
    return str(rows["realtime.failed"])


def unscored_in_the_table(folder: Path) -> str:
    found = Results("test_it", (taken(Raising),))
    row = terminal.row(found, model="fake", cold=None, note="")
    assert row.final is not None
    return row.lines[-1]


def unjudged(folder: Path) -> str:
    """The verdict of a test raises: it fails, and its takes are reported."""
    found, _ = run()
    judging = Judging(
        found,
        folder=lambda: None,
        origin=folder,
        given=lambda option: None,
    )

    def wrong(*args: object, **kwargs: object) -> Results:
        raise ValueError("no such word")

    found.begin("test_it")
    found.ledger.end(0, taken())
    terms = mock.Mock(budgets=(), thresholds=("one",))
    case = Judge("test_it", lambda: terms, ("test_it",))
    with mock.patch("pytest_realtime_asr.plugin.judging.judge_test", wrong):
        judged = judging.judge(case, failed=False, pooled=False)
    assert judged is not None
    assert ("realtime.planned", 1) in junit.properties(judged)
    return str(messages.failure(judged)).partition("\n")[0]


def compared(*lines: bytes) -> Callable[[Path], str]:
    """An earlier report with two valid lines, and these lines between them."""

    def ask(folder: Path) -> str:
        path, told = folder / "out.jsonl", list[str]()
        good = jsonl.line("test_it", taken(), RUN)
        path.write_bytes(good + b"".join(line + b"\n" for line in lines) + good)
        assert len(jsonl.read(path, tell=told.append)) == 2
        return "\n".join(told)

    return ask


def unreadable(content: bytes) -> Callable[[Path], str]:
    def ask(folder: Path) -> str:
        (folder / "out.jsonl").write_bytes(content)
        return message(ValueError, lambda: jsonl.read(folder / "out.jsonl"))

    return ask


def circular(folder: Path) -> str:
    path = folder / "out.jsonl"
    path.symlink_to(path)
    return refused(lambda: ReportFile(path), path)


def unmakeable(folder: Path) -> str:
    """A folder that cannot be made, even by the superuser; only trying shows it."""
    path = folder / "deep" / "out.jsonl"
    forbidden = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    with mock.patch.object(Path, "mkdir", side_effect=forbidden):
        return refused(ReportFile(path).lock, path)


def unkept(folder: Path) -> str:
    """The traces that the suite requests cannot be written."""
    (folder / "cache").touch()
    found, told = run()
    judging = Judging(
        found,
        folder=lambda: folder / "cache",
        origin=folder,
        given=lambda option: None,
    )
    assert [judging.keep(f"test_{n}", taken().trace) for n in range(3)] == [""] * 3
    return "\n".join(dict.fromkeys(told))


def whole(folder: Path) -> str:
    """The disk is full when the suite's result is written."""
    path = folder / "out.json"
    path.write_bytes(EARLIER)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    found = mock.Mock(counts={status: 1 for status in conformance._TRIED})
    with (
        mock.patch.object(conformance, "dumps", return_value=b"{}"),
        mock.patch.object(Path, "open", side_effect=full),
    ):
        told = refused(lambda: conformance.write(ReportFile(path), found), path)
    assert path.read_bytes() == EARLIER
    return told


def terminated(number: signal.Signals) -> Callable[[Path], str]:
    """A signal ends the run while it measures; the earlier report is restored."""

    def ask(folder: Path) -> str:
        before = signal.signal(number, signal.SIG_DFL)
        restore = termination.catch()
        try:
            told = ""
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)  # until the handler raises
            except KeyboardInterrupt as error:
                told = f"{type(error).__name__}: {error}"
            assert signal.getsignal(number) is signal.SIG_DFL
        finally:
            restore()
            signal.signal(number, before)
        return told

    return ask


CASES = (
    Case(
        "report-under-a-file",
        "the folder of the report is a file",
        (
            "--realtime-report=",
            "/file is not a folder",
            "name a file in an existing folder",
        ),
        5,
        under_a_file,
    ),
    Case(
        "report-is-a-folder",
        "the report is a folder",
        ("--realtime-report=", "is a folder; name a file"),
        5,
        checked,
    ),
    Case(
        "report-is-a-fifo",
        "the report is a named pipe without a reader",
        ("out.jsonl is neither a file nor a device", "name a file"),
        5,
        fifo,
    ),
    Case(
        "kept-report-is-a-folder",
        "the name for the earlier report is taken by a folder",
        ("out.jsonl.1 is a folder", "name a file"),
        5,
        beside_a_folder,
    ),
    Case(
        "report-with-a-long-name",
        "the name of the report is longer than a file's name can be",
        ("--realtime-report=", "File name too long; name another file"),
        5,
        lambda folder: checked(folder / ("x" * 254)),  # with .1 it is too long
    ),
    Case(
        "report-in-a-protected-folder",
        "the folder is not writable",
        ("the folder", "is not writable; name a file in another"),
        5,
        protected,
    ),
    Case(
        "report-is-a-link-to-itself",
        "the report is a symbolic link to itself",
        ("out.jsonl: Too many levels of symbolic links; name another file",),
        5,
        circular,
    ),
    Case(
        "folder-of-the-report-cannot-be-made",
        "the folder cannot be created",
        ("deep/out.jsonl: Operation not permitted; name another file",),
        5,
        unmakeable,
    ),
    Case(
        "two-reports-in-one-file",
        "two reports go into one file, one of them through a link",
        ("two reports would be written to this file", "name another"),
        5,
        twice,
    ),
    Case(
        "two-runs-on-one-report",
        "another run writes the report",
        ("out.jsonl: another run is writing this file", "wait until", "name another"),
        5,
        held,
    ),
    Case(
        "killed-run-left-a-lock",
        "a run was killed while it had the lock",
        ("out.jsonl: the earlier report was moved to", "out.jsonl.1"),
        30,
        killed,
    ),
    Case(
        "disk-is-full",
        "the disk is full in the middle of a line",
        (
            "--realtime-report=",
            "out.jsonl: No space left on device",
            "utterances are",
        ),
        5,
        unwritten(errno.ENOSPC, after=100),
    ),
    Case(
        "quota-is-spent",
        "the disk quota of the user is used up",
        ("out.jsonl: Disk quota exceeded", "utterances are"),
        5,
        unwritten(errno.EDQUOT),
    ),
    Case(
        "disk-became-read-only",
        "the file system becomes read-only during the run",
        ("out.jsonl: Read-only file system", "utterances are"),
        5,
        unwritten(errno.EROFS),
    ),
    Case(
        "folder-of-the-report-is-gone",
        "the folder of the report is replaced by a file during the run",
        ("out.jsonl: Not a directory", "utterances are"),
        5,
        gone,
    ),
    Case(
        "sink-raises",
        "a report of another kind raises",
        ("of_no_kind", "KeyError: 'model' (reports.py:"),
        5,
        lambda folder: written(of_no_kind),
    ),
    Case(
        "normaliser-raises-in-a-line",
        "the user's normaliser raises",
        ("errors: ValueError: no such word (reports.py:",),
        5,
        unscored,
    ),
    Case(
        "normaliser-raises-in-junit",
        "the user's normaliser raises",
        ("wer, normalizer not known: ValueError: no such word (reports.py:", "; cer "),
        5,
        unscored_in_junit,
    ),
    Case(
        "normaliser-raises-in-the-table",
        "the user's normaliser raises",
        ("WER", "not known: ValueError: no such word (reports.py:"),
        5,
        unscored_in_the_table,
    ),
    Case(
        "verdict-raises",
        "a part of the verdict raises",
        ("no verdict could be made: ValueError: no such word (reports.py:",),
        5,
        unjudged,
    ),
    Case(
        "damaged-line-of-a-report",
        "a line of the earlier report is cut off",
        ("out.jsonl: line 2 is skipped", "Input data was truncated"),
        5,
        compared(b'{"format": 2, "te'),
    ),
    Case(
        "damaged-lines-of-a-report",
        "eight lines of the earlier report are damaged in several ways",
        ("8 lines are skipped (2, 3, 4, 5, 6 and 3 more)", "the first"),
        5,
        compared(b"\0", b"{}", b'"\xff"', b"7", b'{"format": 2}', b"[", b"x", b"]"),
    ),
    Case(
        "deeply-nested-line-of-a-report",
        "a line of the earlier report is nested 100,000 deep",
        ("out.jsonl: line 2 is skipped", "recursion"),
        5,
        compared(b'{"format": 2, "x": ' + b"[" * 100_000),
    ),
    Case(
        "report-without-a-sound-line",
        "every line of the earlier report is damaged",
        ("out.jsonl:1: is not a line of a report", "JSON is malformed"),
        5,
        unreadable(b"\x00\xff\n"),
    ),
    Case(
        "traces-of-the-suite-not-kept",
        "the cache cannot hold the traces of broken requirements",
        ("traces not kept: ", "directory", "--realtime-traces=DIR"),
        5,
        unkept,
    ),
    Case(
        "disk-is-full-for-the-result",
        "the disk is full when the result of the suite is written",
        ("--realtime-report=", "out.json: No space left on device"),
        5,
        whole,
    ),
    Case(
        "terminated-while-it-measures",
        "SIGTERM comes during a test",
        ("KeyboardInterrupt: SIGTERM",),
        5,
        terminated(signal.SIGTERM),
    ),
    Case(
        "hung-up-while-it-measures",
        "the terminal of a run closes during a test",
        ("KeyboardInterrupt: SIGHUP",),
        5,
        terminated(signal.SIGHUP),
    ),
)
