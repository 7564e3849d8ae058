"""If a server puts the API key into its frames, no output of a run has the key."""

from __future__ import annotations

import html
import json
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from websockets.asyncio.server import ServerConnection

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import Reaction, Request
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.server import Fake, ServerSide
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.text.secret_spellings import PART
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.project import Project
from tests.support.servers import plain, script, serving
from tests.support.servers import thread as on_a_thread
from tests.support.spellings import KEY, SPELLINGS

MARK = "PLANTED"


def in_json(text: str) -> str:
    """Return a text escaped for a JSON string, unless it is valid there already."""
    try:
        json.loads(f'"{text}"')
    except ValueError:
        return json.dumps(text)[1:-1]
    return text


# The longest ones are left to the tests of the removal itself.
PLANTED = {
    name: spell
    for name, spell in SPELLINGS.items()
    if len(spell(KEY)) < 130 or name in ("json-all", "html-hex")
}
EVERY = " ".join(in_json(spell(KEY)) for spell in PLANTED.values())
EVIL = "\\u001b[31m\\n::error::evil\\r##[error]evil \\u202e"
ESCAPED = re.compile(r"\\u00([0-9a-fA-F]{2})")
KEPT = {"type", "object", "role", "status", "format", "turn_detection"}


def planted(frame: str | bytes) -> str:
    """Return a frame with all spellings of the key after each free text in it."""

    def plant(value: Any, name: str = "") -> Any:
        if name in KEPT or name == "audio":
            return value
        if isinstance(value, dict):
            return {each: plant(inner, each) for each, inner in value.items()}
        if isinstance(value, list):
            return [plant(each) for each in value]
        return f"{value}{MARK}" if isinstance(value, str) else value

    value = plant(json.loads(frame)) | {f"note{MARK}": MARK}
    return json.dumps(value).replace(MARK, f" {EVERY} {EVIL} ")


class _Planting(ServerWrapper):
    """Sends the key in each field, in a type, split over frames, and in the close."""

    def open(self, session: str, created: int) -> Iterable[str | bytes]:
        yield from map(planted, self._server.open(session, created))
        yield json.dumps({"type": MARK}).replace(MARK, f"x {EVERY} {EVIL}")
        for part in (KEY[:9], KEY[9:20], KEY[20:]):
            yield json.dumps({"type": "parts", "part": part})

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return Reaction(close=1003, reason=f"\x1b[31m\n::error::{KEY}")
        reaction = self._server.hear(frame)
        return replace(reaction, replies=list(map(planted, reaction.replies)))

    def partial(self, added: str, item: int) -> Iterable[str | bytes]:
        return map(planted, self._server.partial(added, item))

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str | bytes]:
        return map(planted, self._server.final(text, usage, item))


class _Fake(Fake):
    def _server_side(self, request: Request) -> ServerSide:
        side = super()._server_side(request)
        return replace(side, server=_Planting(side.server, self._state))


TESTS = """
import logging
import threading
import warnings

@pytest.mark.latency_budget("final_from_commit", max="0.1ms")
@pytest.mark.wer_threshold(0.0)
def test_limits(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])

def test_asserts(realtime, corpus):
    take = realtime.transcribe(corpus["turn-right"])
    print(ascii(take.text).replace("##", ""))
    logging.getLogger("mine").error(ascii(take.partials[-1]).replace("##", ""))
    note = take.trace.records[0].text
    assert take.text == "turn right and stop", take.text

def test_raises(realtime_session):
    raise ValueError(realtime_session.id)

def test_native(realtime_session):
    pytest.fail(realtime_session.id, pytrace=False)

def test_skips(realtime_session):
    pytest.skip(realtime_session.id)

def test_property(realtime_session, record_property):
    record_property("mine", realtime_session.id)

@pytest.mark.realtime(rules="off")
def test_closes(realtime_session):
    realtime_session.send_raw(b"abc")
    realtime_session.expect("nothing", timeout=2)

def test_warns(realtime_session):
    warnings.warn(realtime_session.id)

def test_thread(realtime_session):
    thread = threading.Thread(target=lambda: int(realtime_session.id))
    thread.start()
    thread.join()

def test_suite(realtime_session, record_testsuite_property):
    record_testsuite_property("suite", realtime_session.id)

def test_xfails(realtime_session):
    pytest.xfail(realtime_session.id)

@pytest.mark.skipif(pytest.version_tuple < (9,), reason="no subtests")
def test_subtests(realtime_session, request):
    subtests = request.getfixturevalue("subtests")
    with subtests.test(realtime_session.id, a=realtime_session.id):
        assert not realtime_session.id

@pytest.mark.realtime(rules="off")
def test_parity(realtime, corpus):
    realtime.parity([corpus["turn-right"]], over="repeat")
"""


