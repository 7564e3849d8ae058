"""Keeps the traces of a run, either of the tests that fail or of all tests."""

from __future__ import annotations

import enum
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.trace.records import End, Trace
from pytest_realtime_asr.trace.spoken import Spoken

_NAMED = 60  # characters of an id that are used in the name of a file
_Key = tuple[datetime, int | None]


class Keep(enum.StrEnum):
    """The tests whose traces a run keeps."""

    FAILED = "failed"
    ALL = "all"


@dataclass(slots=True)
class _File:
    """The trace file of a session.

    ``written`` has the number of frames in the file and how the session ended.
    ``spoken`` describes the utterances of the session.
    """

    path: Path
    written: tuple[int, End] | None = None
    spoken: list[Spoken] = field(default_factory=list)


class SessionTraces:
    """Writes the trace of a session each time that one of its utterances has ended.

    Each session has one file, even if it has several utterances. The sessions of a test
    are numbered from 0, and the name of the file begins with this number. ``folder``
    makes the folder for all traces, or returns ``None`` if no traces are kept. Paths
    are shown relative to ``origin``. ``warn`` is called once if traces cannot be
    written; after that, none are written. Any thread may call the methods.
    """

    def __init__(
        self,
        folder: Callable[[], Path | None],
        origin: Path,
        warn: Callable[[str], None],
    ) -> None:
        self.unkept: str | None = None
        self._folder = folder
        self._origin = origin
        self._warn = warn
        self._files: dict[_Key, _File] = {}  # of the running test
        self._paths: dict[_Key, Path] = {}
        self._numbers: dict[str, int] = {}  # sessions so far, of each test
        self._writing = threading.Lock()

    def __str__(self) -> str:
        return "the folder of the traces"

    def __call__(self, test: str, take: Transcription) -> None:
        """Write the trace of the session in which an utterance of a test has ended."""
        trace = take.trace
        with self._writing:
            if take.kept is not None and take.written is None:
                return
            file = self._file(test, trace, take.utterance.id)
            if file is None:
                return
            if take.written is not None:
                self._write(file, take.written)
                return
            spoken = described(take.utterance)
            if spoken.asset not in {each.asset for each in file.spoken}:
                file.spoken.append(spoken)
            self._save(file, trace)

    def begin(self, test: str) -> None:
        """Begin a test; a test that runs again replaces its traces."""
        self._numbers.pop(test, None)

    def end(self, test: str, sessions: Iterable[Live]) -> None:
        """Write the traces of sessions whose last frames are not yet on the disk.

        These are the sessions without an utterance, and the sessions that the test
        still used after their last utterance.
        """
        for live in sessions:
            trace = live.trace
            with self._writing:
                if not trace.records and trace.opened is None:
                    continue  # the test has never opened the session
                file = self._file(test, trace, "session")
                if file is not None and file.written != _state(trace):
                    self._save(file, trace)
        self._files.clear()

    def path(self, trace: Trace) -> str:
        """Return the path of the file of a session, or "" if it has none."""
        path = self._paths.get(_key(trace))
        return "" if path is None else os.path.relpath(path, self._origin)

    def _file(self, test: str, trace: Trace, name: str) -> _File | None:
        """Return the file of a session; ``None`` if no traces can be kept.

        ``name`` becomes a part of the name of a new file.
        """
        if self.unkept is not None:
            return None
        known = self._files.get(_key(trace))
        if known is not None:
            return known
        try:
            if (folder := self._folder()) is None:
                return None
            folder /= file_name(test, unique=True)
            number = self._numbers.get(test, 0)
            if not number:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._give_up(error)
            return None
        self._numbers[test] = number + 1
        made = _File(folder / f"{number:03}-{file_name(name)}.jsonl")
        self._files[_key(trace)] = made
        self._paths[_key(trace)] = made.path
        return made

    def _save(self, file: _File, trace: Trace) -> None:
        self._write(file, replace(trace, spoken=tuple(file.spoken)).dumps())
        file.written = _state(trace)

    def _write(self, file: _File, lines: bytes) -> None:
        try:
            file.path.write_bytes(lines)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.unkept = unkept(error)
        self._warn(self.unkept)


def _key(trace: Trace) -> _Key:
    """Return a key that identifies a session in the run."""
    return trace.started, trace.port


def _state(trace: Trace) -> tuple[int, End]:
    """Return the number of frames and the end of a session, to detect changes."""
    return len(trace.records), trace.end


def unkept(error: Exception) -> str:
    """Return a sentence about traces that cannot be written."""
    return (
        f"traces not kept: {error_text(error)}; name another folder with "
        "--realtime-traces=DIR"
    )


def write(folder: Path, takes: Iterable[Transcription], origin: Path) -> dict[str, str]:
    """Write traces into a new folder, and return the paths of their files.

    The keys are the labels of the transcriptions. A transcription whose trace was
    dropped has no path. Raises OSError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths: dict[str, str] = {}
    for index, take in enumerate(takes):
        if (trace := take.dumps()) is None:
            continue
        path = folder / f"{index:03}-{file_name(take.utterance.id)}.jsonl"
        path.write_bytes(trace)
        paths[take.label] = os.path.relpath(path, origin)
    return paths


def sent(trace: Trace) -> str:
    """Return a dash and the name of the first utterance sent; "" if none was sent."""
    spans = (record.span for record in trace.records)
    asset = next((span.asset for span in spans if span is not None), "")
    return f"-{file_name(asset)}" if asset else ""


def file_name(id: str, *, unique: bool = False) -> str:
    """Return a file name for an id; if ``unique``, each id has a different name."""
    name = re.sub(r"[^\w.-]+", "-", id, flags=re.ASCII)
    if len(name) <= _NAMED and not unique:
        return name
    return f"{name[-_NAMED:]}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"
