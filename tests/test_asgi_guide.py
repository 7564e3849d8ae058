"""The servers of the guide on ASGI applications are complete, and satisfy the suite."""

from __future__ import annotations

import json
import re

import pytest

from pytest_realtime_asr.corpus import load
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guide/asgi.md").read_text()
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SESSION = "examples/asgi_server/session.py"
# Undecided if a busy machine sends the audio late
TIMED = {"keeps-up", "no-stall", "text-while-speaking"}
INI = """\
[pytest]
addopts = -p no:hypothesispytest
pythonpath = .
realtime_dialect = vllm
realtime_warmup = 0
"""


def block(word: str) -> str:
    """The only block of the page that contains this word."""
    (found,) = (text for text in BLOCKS if word in text)
    return found


@pytest.fixture
def server(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with the server of the page, but for its application."""
    pytester.makeini(INI)
    pytester.makepyfile(session=block("class Session"))
    pytester.makeconftest(block("def realtime_target"))
    return pytester


def test_the_protocol_is_that_of_the_example() -> None:
    assert block("class Session") == (ROOT / SESSION).read_text()


def test_the_stub_gives_the_text_of_a_clip() -> None:
    names: dict[str, object] = {}
    exec(block("def transcribe"), names)
    clip = load("bundled:english")["turn-right"]
    pcm = clip.audio.resample(24_000).pcm
    chunks = [pcm[at : at + 4800] for at in range(0, len(pcm), 4800)]
    transcribe: object = names["transcribe"]
    assert callable(transcribe)
    assert "".join(transcribe(chunks, 24_000)) == clip.text


@pytest.mark.slow
@pytest.mark.parametrize("application", ["FastAPI()", "Starlette("])
def test_a_server_of_the_guide_gives_texts(
    application: str, server: pytest.Pytester
) -> None:
    server.makepyfile(fastapi_app=block(application))
    names = "text-of-speech or text-while-speaking or deltas-add-up or bad-json"
    words = ("--realtime-conformance", "--realtime-pace=8", "-W", "error", "-k", names)
    result = server.runpytest_subprocess(*words)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["4 requirements: 4 satisfied"])
    assert result.stderr.str() == ""


@pytest.mark.slow
def test_the_suite_decides_every_requirement_on_texts(server: pytest.Pytester) -> None:
    """What is undecided is what the page names, and what a busy machine leaves open."""
    server.makepyfile(fastapi_app=block("FastAPI()"))
    words = ("--realtime-conformance", "--realtime-pace=16")
    result = server.runpytest_subprocess(
        *words, "--realtime-report=conformance:out.json"
    )
    assert result.ret == 0
    rows = json.loads((server.path / "out.json").read_text())["requirements"]
    undecided = {row["id"] for row in rows if row["status"] != "satisfied"}
    named = set(re.findall(r"\(`([a-z-]+)`\)", PAGE))
    assert len(named) == 4
    assert named <= undecided <= named | TIMED
