"""The output of an ASGI application is shown with the test that caused it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.support.project import Project, of_vllm

APPLICATION = '''
import json
import sys
import pytest

class WebSocketDisconnect(Exception):
    """As Starlette raises it when the client has left."""

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("it starts")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if ENDS:
            print("it ends")
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        body = b'{"data":[{"id":"stub"}]}'
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        await converse(receive, send)

async def converse(receive, send):
    async def say(**event):
        await send({"type": "websocket.send", "text": json.dumps(event)})

    await receive()
    await send({"type": "websocket.accept"})
    await say(type="session.created", id=str(id(receive)), created=1)
    while (message := await receive())["type"] != "websocket.disconnect":
        try:
            event = json.loads(message.get("text") or "")
        except ValueError:
            raise ArithmeticError("a frame without JSON")
        if event.get("final"):
            usage = dict(prompt_tokens=1, completion_tokens=0, total_tokens=1)
            await say(type="transcription.done", text="", usage=usage)
        elif event["type"] == "session.update":
            print("an update", event["model"], file=sys.stderr)
        else:
            await say(type="error", error="no", code="no")
    raise WebSocketDisconnect(message["code"])

@pytest.fixture(scope="session")
def realtime_target():
    return application
'''
TESTS = """
@pytest.mark.asyncio
async def test_sound(realtime):
    async with realtime.connect(configure=False) as session:
        await session.send_raw({"type": "session.update", "model": "sound"})
        await session.send_raw({"type": "none"})
        await session.expect("error")

@pytest.mark.asyncio
async def test_unsound(realtime):
    async with realtime.connect(configure=False) as session:
        await session.send_raw({"type": "session.update", "model": "unsound"})
        await session.send_raw("not JSON")
        await session.expect("error")

def test_other():
    assert False, "for another reason"
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> Project:
    """A project that needs no other server."""
    return Project(pytester, "")


def given(project: Project, *, ends: bool = False) -> None:
    code = APPLICATION.replace("ENDS", str(ends))
    (project.path / "conftest.py").write_text(code)
    project.write(TESTS)


def section(lines: list[str], test: str) -> list[str]:
    """The lines of the server's output in the failure of a test."""
    start = next(at for at, line in enumerate(lines) if f"_ {test} _" in line)
    rest = lines[start + 1 :]
    end = next(at for at, line in enumerate(rest) if line.startswith(("____", "====")))
    heads = [at for at, line in enumerate(rest[:end]) if "Captured server" in line]
    return rest[heads[0] : end] if heads else []


@of_vllm
def test_a_failure_shows_what_the_server_printed_in_its_test(project: Project) -> None:
    given(project)
    result = project.run("--realtime-rules=off", target=None)
    result.assert_outcomes(passed=1, failed=2)
    head, *printed = section(result.outlines, "test_unsound")
    assert "- Captured server output call -" in head
    assert printed[:2] == ["an update unsound", "Exception in ASGI application"]
    assert printed[-1] == "ArithmeticError: a frame without JSON"
    assert section(result.outlines, "test_other") == []
    told = result.stdout.str() + result.stderr.str()
    assert "an update sound" not in told  # the test passed
    assert "it starts" not in told
    assert "WebSocketDisconnect" not in told


@of_vllm
def test_junit_xml_has_the_output_of_the_server(project: Project) -> None:
    given(project)
    project.run("--realtime-rules=off", "--junitxml=out.xml", target=None)
    cases = {
        case.get("name"): [each.text or "" for each in case.iter("system-out")]
        for case in ElementTree.parse(project.path / "out.xml").iter("testcase")
    }
    (printed,) = cases["test_unsound"]
    assert "- Captured server output call -" in printed.partition("\n")[0]
    assert "ArithmeticError: a frame without JSON" in printed
    assert cases["test_sound"] == cases["test_other"] == []


@of_vllm
def test_nothing_follows_the_last_line_of_pytest(project: Project) -> None:
    given(project, ends=True)
    result = project.run("--realtime-rules=off", target=None)
    assert result.stderr.str() == ""
    assert "= 2 failed, 1 passed in " in result.outlines[-1]
    at = [place for place, line in enumerate(result.outlines) if line == "it ends"]
    (title,) = (result.outlines[place - 1] for place in at)
    assert "= realtime server output after the last test =" in title


@pytest.mark.slow
def test_workers_send_the_output_after_the_last_test(project: Project) -> None:
    given(project, ends=True)
    words = ("--realtime-rules=off", "-n", "2", "-p", "xdist")
    result = project.run(*words, target=None, apart=True)
    result.assert_outcomes(passed=1, failed=2)
    assert section(result.outlines, "test_unsound")[-1].startswith("ArithmeticError")
    assert "it ends" in result.outlines
    assert "passed in " in result.outlines[-1]
    assert result.stderr.str() == ""


def test_the_output_is_private_in_a_private_run(project: Project) -> None:
    given(project, ends=True)
    words = ("--realtime-rules=off", "--realtime-private")
    told = project.run(*words, target=None).stdout.str()
    assert "an update" not in told
    assert "it ends" not in told


@of_vllm
def test_a_violation_shows_what_its_own_session_printed(project: Project) -> None:
    """Sessions of many scenarios run at the same time."""
    given(project)
    words = (
        "--realtime-conformance",
        "-k",
        "bad-json or no-object",
        "--realtime-keep-going",
    )
    result = project.run(*words, target=None)
    result.assert_outcomes(failed=2)
    printed = section(result.outlines, "test_requirement[bad-json-refused]")
    assert printed[-1] == "ArithmeticError: a frame without JSON"
    printed = section(result.outlines, "test_requirement[no-object-refused]")
    assert printed[-1] == "AttributeError: 'list' object has no attribute 'get'"
    assert not any("ArithmeticError" in line for line in printed)


@of_vllm
def test_the_spoken_corpus_shows_what_its_sessions_printed(
    project: Project, clips: str
) -> None:
    given(project)
    words = ("--realtime-conformance", "-k", "spoken_corpus", "--realtime-keep-going")
    result = project.run(*words, f"--realtime-corpus={clips}", target=None)
    result.assert_outcomes(failed=1)
    assert "an update stub" in section(result.outlines, "test_spoken_corpus")
