"""A small project of a user, and runs of its tests against a shared server.

Where no latency is judged, audio is sent at many times its pace and the final comes
soon. Where one is judged, it comes after 250 ms, and budgets are far from that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.requirements.capability import Capability

# Most tests of the plugin do not depend on the dialect; ``nox -s dialects`` runs them
# with the other dialects.
DIALECT = os.environ.get("TESTS_DIALECT", "vllm")
of_vllm = pytest.mark.skipif(
    DIALECT != "vllm",
    reason="names a requirement, a fault, a path, a model or a frame of vllm",
)
with_several_utterances = pytest.mark.skipif(
    Capability.SEVERAL_UTTERANCES not in dialects.load(DIALECT).traits.capabilities,
    reason="has a session of several utterances",
)
INI = f"""\
[pytest]
addopts = -p no:hypothesispytest
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 32
realtime_recover = 0
realtime_dialect = {DIALECT}
"""
CLIPS = ("turn-right", "open-door")  # the shortest ones
SOON = ("--final-delay", "20ms", "--word-delay", "10ms")
Faking = Callable[..., str]
Servers = Callable[..., FakeServer]


def fake_server(*arguments: str) -> FakeServer:
    """Return a fake server of the dialect of the tests."""
    return FakeServer(arguments, dialect=DIALECT)


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
        """The utterances of a report; none where nothing was measured."""
        return [row for row in self.lines(name) if row["kind"] == "utterance"]

    def lines(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        """The lines of a report; none where nothing was measured, and no file made."""
        if not (self.path / name).exists():
            return []
        return list(map(json.loads, (self.path / name).read_text().splitlines()))

    def whole_lines(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        """The lines of a report that another process is writing."""
        if not (self.path / name).exists():
            return []
        text = (self.path / name).read_text()
        return list(map(json.loads, text[: text.rfind("\n") + 1].splitlines()))

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
