"""Mistakes of a user with pytest, the fixtures and the fake server."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from unittest import mock

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.fake import process
from pytest_realtime_asr.fake.process import FakeError, FakeServer
from pytest_realtime_asr.run.fakes import FakeServers
from tests.hostile import Case, message


def misused(**given: object) -> Callable[[Path], str]:
    """Start a fake with arguments of a wrong kind."""
    return lambda folder: message(TypeError, lambda: FakeServers().start(**given))  # type: ignore[arg-type]


def child(script: str, *words: str) -> Callable[[Path], str]:
    """Start a script in place of the fake server; it never prints a URL."""

    def ask(folder: Path) -> str:
        path = folder / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        with (
            mock.patch.object(process, "STARTING", 0.5),
            mock.patch("sys.executable", str(path)),
        ):
            return message(FakeError, lambda: FakeServer(words))

    return ask


def unheard(folder: Path) -> str:
    """Serve on a port that is printed nowhere."""
    told = io.StringIO()
    with mock.patch("sys.stdout", None), redirect_stderr(told):
        assert main(["fake", "--port", "0", "--corpus", "bundled:odd"]) == 2
    return told.getvalue().strip()


def without_lifeline(folder: Path) -> str:
    """Watch a standard input that no system can watch."""
    told = io.StringIO()
    words = ["--port", "0", "--corpus", "bundled:odd", "--lifeline"]
    with (
        Path(os.devnull).open() as file,
        mock.patch("sys.stdin", file),
        redirect_stderr(told),
    ):
        assert main(["fake", *words]) == 2
    return told.getvalue().strip()


CASES = (
    Case(
        "fake-delay-is-a-number",
        "a test gives fake_server a number as a delay",
        ("final_delay=5: 5 is not a string", "'300ms'"),
        5,
        misused(final_delay=5),
    ),
    Case(
        "fake-faults-are-bytes",
        "a test gives fake_server bytes as its faults",
        ("faults=b'mute': ", "is not a string"),
        5,
        misused(faults=b"mute"),
    ),
    Case(
        "fake-is-silent",
        "the fake server ends without any output",
        ("the fake server did not start: it has ended with exit code 1",),
        10,
        child("exit 1"),
    ),
    Case(
        "fake-reads-for-long",
        "the fake server reads a corpus that is too large",
        ("did not start: it was not ready after 0.5 s", "--corpus", "smaller"),
        10,
        child("exec sleep 9", "--corpus", "two hours.jsonl"),
    ),
    Case(
        "fake-without-standard-output",
        "the standard output of the fake server is closed",
        ("error: --port 0: ", "standard output is closed", "name a port"),
        5,
        unheard,
    ),
    Case(
        "fake-with-a-file-as-its-lifeline",
        "the standard input of the fake server is a file",
        ("error: --lifeline: ", "give a pipe or a terminal"),
        5,
        without_lifeline,
    ),
)
