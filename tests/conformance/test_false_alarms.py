"""Random sessions on the correct fake server of each dialect raise no alarm.

``RANDOM_SESSIONS=1000 pytest -m slow tests/conformance/test_false_alarms.py`` plays a
thousand of them with each dialect, twice: about seven minutes for a dialect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.conformance.grammar import grammar_of
from pytest_realtime_asr.conformance.random_session import execute
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.requirements.violations import observe
from tests.support.random_scripts import generated, run_config
from tests.support.servers import CLIP, faking

pytestmark = pytest.mark.slow

SESSIONS = int(os.environ.get("RANDOM_SESSIONS", "20"))
NAMES = (
    *("vllm", "openai", "openai:sglang", "deepgram", "deepgram:whisperlivekit-listen"),
    *("sglang-omni", "vosk", "vosk:vosk-reset"),
)


def alarms(loop: Loop, name: str, variety: int | None) -> Iterator[str]:
    """Yield each finding of a random session and each violation in its frames.

    A violated INFO requirement is no alarm: a correct server may violate it.
    """
    dialect = dialects.load(name)
    with faking(dialect=dialect, final_delay=0.005, variety=variety) as (url, _):
        config = run_config(loop, url, dialect=dialect)
        grammar = grammar_of(config.plan)
        pcm = CLIP.audio.resample(config.plan.caller.rate).pcm
        for script in generated(f"alarms of {name}", SESSIONS, grammar, pcm):
            played = loop.run(execute(config, grammar, script, limit=15.0))
            if played.problem is not None:
                yield f"{played.problem} after {script}"
            for part in played.evidence.parts:
                for violation in observe(dialect.requirements, part):
                    if violation.requirement.level is not Level.INFO:
                        yield str(violation)


@pytest.mark.parametrize("variety", [None, 7])
@pytest.mark.parametrize("name", NAMES)
def test_random_sessions_on_a_correct_server_raise_no_alarm(
    loop: Loop, name: str, variety: int | None
) -> None:
    assert list(alarms(loop, name, variety)) == []
