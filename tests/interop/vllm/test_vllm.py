"""The realtime endpoint of released vLLMs: our plugin against it, and its manners.

The manners are what the releases say on the wire where they are known to differ, so
that the fake server and the rules can be held against them.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from release import fetch
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pytest_realtime_asr import corpus

ASKED = "VLLM_INTEROP"
COMMAND = f'pip install -e ".[test]" --group interop && {ASKED}=1 pytest -m interop'
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"to run it: {COMMAND}"),
]

VERSIONS = ("0.16.0", "0.22.1", "0.33.0")
STARTING, STOPPING, PATIENCE = 60, 10, 10  # s
CLIP = corpus.load("bundled:english")["turn-right"]
KEY = "interop-key-1234"
PROJECT = """
import pytest

@pytest.mark.parametrize("name", ["turn-right", "open-door"])
def test_clip(realtime, corpus, name):
    utterance = corpus[name]
    assert realtime.transcribe(utterance).text == utterance.text
"""
INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 8
"""

UPDATE = {"type": "session.update", "model": "stub"}
BEGIN = {"type": "input_audio_buffer.commit"}
FINAL = {"type": "input_audio_buffer.commit", "final": True}
FENCE = {"type": "fence"}  # its answer proves that nothing came before it


@dataclass(frozen=True)
class Served:
    """A running server; ``old`` is the first release, ``bare`` those not sanitising."""

    version: str
    url: str

    @property
    def old(self) -> bool:
        return self.version == "0.16.0"

    @property
    def bare(self) -> bool:
        return self.version in ("0.16.0", "0.22.1")


@contextmanager
def serving(version: str, *arguments: str) -> Iterator[Served]:
    """The bench, with this release and the English corpus."""
    fetch(version)
    script = str(Path(__file__).with_name("serve.py"))
    command = [sys.executable, script, "--version", version, "--lifeline", *arguments]
    command += ["--corpus", "bundled:english"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], STARTING)
            url = process.stdout.readline().strip() if ready else ""
            assert url, "the bench did not start"
            yield Served(version, url)
            process.stdin.close()
            assert process.wait(STOPPING) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module", params=VERSIONS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving(request.param) as served:
        yield served


@contextmanager
def session(served: Served, **headers: str) -> Iterator[ClientConnection]:
    """A session of which nothing but the greeting has been heard."""
    url = served.url.replace("http", "ws", 1) + "/v1/realtime"
    with connect(url, proxy=None, close_timeout=1, additional_headers=headers) as live:
        assert hear(live)["type"] == "session.created"
        yield live


def status(served: Served, **headers: str) -> int:
    """How the handshake is answered."""
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
    """Code and text of the first error that these events bring, if there is one."""
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


def test_the_plugin_has_the_right_text(
    served: Served, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(PROJECT)
    pytester.makefile(".ini", pytest=INI)
    target = f"--realtime-target={served.url}"
    result = pytester.runpytest_subprocess(target, timeout=60)
    result.assert_outcomes(passed=2)


def test_it_names_its_release_and_its_model(served: Served) -> None:
    assert json.loads(page(served, "/version")) == {"version": served.version}
    models = json.loads(page(served, "/v1/models"))["data"]
    assert [model["id"] for model in models] == ["stub"]


def test_update_without_a_model(served: Served) -> None:
    with session(served) as live:
        told = answer(live, {"type": "session.update"})
    if served.old:
        assert told == ("processing_error", "'model'")
    else:
        assert told == ("invalid_event", "Missing required field: model")


def test_unknown_model(served: Served) -> None:
    with session(served) as live:
        told = answer(live, {"type": "session.update", "model": "nobody"})
        taken = answer(live, BEGIN) is None
    if served.old:
        assert told is None
    else:
        assert told == ("model_not_found", "The model `nobody` does not exist.")
    assert taken is served.old


def test_begin_before_the_update(served: Served) -> None:
    with session(served) as live:
        told = answer(live, BEGIN)
        assert told is not None
        assert told[0] == "model_not_validated"
        say(live, UPDATE, append(CLIP.audio.pcm), FINAL)
        if not served.old:  # which told of an error, and began all the same
            assert answer(live) is None
            say(live, BEGIN)
        assert final(live) == CLIP.text


def test_a_binary_frame_ends_the_session_without_a_word(served: Served) -> None:
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
    assert (path in text) is served.bare


def violated(served: Served, folder: Path, *words: str) -> set[str]:
    """Return the requirements that are violated, also by the event of another one."""
    (folder / "pytest.ini").write_text(INI)
    command = [sys.executable, "-m", "pytest", f"--realtime-target={served.url}"]
    command += ["--realtime-conformance", "--realtime-timeout=5s", "--realtime-pace=4"]
    command += ["--realtime-report=conformance:out.json", "-p", "no:cacheprovider"]
    subprocess.run([*command, *words], cwd=folder, timeout=240, capture_output=True)
    rows = json.loads((folder / "out.json").read_text())["requirements"]
    found = {row["id"]: row["status"] for row in rows}
    assert found.get("binary-answered") in (None, "same cause")
    return {id for id, status in found.items() if status in ("violated", "same cause")}


# What every release breaks, and what was mended with the next.
ALWAYS = {
    "unbegun-utterance-answered",
    "early-utterance-answered",
    "commit-not-boolean-refused",
    "stray-final-spoils-nothing",
    "second-final-spoils-nothing",
    "update-wrong-type-refused",
    "foreign-characters-refused",
    "binary-answered",
    "closes-are-explained",
}
BARE = {"paths-removed"}
OLD = {
    "early-final-spoils-nothing",
    "early-commit-has-no-effect",
    "unknown-model-refused",
    "lone-surrogates-outlived",
}
CODES = {"update-without-model-code", "unknown-model-code"}


def test_what_the_suite_finds(served: Served, tmp_path: Path) -> None:
    wanted = ALWAYS | (BARE if served.bare else set()) | (OLD if served.old else set())
    assert violated(served, tmp_path) == wanted
    if served.old:  # held to what came with later releases
        later = ("--realtime-server-version=0.33.0", "-k", "code")
        assert violated(served, tmp_path, *later) == CODES


def test_a_final_without_a_begin_ends_the_next_utterance(served: Served) -> None:
    with session(served) as live:
        assert answer(live, UPDATE, FINAL) is None
        say(live, BEGIN)
        assert final(live) == ""
        say(live, append(CLIP.audio.pcm), FINAL)
        assert answer(live) is None  # and from here on every text is one too late
        say(live, BEGIN)
        assert final(live) == CLIP.text


def test_metrics_count_the_open_sessions(served: Served) -> None:
    def opened() -> list[str]:
        lines = page(served, "/metrics").splitlines()
        name = "vllm:websocket_connections_active "
        return [line.removeprefix(name) for line in lines if line.startswith(name)]

    with session(served):
        assert opened() == ([] if served.old else ["1.0"])
    assert "process_start_time_seconds" in page(served, "/metrics")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_key(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEROP_KEY", KEY)
    with serving(version, "--api-key-env", "INTEROP_KEY") as served:
        told = (status(served), status(served, Authorization=f"Bearer {KEY}"))
        # The check of the old one trips over any WebSocket.
        assert told == ((500, 500) if served.old else (401, 101))
