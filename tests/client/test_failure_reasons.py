"""What a user reads if no connection could be opened."""

from __future__ import annotations

import errno
import socket

import pytest

from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.failure_reasons import explain, unreachable

PATH = "/v1/realtime"


def parsed(url: str) -> target.Target:
    return target.parse(url, path=PATH)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"),
            "no server was there: Connection refused; is the server running, and are "
            "its host and port right?",
        ),
        (
            OSError("Multiple exceptions: one, two"),
            "cannot connect: Multiple exceptions: one, two; is the server running "
            "there?",
        ),
        (
            OSError(errno.EHOSTUNREACH, "-"),
            "cannot connect: No route to host; is the server running there?",
        ),
    ],
)
def test_reason_of_an_error(error: OSError, said: str) -> None:
    assert unreachable(error) == said


def test_an_unknown_host_name_is_not_a_server_that_is_down() -> None:
    said = unreachable(socket.gaierror(socket.EAI_NONAME, "Name not known"))
    assert said == (
        "no server was there: cannot resolve the host name: Name not known; check the "
        "spelling of the host name"
    )


def test_a_refused_key_is_reported_with_its_source() -> None:
    server = parsed("http://h:1")
    for status in (401, 403):
        said = explain(status, server, "OUR_KEY")
        assert "the server refused the key from OUR_KEY; " in said
        without = explain(status, server, "")
        assert "no API key was sent: set REALTIME_API_KEY" in without


def test_a_wrong_path_is_reported_with_the_right_one() -> None:
    said = explain(404, parsed("ws://h:1/v1/wrong"), "")
    assert said.endswith(f"{PATH}; to use this path, give the target as http://h:1")
    for right in ("http://h:1", f"ws://h:1{PATH}?model=m", "http://h:1/v1"):
        assert "to use this path" not in explain(404, parsed(right), "")
