"""The same outcomes in every mode in which a project can run its tests."""

from __future__ import annotations

import pytest

from tests.support.project import Project

PLAIN = """
def test_right(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn right and stop"

def test_wrong(realtime, corpus):
    assert realtime.transcribe(corpus["turn-right"]).text == "turn left"

def test_session(realtime_session, corpus):
    assert realtime_session.transcribe(corpus["open-door"]).text

@pytest.mark.wer_threshold(0)
def test_connect(realtime, corpus):
    with realtime.connect() as session:
        session.transcribe(corpus["turn-right"])

@pytest.mark.wer_threshold(0)
def test_nothing(realtime):
    pass
"""
AWAITED = """
{mark}
async def test_right_awaited(realtime, corpus):
    take = await realtime.aio.transcribe(corpus["turn-right"])
    assert take.text == "turn right and stop"

{mark}
async def test_wrong_awaited(realtime_session, corpus):
    take = await realtime_session.transcribe(corpus["turn-right"])
    assert take.text == "turn left"

{mark}
@pytest.mark.wer_threshold(0)
async def test_connect_awaited(realtime, corpus):
    async with realtime.connect() as session:
        await session.transcribe(corpus["turn-right"])
"""
ANYIO = """
@pytest.fixture
def anyio_backend():
    return "{backend}"
"""


def outcomes(result: pytest.RunResult, *, passed: int, failed: int) -> None:
    result.assert_outcomes(passed=passed, failed=failed)
    result.stdout.fnmatch_lines("*no session was judged: nothing was measured")


@pytest.mark.parametrize(
    ("mode", "mark", "apart"),
    [
        ("strict", "@pytest.mark.asyncio", False),
        pytest.param("auto", "", True, marks=pytest.mark.slow),  # a process of its own
    ],
)
def test_asyncio(project: Project, mode: str, mark: str, apart: bool) -> None:
    project.write(PLAIN + AWAITED.format(mark=mark))
    result = project.run(f"--asyncio-mode={mode}", "-Werror", apart=apart)
    outcomes(result, passed=5, failed=3)


@pytest.mark.slow
def test_without_asyncio(project: Project) -> None:
    project.write(PLAIN)
    (project.path / "pytest.ini").write_text(
        "[pytest]\nrealtime_pace = 32\nrealtime_warmup = 0\n"
    )
    arguments = ("-Werror", "-p", "no:asyncio")
    outcomes(project.run(*arguments, apart=True), passed=3, failed=2)


@pytest.mark.slow
def test_anyio(project: Project) -> None:
    mark = "@pytest.mark.anyio"
    project.write(ANYIO.format(backend="asyncio") + PLAIN + AWAITED.format(mark=mark))
    result = project.run("-p", "no:asyncio", apart=True)
    outcomes(result, passed=5, failed=3)


def test_trio_gets_a_message_that_says_what_to_do(project: Project) -> None:
    project.write(
        ANYIO.format(backend="trio")
        + """
@pytest.mark.anyio
async def test_awaited(realtime_session, corpus):
    await realtime_session.transcribe(corpus["turn-right"])

@pytest.mark.anyio
async def test_in_a_thread(realtime, corpus):
    import trio

    def speak():
        with realtime.connect() as session:
            return session.transcribe(corpus["turn-right"])

    assert (await trio.to_thread.run_sync(speak)).text
"""
    )
    result = project.run("-p", "no:asyncio")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines("*with trio, use the blocking `with realtime*")


@pytest.mark.slow
def test_a_blocked_test_loop_does_not_change_the_latencies(project: Project) -> None:
    project.write(
        """
import asyncio, time

@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("final_from_commit", max="1s")
@pytest.mark.asyncio
async def test_it(realtime_session, corpus):
    speaking = asyncio.create_task(realtime_session.transcribe(corpus["turn-right"]))
    await asyncio.sleep(0.3)
    time.sleep(3)
    await speaking
"""
    )
    project.run().assert_outcomes(passed=1)
