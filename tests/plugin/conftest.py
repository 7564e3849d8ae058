"""What the user-level tests share: small projects to run, and servers to run against.

Where no latency is judged, audio is handed over at many times its pace and the final
comes soon. Where one is judged, it comes after 250 ms, and budgets are far from that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from xml.etree import ElementTree

import pytest
from servers import faking

from pytest_realtime_asr import audio, corpus
from pytest_realtime_asr.conformance import scheduler, selection
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.plugin import judging
from pytest_realtime_asr.plugin.options import OPTIONS
from pytest_realtime_asr.report import conformance, jsonl, listing, planning, summary
from pytest_realtime_asr.run import fakes, realtime

# A run in this process drops what it imported. Numpy cannot be imported twice, and of
# the rest the time is saved.
KEPT = (
    *(realtime, judging, jsonl, summary),
    *(scheduler, selection, conformance, listing, planning, fakes),
)

INI = """\
[pytest]
addopts = -p no:hypothesispytest
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 32
realtime_recover = 0
realtime_dialect = vllm
"""
CLIPS = ("turn-right", "open-door")  # the shortest ones
SOON = ("--final-delay", "20ms", "--word-delay", "10ms")
Faking = Callable[..., str]
Servers = Callable[..., FakeServer]


class Project:
    """A small project of a user, and runs of its tests against the shared server."""

    def __init__(self, pytester: pytest.Pytester, url: str) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.url = url
        (self.path / "pytest.ini").write_text(INI)

    def write(self, code: str, *, name: str = "test_it") -> None:
        """Write a module; what most tests need is imported in it."""
        text = f"import pytest\nfrom pytest_realtime_asr import Lost\n{code}"
        (self.path / f"{name}.py").write_text(text)

    def ini(self, line: str) -> None:
        """Add a line to the ini file."""
        with (self.path / "pytest.ini").open("a") as file:
            file.write(f"{line}\n")

    def run(
        self, *args: str, target: str | None = "", apart: bool = False
    ) -> pytest.RunResult:
        """Run pytest, ``apart`` in a process of its own.

        The target is the shared server unless another is given; ``None`` gives none.
        """
        words = [] if target is None else [f"--realtime-target={target or self.url}"]
        if apart:
            return self.pytester.runpytest_subprocess(*words, *args, timeout=60)
        return self.pytester.runpytest_inprocess("-p", "no:xdist", *words, *args)

    def rows(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        """The lines of a report; none where nothing was measured, and no file made."""
        if not (self.path / name).exists():
            return []
        return list(map(json.loads, (self.path / name).read_text().splitlines()))

    def properties(self, name: str = "out.xml") -> dict[str, dict[str, str]]:
        """The properties of each test case, by the test's name."""
        found: dict[str, dict[str, str]] = {}
        for case in ElementTree.parse(self.path / name).iter("testcase"):
            pairs = [
                (p.get("name", ""), p.get("value", "")) for p in case.iter("property")
            ]
            assert len(dict(pairs)) == len(pairs)
            found[case.get("name", "")] = dict(pairs)
        return found


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in OPTIONS:
        monkeypatch.delenv(option.env, raising=False)
    monkeypatch.delenv("REALTIME_API_KEY", raising=False)


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
    """A manifest of two very short sounds, for what needs no words."""
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

    Without arguments it is sound, and its final comes after 250 ms.
    """
    known: dict[tuple[str, ...], FakeServer] = {}
    with ExitStack() as stack:

        def start(*arguments: str) -> FakeServer:
            if arguments not in known:
                server = FakeServer(["--corpus", clips, *arguments])
                known[arguments] = stack.enter_context(server)
            return known[arguments]

        yield start


@pytest.fixture(scope="session")
def faulty() -> Iterator[Faking]:
    """Starts a fake with these faults, and gives its URL; equal ones are shared.

    It is on a thread of this process, where it is at once: no latency is judged of it.
    """
    known: dict[tuple[object, ...], str] = {}
    with ExitStack() as stack:

        def start(*faults: str, key: str = "") -> str:
            if (*faults, key) not in known:
                fake = faking(*faults, word_delay=0.01, key=key)
                known[*faults, key] = stack.enter_context(fake)[0]
            return known[*faults, key]

        yield start


@pytest.fixture(scope="session")
def server() -> Iterator[FakeServer]:
    """The sound server that all tests share; its final comes soon."""
    with FakeServer(["--corpus", "bundled:english", *SOON]) as server:
        yield server


@pytest.fixture
def project(pytester: pytest.Pytester, server: FakeServer) -> Project:
    return Project(pytester, server.url)
