"""The fake server in a process of its own: how it starts, answers and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.fake import process
from pytest_realtime_asr.fake.process import FakeError, FakeServer
from pytest_realtime_asr.run.fakes import FakeServers
from tests.support.servers import CLIP, plan

ENGLISH = ("--corpus", "bundled:english")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


def get(url: str) -> tuple[int, bytes]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_process(loop: Loop) -> None:
    fake = FakeServer(ENGLISH)
    assert fake.url.startswith("http://127.0.0.1:")
    assert get(f"{fake.url}/health")[0] == 200
    fake.stop()
    fake.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(fake.pid, 0)
    with pytest.raises(FakeError, match=r"no traces: it has ended with exit code 0$"):
        fake.traces()


@pytest.mark.slow
def test_process_with_a_version_and_variety(loop: Loop) -> None:
    given = ["--server-version", "9.9", "--variety", "1", "--final-delay", "0s"]
    with FakeServer([*ENGLISH, *given]) as fake:
        assert get(f"{fake.url}/version") == (200, b'{"version":"9.9"}')
        for _ in range(2):
            take = loop.run(
                run_utterance(Live(loop, plan(fake.url, model="scripted")), CLIP)
            )
            assert not take.lost, take.reason
        first, second = fake.traces()
    assert first.records[0].text != second.records[0].text
    with FakeServer([*ENGLISH, "--server-version", ""]) as fake:
        assert get(f"{fake.url}/version")[0] == 404


@pytest.mark.slow
def test_process_is_killed() -> None:
    with FakeServer(ENGLISH) as fake:
        fake.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(fake.pid, 0)
        with pytest.raises(FakeError, match=r"no traces: it has ended with signal 9$"):
            fake.violations()


@pytest.mark.slow
def test_process_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "ANSWERING", 0.1)
    with FakeServer(ENGLISH) as fake:
        os.kill(fake.pid, signal.SIGSTOP)
        with pytest.raises(FakeError, match=r"^the fake server sent no .*time"):
            fake.traces()
        os.kill(fake.pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("given", ["no-such.jsonl", Path("no-such.jsonl")])
def test_process_that_does_not_start(given: str | Path) -> None:
    servers = FakeServers()
    with pytest.raises(FakeError, match=r"^the fake server did not start: no-such\.js"):
        servers.start(corpus=given)


@pytest.mark.slow
def test_process_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOPPING", 0.2)
    fake = FakeServer(ENGLISH)
    os.kill(fake.pid, signal.SIGSTOP)
    fake.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(fake.pid, 0)


@pytest.mark.slow
def test_lifeline_ends_it_with_its_parent() -> None:
    parent = (
        "from pytest_realtime_asr.fake.process import FakeServer\n"
        "import os, time\n"
        f"fake = FakeServer({list(ENGLISH)!r})\n"
        "print(fake.pid, fake.url, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid, url = process.stdout.readline().split()
        assert get(f"{url}/health")[0] == 200
        process.kill()
    deadline = time.monotonic() + 10
    while _runs(int(pid)):
        assert time.monotonic() < deadline, "the server runs on after its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")  # an orphan may stay as a zombie in a container
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
