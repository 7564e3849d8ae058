"""Fake servers that a run starts: replay of traces."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.run.fakes import FakeServers
from tests.support.recordings import Sent, done, recorded
from tests.support.servers import CLIP, plan

TRACE = recorded(CLIP, [Sent(done("recorded words"), 10)])


@pytest.fixture
def servers() -> Iterator[FakeServers]:
    servers = FakeServers()
    yield servers
    servers.stop()


def models(url: str) -> list[str]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{url}/v1/models", timeout=10) as answer:
        return [each["id"] for each in json.load(answer)["data"]]


@pytest.mark.slow
def test_replays_a_trace(loop: Loop, servers: FakeServers) -> None:
    server = servers.replay(TRACE)
    assert models(server.url) == ["replayed"]
    take = loop.run(run_utterance(Live(loop, plan(server.url)), CLIP))
    assert take.text == "recorded words"
    assert server.violations() == ()
    again = servers.replay(take, timing="none")  # a replay of the replay
    other = loop.run(run_utterance(Live(loop, plan(again.url)), CLIP))
    assert other.text == "recorded words"


def test_damaged_traces_start_no_server(servers: FakeServers, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(TRACE.dumps()[:-30])
    with pytest.raises(ValueError, match=r"a\.jsonl: line"):
        servers.replay(path)
    with pytest.raises(ValueError, match="fast"):
        servers.replay(TRACE, timing="fast")
