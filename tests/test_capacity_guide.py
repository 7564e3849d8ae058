"""The tests of the guide on capacity run, with shorter levels and fewer streams."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_realtime_asr import Utterance
from pytest_realtime_asr.corpus import load, nemo
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guide/capacity.md").read_text()
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SHORTER = {  # the arguments of the page, and those of these tests
    "at_least=40": "at_least=4",
    "between=(8, 120)": "between=(4, 4)",
    'confirm="5min"': 'confirm="6s"',
    'hold="60s"': 'hold="3s"',
    'max_time="30min"': 'max_time="2min"',
    'p95="800ms"': 'p50="800ms"',  # fewer sessions prove a median
    'ramp="10s"': 'ramp="1s"',
}
CONFTEST = """
import os, signal
import pytest
from pytest_realtime_asr import FakeServer

@pytest.fixture
def realtime_target(request):
    with FakeServer(["--corpus", "clips/manifest.jsonl"]) as fake:
        request.config.fake = fake
        yield fake.url

@pytest.fixture
def stop_server(request, realtime_target):
    return lambda: os.kill(request.config.fake.pid, signal.SIGTERM)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a fake server and eight clips of one word."""
    folder = Path(pytester.mkdir("clips"))
    words = []
    for each in load("bundled:english").sample(8, seed=1):
        start = each.words[0].start
        cut = each.audio.cut(start, start + 0.4)
        words.append(Utterance(each.id, each.words[0].text, cut, language="en"))
    nemo.write(folder, words)
    corpus = folder / nemo.NAME
    pytester.makeini(f"[pytest]\nrealtime_dialect = vllm\nrealtime_corpus = {corpus}\n")
    pytester.makeconftest(CONFTEST.replace("clips/manifest.jsonl", str(corpus)))
    return pytester


def shortened(block: str) -> str:
    """A block of the page with the arguments of these tests."""
    for long, short in SHORTER.items():
        block = block.replace(long, short)
    return block


def test_the_page_has_the_arguments_that_are_shortened() -> None:
    assert [each for each in SHORTER if each not in PAGE] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_test_of_the_page_passes(number: int, project: pytest.Pytester) -> None:
    project.makepyfile(shortened(BLOCKS[number]))
    result = project.runpytest_subprocess("-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
