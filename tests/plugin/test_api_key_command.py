"""A key that a command prints, and that expires while the run goes on."""

from __future__ import annotations

import json
import shlex

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr.client import key_command
from tests.client.test_key_command import counting, failing
from tests.support.project import Project
from tests.support.servers import plain, serving

MODELS = b'{"data":[{"id":"m"}]}'
SENT = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_sent(realtime, corpus, number):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn"
    assert number < 2  # so that the trace of a session with the second key is kept
"""
DONE = (
    '{"type":"transcription.done","text":"turn","usage":'
    '{"prompt_tokens":1,"total_tokens":2,"completion_tokens":1}}'
)


def created(request: Request) -> str:
    """Return the greeting of a server that shows the key of its client."""
    id = f"sess-{request.headers['Authorization']}"
    return json.dumps({"type": "session.created", "id": id, "created": 1})


class Expiring:
    """A server whose key is another one after some sessions.

    ``by_event`` says that a wrong key is refused in the session, not by HTTP.
    """

    def __init__(self, *, sessions: int, by_event: bool) -> None:
        self.sessions = sessions
        self.by_event = by_event
        self.opened = 0

    def knows(self, request: Request) -> bool:
        number = 1 if self.opened < self.sessions else 2
        return request.headers["Authorization"] == f"Bearer key-number-{number}"

    def answer(self, request: Request) -> Response | None:
        if request.path.startswith("/v1/models"):
            return plain(200, MODELS)
        if not request.path.startswith("/v1/realtime"):
            return plain(404)
        if self.by_event or self.knows(request):
            return None
        return plain(401)

    async def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        if not self.knows(connection.request):
            error = {"type": "error", "error": "expired", "code": "invalid_api_key"}
            await connection.send(created(connection.request))
            await connection.send(json.dumps(error))
            return
        self.opened += 1
        await connection.send(created(connection.request))
        async for frame in connection:
            if '"final":true' in str(frame).replace(" ", ""):
                await connection.send(DONE)


@pytest.mark.parametrize("by_event", [False, True])
def test_a_key_that_expires_is_renewed(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    by_event: bool,
) -> None:
    monkeypatch.setattr(key_command, "PAUSE", 0.0)
    folder = tmp_path_factory.mktemp("key")
    project.write(SENT)
    server = Expiring(sessions=1, by_event=by_event)
    asked = f"--realtime-api-key-command={shlex.join(counting(folder))}"
    with serving(server.talk, answer=server.answer) as url:
        options = ("--realtime-dialect=vllm", "--realtime-rules=off", asked)
        result = project.run(*options, "--realtime-report=out.jsonl", target=url)
    result.assert_outcomes(passed=2, failed=1)
    assert server.opened == 3
    assert (folder / "count").read_text() == "2"
    traces = list((project.path / "realtime-traces").rglob("*.jsonl"))
    assert len(traces) == 1
    files = [path.read_text() for path in (project.path / "out.jsonl", *traces)]
    for key in ("key-number-1", "key-number-2"):
        assert not any(key in text for text in (*files, str(result.stdout)))


def test_a_command_that_fails_is_one_error(project: Project) -> None:
    project.write(SENT)
    asked = "--realtime-api-key-command=sh -c 'echo hush-hush; exit 7'"
    with serving(answer=lambda request: plain(200, MODELS)) as url:
        result = project.run("--realtime-dialect=vllm", asked, target=url)
    result.assert_outcomes(errors=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["realtime target: --realtime-api-key-command: the command sh ended with *"]
    )
    result.stdout.no_fnmatch_line("*hush-hush*exit code*")


def test_a_command_that_fails_runs_once(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("key")
    project.write(SENT)
    asked = f"--realtime-api-key-command={shlex.join(failing(folder))}"
    with serving(answer=lambda request: plain(200, MODELS)) as url:
        result = project.run("--realtime-dialect=vllm", asked, target=url)
    result.assert_outcomes(errors=1, skipped=2)
    assert (folder / "count").read_text() == "1"


@pytest.mark.parametrize("by_event", [False, True])
def test_a_session_says_why_the_key_was_not_renewed(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    by_event: bool,
) -> None:
    monkeypatch.setattr(key_command, "PAUSE", 0.0)
    folder = tmp_path_factory.mktemp("key")
    project.write(SENT)
    server = Expiring(sessions=1, by_event=by_event)
    asked = f"--realtime-api-key-command={shlex.join(failing(folder, later=True))}"
    with serving(server.talk, answer=server.answer) as url:
        options = ("--realtime-dialect=vllm", "--realtime-rules=off", asked)
        result = project.run(*options, target=url)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*the command python* ended with exit code 3*"])
    result.stdout.no_fnmatch_line("*key-number-[12]*")