def hidden(texts: Iterable[bytes]) -> list[str]:
    """Return the parts and spellings of the key that occur in these texts."""
    parts = [KEY[at : at + PART] for at in range(len(KEY) - PART + 1)]
    found = []
    for data in texts:
        text = data.decode("utf-8", "replace")
        found += [name for name, spell in SPELLINGS.items() if spell(KEY) in text]
        plain = html.unescape(unquote(text))
        for _ in range(4):
            plain = re.sub(
                r"\\u00([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), plain
            )
            plain = plain.replace("\\/", "/").replace('\\"', '"').replace("\\\\", "\\")
        found += [part for part in parts if part in text or part in plain]
    return found


def left(project: Project, result: pytest.RunResult) -> list[bytes]:
    """Return all output of a run: its files, except Python code, and its streams."""
    files = [path for path in project.path.rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix not in (".py", ".pyc")]
    return [
        *(path.read_bytes() for path in kept),
        result.stdout.str().encode(),
        result.stderr.str().encode(),
    ]


ARGUMENTS = (
    *("--log-cli-level=WARNING", "--log-file=all.log", "-Wdefault"),
    *("-vv", "-l", "-rA", "--junitxml=out.xml", "-o", "junit_logging=all"),
    *("--realtime-timeout=2s", "--realtime-report=out.jsonl"),
    *("--realtime-report=conformance:suite.json", "--realtime-label=who=me"),
    "--realtime-trace-keep=all",
    *("--realtime-report=out.md", "--realtime-report=benchmark:bench.json"),
    *("--realtime-report=out.prom", "--realtime-report=out.csv"),
    "--realtime-report=out.html",
)


@contextmanager
def echoing(name: str) -> Iterator[str]:
    """Serve a dialect by a server that shows the key in all it says; yield its URL."""
    fake = _Fake(
        FakeConfig(
            dialects.load(name),
            models=(f"model {EVERY} \x1b[31m\n::error::evil",),
            version=f"1.0+{EVERY}\x1b[31m\n::error::evil",
            word_delay=0.0,
            final_delay=0.01,
        ),
        script(),
    )
    with on_a_thread(lambda: fake.listen(port=0)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vllm", "openai", "openai-beta", "sglang-omni"])
def test_no_output_contains_the_key(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("REALTIME_API_KEY", KEY)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "step.md"))
    project.write(TESTS)
    with echoing(name) as url:
        result = project.run(
            *ARGUMENTS,
            *("--realtime-conformance", f"--realtime-dialect={name}", "test_it.py"),
            *("-k", "test_it or no-secret or known-events or first-event"),
            target=url,
        )
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] >= 6, outcomes
    texts = left(project, result)
    assert any(b"[removed]" in text for text in texts)
    assert any(b'"vantage":"client"' in text for text in texts)
    assert len(project.rows()) > 3
    assert hidden(texts) == []
    result.stdout.fnmatch_lines(
        ["*no-secret* violated: a frame of the server shows the client's*"]
    )
    lines = result.stdout.str().splitlines() + (
        (project.path / "out.xml").read_text().splitlines()
    )
    commands = [line for line in lines if line.lstrip().startswith("::")]
    assert len(commands) == 10
    assert {re.match(r"::error file=test_it\.py,line=\d+,title=", c) for c in commands}
    assert not [line for line in lines if "##[" in line]
    for each in ("out.md", "out.prom", "bench.json", "step.md", "out.csv", "out.html"):
        assert (project.path / each).stat().st_size, each
    assert [line for line in lines if "\x1b" in line] == []


@contextmanager
def broken_status() -> Iterator[str]:
    """Run a server whose HTTP responses have the key as their status; yield its URL."""
    answer = f"HTTP/1.1 {KEY}\r\n::error::evil\r\n\r\n".encode("latin-1")

    def serve() -> None:
        for _ in range(20):
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_no_output_contains_the_key_of_a_broken_status_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REALTIME_API_KEY", KEY)
    project.write("def test_it(realtime): pass")
    with broken_status() as url:
        result = project.run(*ARGUMENTS, target=url)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*not an HTTP server*"])
    assert hidden(left(project, result)) == []
    lines = result.stdout.str().splitlines()
    assert not [line for line in lines if line.lstrip().startswith("::")]


def test_no_output_contains_the_key_of_a_greeting(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(f"{EVERY} \x1b[31m\n::error::evil")
        await connection.close(4000, f"\n::error::{KEY}")

    monkeypatch.setenv("REALTIME_API_KEY", KEY)
    project.write("def test_it(realtime): pass")
    with serving(talk, answer=lambda request: _page(request.path)) as url:
        result = project.run(*ARGUMENTS, "--realtime-dialect=auto", target=url)
    result.assert_outcomes(errors=1)
    assert hidden(left(project, result)) == []
    assert "\x1b" not in result.stdout.str()


def _page(path: str) -> Any:
    return None if "realtime" in path else plain(404)
