"""Runs without pytest, and small servers for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import corpus
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.identity import RunIdentity, new_id
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from tests.support.servers import CLIP, CREATED, faking, plain

ENGLISH = corpus.load("bundled:english")
WARM = Corpus("warm", (CLIP,))
RUN = RunIdentity(new_id())
MODELS = b'{"data":[{"id":"fake"}]}'


def options(
    environment: Mapping[str, str] | None = None, **given: object
) -> MeasurementConfig:
    """A fast configuration of a known dialect, without a warm-up."""
    fast = {"pace": "8", "warmup": "0", "recover": "0", "dialect": "vllm", **given}
    return settings(
        lambda option: fast.get(option.name.replace("-", "_")),
        lambda option: None,
        environment or {},
    ).run


def with_options(
    config: MeasurementConfig, options: Mapping[str, object]
) -> MeasurementConfig:
    """The configuration with other session options."""
    return replace(config, session=replace(config.session, options=options))


Start = Callable[..., Run]


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes runs, and stops them at the end."""
    runs: list[Run] = []

    def make(
        given: MeasurementConfig | None = None, *, shared: Path | None = None
    ) -> Run:
        run = Run(given or options(), lambda: WARM, shared=shared)
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.stop()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with faking() as (url, _):
        yield url


def terms(run: Run) -> Terms:
    session = run.config.session
    return Terms(session.dialect, session.model, session.pace, session.chunk)


def realtime(run: Run, url: str) -> Realtime:
    return Realtime(run, run.servers.plan(url, terms(run), {}), terms(run))


class Site:
    """A server's HTTP side: the status of each ``/health``, and what was asked.

    Without a ``version`` it has no such route.
    """

    def __init__(self, *health: int, models: bytes = MODELS, version: str = "") -> None:
        self.health = list(health)
        self.models = models
        self.version = version
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Response | None:
        self.asked.append(request.path)
        if request.path == "/health":
            return plain(self.health.pop(0) if self.health else 200)
        if request.path == "/v1/models":
            return plain(200, self.models)
        if request.path == "/version":
            body = b'{"version":"%s"}' % self.version.encode()
            return plain(200, body) if self.version else plain(404)
        return None


class Talk:
    """A server's sessions: each answers its commit after the next of the delays."""

    def __init__(self, *delays: float) -> None:
        self.delays = delays
        self.sessions = 0

    async def __call__(self, connection: ServerConnection) -> None:
        delay = self.delays[min(self.sessions, len(self.delays) - 1)]
        self.sessions += 1
        await connection.send(CREATED)
        async for frame in connection:
            if '"final":true' in str(frame):
                if delay < 0:
                    await connection.close(1011, "no memory")
                    return
                await asyncio.sleep(delay)
                await connection.send('{"type":"transcription.done","text":"x"}')
