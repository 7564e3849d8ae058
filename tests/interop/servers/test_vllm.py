"""What released vLLMs answer on the wire where they are known to differ.

The fake server and the requirements are compared with these answers.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance_run import judged
from released import VLLM, Server
from served import Served, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pytest_realtime_asr import corpus

ASKED = "VLLM_INTEROP"
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"to run it: set {ASKED}=1"),
]

PATIENCE = 10  # s
CLIP = corpus.load("bundled:english")["turn-right"]
FAILING = b"\0\x80" * 1280  # a frame at which the request to the stub engine fails
KEY = "interop-key-1234"
UPDATE = {"type": "session.update", "model": "stub"}
BEGIN = {"type": "input_audio_buffer.commit"}
FINAL = {"type": "input_audio_buffer.commit", "final": True}
FENCE = {"type": "fence"}  # its answer proves that nothing came before it


@pytest.fixture(scope="module", params=VLLM, ids=lambda server: server.name)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving(request.param) as served:
        yield served


def old(served: Served) -> bool:
    """Return whether this is the first release that has the endpoint."""
    return bool(served.server.version == "0.16.0")


def bare(served: Served) -> bool:
    """Return whether paths are shown in the texts of errors."""
    return served.server.version in ("0.16.0", "0.22.1")


@contextmanager
def session(served: Served, **headers: str) -> Iterator[ClientConnection]:
    """A session after its greeting."""
    url = served.url.replace("http", "ws", 1) + "/v1/realtime"
    with connect(url, proxy=None, close_timeout=1, additional_headers=headers) as live:
        assert hear(live)["type"] == "session.created"
        yield live


def status(served: Served, **headers: str) -> int:
    """Return the HTTP status that answers the handshake."""
    try:
        with session(served, **headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def say(live: ClientConnection, *events: dict[str, Any]) -> None:
    for event in events:
        live.send(json.dumps(event))


def hear(live: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(live.recv(timeout=PATIENCE))
    return event


def answer(live: ClientConnection, *events: dict[str, Any]) -> tuple[str, str] | None:
    """Code and text of the first error among these events, if there is one."""
    say(live, *events, FENCE)
    event = hear(live)
    if event["code"] == "unknown_event":
        return None
    assert hear(live)["code"] == "unknown_event"
    return event["code"], event["error"]


def append(pcm: bytes) -> dict[str, Any]:
    audio = base64.b64encode(pcm).decode()
    return {"type": "input_audio_buffer.append", "audio": audio}


def final(live: ClientConnection) -> str:
    """The text of the next final, which is that of its deltas."""
    text = ""
    while (event := hear(live))["type"] == "transcription.delta":
        text += event["delta"]
    assert event["type"] == "transcription.done"
    assert event["text"] == text
    return text


def page(served: Served, path: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(served.url + path, timeout=PATIENCE) as response:
        return str(response.read().decode())


def test_update_without_a_model(served: Served) -> None:
    with session(served) as live:
        told = answer(live, {"type": "session.update"})
    if old(served):
        assert told == ("processing_error", "'model'")
    else:
        assert told == ("invalid_event", "Missing required field: model")


def test_unknown_model(served: Served) -> None:
    with session(served) as live:
        told = answer(live, {"type": "session.update", "model": "nobody"})
        taken = answer(live, BEGIN) is None
    if old(served):
        assert told is None
    else:
        assert told == ("model_not_found", "The model `nobody` does not exist.")
    assert taken is old(served)


def test_begin_before_the_update(served: Served) -> None:
    with session(served) as live:
        told = answer(live, BEGIN)
        assert told is not None
        assert told[0] == "model_not_validated"
        say(live, UPDATE, append(CLIP.audio.pcm), FINAL)
        if not old(served):  # which told of an error, and began all the same
            assert answer(live) is None
            say(live, BEGIN)
        assert final(live) == CLIP.text


def test_a_binary_frame_ends_the_session_without_a_close_frame(served: Served) -> None:
    with session(served) as live:
        live.send(json.dumps(UPDATE).encode())
        with pytest.raises(ConnectionClosed) as closed:
            live.recv(timeout=PATIENCE)
    assert closed.value.rcvd is None


def test_the_text_of_an_error(served: Served) -> None:
    path = "/home/user/secret.pem"
    with session(served) as live:
        event = {"type": "input_audio_buffer.append", "audio": {"path": path}}
        told = answer(live, event)
    assert told is not None
    code, text = told
    assert code == "processing_error"
    assert (path in text) is bare(served)


def test_the_first_release_violates_requirements_of_later_ones(
    served: Served, tmp_path: Path
) -> None:
    if not old(served):
        pytest.skip("judged as its own version in the other tests")
    later = ("--realtime-server-version=0.33.0", "-k", "code")
    rows = judged(served, tmp_path, *later)
    assert {row["id"] for row in rows if row["status"] == "violated"} == {
        "update-without-model-code",
        "unknown-model-code",
    }


def test_a_final_without_a_begin_ends_the_next_utterance(served: Served) -> None:
    with session(served) as live:
        assert answer(live, UPDATE, FINAL) is None
        say(live, BEGIN)
        assert final(live) == ""
        say(live, append(CLIP.audio.pcm), FINAL)
        assert answer(live) is None  # and from here on every text is one too late
        say(live, BEGIN)
        assert final(live) == CLIP.text


def test_audio_after_an_error_of_the_engine_is_of_the_next_utterance(
    served: Served,
) -> None:
    with session(served) as live:
        say(live, UPDATE, BEGIN, append(FAILING))
        assert hear(live)["code"] == "processing_error"
        assert answer(live, append(CLIP.audio.pcm), FINAL) is None
        say(live, BEGIN)
        assert final(live) == CLIP.text


def test_metrics_count_the_open_sessions(served: Served) -> None:
    def opened() -> list[str]:
        lines = page(served, "/metrics").splitlines()
        name = "vllm:websocket_connections_active "
        return [line.removeprefix(name) for line in lines if line.startswith(name)]

    with session(served):
        assert opened() == ([] if old(served) else ["1.0"])
    assert "process_start_time_seconds" in page(served, "/metrics")


@pytest.mark.parametrize("server", VLLM, ids=lambda server: server.name)
def test_a_key(server: Server) -> None:
    with serving(server, key=KEY) as served:
        told = (status(served), status(served, Authorization=f"Bearer {KEY}"))
        # The check of the first release fails on any WebSocket.
        assert told == ((500, 500) if old(served) else (401, 101))
