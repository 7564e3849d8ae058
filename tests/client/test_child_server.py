"""Servers in a child process: their output, their start and their end."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client import child_server
from pytest_realtime_asr.client.child_server import Output, ProgramServer

ECHO = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"


def program(code: str, *, patience: float = 5.0) -> ProgramServer:
    return ProgramServer(["-c", code], patience=patience)


def test_lines_are_written_and_read_until_the_server_ends() -> None:
    with program(ECHO) as server:
        server._write(b"one")
        assert server._line(10) == "ONE"
        assert server._exit_reason() is None
        with pytest.raises(TimeoutError):
            server._line(0.01)
    assert server._line(10) is None
    assert server._line(10) is None
    assert server._exit_reason() == "it has ended with exit code 0"
    server.stop()


def test_standard_error_is_shown_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('wrong', file=sys.stderr); print('url'); sys.stdin.read()"
    with program(code) as server:
        assert server._line(10) == "url"
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "wrong\n"


def test_a_server_that_does_not_end_is_killed() -> None:
    with program("import time; print('up'); time.sleep(60)", patience=0.1) as server:
        pass
    assert server._exit_reason() == "it has ended with signal 9"


def test_writing_to_a_server_that_has_ended_fails() -> None:
    with program("") as server:
        assert server._line(10) is None
        server._process.wait(10)
        with pytest.raises(BrokenPipeError):
            server._write(b"one")


def test_the_tail_of_the_output() -> None:
    output = Output()
    output.file.write(b"before")
    output.file.flush()
    output.skip()
    assert output.tail() == ""
    output.file.write(b"after" * child_server.SHOWN + b"\xff")
    output.file.flush()
    tail = output.tail()
    assert tail.endswith("after\ufffd")
    assert len(tail) == child_server.SHOWN
    output.close()
    output.close()
