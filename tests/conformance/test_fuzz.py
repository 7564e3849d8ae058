"""Random scripts, as Hypothesis generates them."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from pytest_realtime_asr.conformance.grammar import grammar_of
from pytest_realtime_asr.conformance.random_script import (
    Await,
    Pause,
    frames,
)
from tests.support.random_scripts import (
    BEGUN,
    ENDED,
    GRAMMAR,
    SET_UP,
    generated,
)
from tests.support.servers import VLLM, faking, plan
from tests.support.sessions import (
    APPEND,
    BEGIN,
    FINISH,
    UPDATE,
)

INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 8
"""


def test_a_seed_gives_the_same_scripts() -> None:
    assert generated(7) == generated("7") == generated(7)
    assert generated(7) != generated(8)


@pytest.mark.slow
def test_a_seed_means_the_same_scripts_in_each_project(
    pytester: pytest.Pytester,
) -> None:
    # Hypothesis prefers the constants of loaded modules of the project for integers.
    pytester.makepyfile(project=f"NUMBERS = {list(range(200, 1100))}")
    pytester.makepyfile(
        generate="""
        import hashlib, sys
        from pytest_realtime_asr.conformance import fuzz
        from pytest_realtime_asr.conformance.grammar import grammar_of
        from tests.support.servers import plan

        grammar = grammar_of(plan("http://127.0.0.1:1"))
        scripts = fuzz.generate(grammar, bytes(64000), seed=1, count=20)
        print(hashlib.sha256(repr(scripts).encode()).hexdigest())
        """
    )
    digests = {
        pytester.run(sys.executable, "-c", f"{first}import generate").stdout.str()
        for first in ("", "import project; ")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64


def test_scripts_contain_all_kinds_of_steps() -> None:
    scripts = [script for seed in range(3) for script in generated(seed)]
    sent = [step for script in scripts for step in frames(script)]
    sizes = {len(step.frame) for step in sent if '"AAA' in str(step.frame)}
    assert len(sizes) > 20
    assert any(isinstance(step.frame, bytes) for step in sent)
    assert any(step.speech for step in sent)
    misuses = {frame for misuse in VLLM.misuses for frame in misuse.frames}
    foreign = {step.frame for step in sent if step.foreign}
    assert len(foreign & misuses) > 20
    assert len(foreign - misuses) > 20
    assert {Pause, Await} < {type(step) for script in scripts for step in script}
    for script in scripts:
        # Each ends with a whole utterance.
        *_, end, set_up, begin, audio, finish = script
        assert (end, set_up, begin, finish) == (Await(), SET_UP, BEGUN, ENDED)
        assert GRAMMAR.caller.append(bytes(16_000)).decode() == getattr(
            audio, "frame", ""
        )
    # Legal and just-illegal sequences: a commit without a start, and two starts.
    said = ["".join(map(str, (step.frame for step in frames(s)))) for s in scripts]
    assert any(
        f"{UPDATE[:-4]}" in text and BEGIN + APPEND[:20] in text for text in said
    )
    assert any(f'"fake"}}{FINISH}' in text for text in said)
    assert any(FINISH + FINISH in text for text in said)
    assert any(BEGIN + BEGIN in text for text in said)


def test_a_dialect_without_misuses_has_scripts_too() -> None:
    class Kind_(type(VLLM)):  # type: ignore[misc]
        misuses = ()

    words = grammar_of(replace(plan("http://127.0.0.1:1"), dialect=Kind_()))
    assert generated(1, 5, words)


@pytest.mark.slow
def test_nothing_is_left_on_disk(pytester: pytest.Pytester) -> None:
    # Hypothesis would read and cache the constants of this module.
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(test_own="NUMBER = 1234\ndef test_self(): pass")
    with faking(final_delay=0.005) as (url, _):
        run = pytester.runpytest_subprocess(
            *("-p", "no:cacheprovider", "-W", "error", "--realtime-fuzz-seed=5"),
            *(f"--realtime-target={url}", "--realtime-conformance"),
            *("-k", "random-sessions or self", "test_own.py"),
            timeout=60,
        )
    run.assert_outcomes(passed=2, deselected=len(VLLM.requirements) - 3)
    assert not (pytester.path / ".hypothesis").exists()
