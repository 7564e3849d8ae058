"""Scripts of random sessions, and the settings in which tests execute them."""

from __future__ import annotations

from typing import Any

from pytest_realtime_asr import corpus
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.conformance import clips, fuzz
from pytest_realtime_asr.conformance.grammar import Grammar, grammar_of
from pytest_realtime_asr.conformance.random_script import (
    Script,
    Send,
)
from pytest_realtime_asr.conformance.scenario_run import FUZZ, RunConfig
from pytest_realtime_asr.dialects import Dialect
from tests.support.servers import CLIP, VLLM, plan
from tests.support.sessions import (
    APPEND,
    BEGIN,
    FINISH,
    NO_JSON,
)

SPOKEN = clips.choose(corpus.load("bundled:english"))
GRAMMAR = grammar_of(plan("http://127.0.0.1:1"))
SET_UP = Send(GRAMMAR.configure[0])
BEGUN, AUDIO, ENDED = Send(BEGIN), Send(APPEND), Send(FINISH)
BAD = Send(NO_JSON, foreign=True)


def run_config(
    loop: Loop, url: str, *, dialect: Dialect = VLLM, **changes: Any
) -> RunConfig:
    """Return how scenarios run on the server of a dialect at this URL."""
    access = Access(target.parse(url, path=dialect.path))
    how = plan(url, dialect=dialect, access=access, rules=dialect.requirements)
    return RunConfig(loop, how, SPOKEN, **changes)


def generated(
    seed: int | str,
    count: int = FUZZ,
    grammar: Grammar = GRAMMAR,
    pcm: bytes = CLIP.audio.pcm,
) -> tuple[Script, ...]:
    """Return the scripts of a seed, which send parts of some audio."""
    return fuzz.generate(grammar, pcm, seed=seed, count=count)
