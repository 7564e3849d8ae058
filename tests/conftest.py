"""Fixtures of all tests: event loops, small projects, and servers to run against."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import pytest_realtime_asr as package
from pytest_realtime_asr import audio, corpus, dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.plugin.options import OPTIONS
from tests.support import example_dialect
from tests.support.pages import chromium
from tests.support.project import (
    CLIPS,
    DIALECT,
    SOON,
    Faking,
    Project,
    Servers,
    fake_server,
)
from tests.support.runs import start, url
from tests.support.servers import faking

__all__ = ["start", "url"]  # fixtures

# A run in this process drops each module that it was the first to import. Later tests
# would import it anew, with other classes than those of the objects made before; numpy
# cannot even be imported twice.
for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    if not module.name.rpartition(".")[2].startswith(("__main__", "test_")):
        importlib.import_module(module.name)

# What CI services set.
SERVICES = (
    *("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"),
    *("CI_PROJECT_DIR", "WORKSPACE"),
)

# On a busy machine, the time that an example takes says nothing about the test.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """An event loop on a thread of its own, stopped at the end of the module."""
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window; the test is skipped where there is none.

    It ends with the module: while Playwright runs, no event loop can start here.
    """
    with chromium() as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def _environment() -> Iterator[None]:
    """Remove from the environment what changes the output of the plugin and pytest."""
    with pytest.MonkeyPatch.context() as patch:
        for option in OPTIONS:
            patch.delenv(option.env, raising=False)
        patch.delenv("REALTIME_API_KEY", raising=False)
        # With these, pytest shortens no summary, and the plugin writes for a service.
        for name in (*("CI", "BUILD_NUMBER"), *SERVICES):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A manifest of the shortest clips."""
    folder = tmp_path_factory.mktemp("clips")
    known = corpus.load("bundled:english")
    rows = []
    for each in map(known.__getitem__, CLIPS):
        audio.write(folder / f"{each.id}.wav", each.audio)
        rows.append({"id": each.id, "audio_filepath": f"{each.id}.wav"})
        rows[-1]["text"] = each.text
    path = folder / "clips.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="session")
def bits(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A manifest of two very short sounds, for tests that need no words."""
    path = tmp_path_factory.mktemp("bits") / "bits.jsonl"
    audio.write(path.with_name("bit.wav"), audio.silence(0.1))
    rows = [
        {"id": id, "audio_filepath": "bit.wav", "text": ""} for id in ("bit", "bob")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="session")
def servers(clips: str) -> Iterator[Servers]:
    """Starts a fake server that knows the shortest clips; equal ones are shared.

    Without arguments it is correct, and its final comes after 250 ms.
    """
    known: dict[tuple[str, ...], FakeServer] = {}
    with ExitStack() as stack:

        def start(*arguments: str) -> FakeServer:
            if arguments not in known:
                server = fake_server("--corpus", clips, *arguments)
                known[arguments] = stack.enter_context(server)
            return known[arguments]

        yield start


@pytest.fixture(scope="session")
def faulty() -> Iterator[Faking]:
    """Starts a fake with these faults, and gives its URL; equal ones are shared.

    It runs on a thread of this process, so it starts at once; tests must not judge
    latencies with it.
    """
    known: dict[tuple[object, ...], str] = {}
    dialect = dialects.load(DIALECT)
    with ExitStack() as stack:

        def start(*faults: str, key: str = "") -> str:
            if (*faults, key) not in known:
                fake = faking(*faults, word_delay=0.01, key=key, dialect=dialect)
                known[*faults, key] = stack.enter_context(fake)[0]
            return known[*faults, key]

        yield start


@pytest.fixture(scope="session")
def server() -> Iterator[FakeServer]:
    """The correct server that all tests share; its finals have a short delay."""
    with fake_server("--corpus", "bundled:english", *SOON) as server:
        yield server


@pytest.fixture
def project(pytester: pytest.Pytester, server: FakeServer) -> Project:
    return Project(pytester, server.url)


@pytest.fixture(scope="session")
def steno_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the dialect ``steno`` is installed."""
    return example_dialect.install(tmp_path_factory.mktemp("steno"))


@pytest.fixture
def steno(steno_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the dialect ``steno`` for processes that are started from now on."""
    monkeypatch.setenv("PYTHONPATH", example_dialect.search_path(steno_site))
