"""Random sessions: what is written, how it is played, and what is found by it.

Servers answer here within milliseconds. Where one is broken, half a second is waited
for what does not come; where one is sound, the five seconds of every run.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from websockets.http11 import Request, Response

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.conformance import clips, fuzz
from pytest_realtime_asr.conformance.frame_mutations import mutations
from pytest_realtime_asr.conformance.grammar import Grammar, grammar_of
from pytest_realtime_asr.conformance.random_script import (
    REFUSED,
    Await,
    Pause,
    Script,
    Send,
    frames,
    program,
)
from pytest_realtime_asr.conformance.random_session import (
    FRESH,
    ROLE,
    ProblemKind,
    execute,
    judge,
)
from pytest_realtime_asr.conformance.results import Status
from pytest_realtime_asr.conformance.results import judge as judge_requirement
from pytest_realtime_asr.conformance.scenario_run import FUZZ, RateLimited, RunConfig
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import Bounds, Scheduler
from pytest_realtime_asr.conformance.shrinking import search
from pytest_realtime_asr.dialects import Dialect, Reaction
from pytest_realtime_asr.fake.faults import registry
from pytest_realtime_asr.fake.faults.registry import FAULTS, fault
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.trace.records import Ending, Record, Sender, Trace
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.servers import CLIP, CREATED, VLLM, faking, plain, plan, serving
from tests.support.sessions import (
    APPEND,
    BEGIN,
    FINISH,
    NO_JSON,
    UPDATE,
    done,
    error,
    mixed,
    part,
)
from tests.support.sessions import trace_of as traced

BRIEF = 0.5  # s that is waited for what does not come
SPOKEN = clips.choose(corpus.load("bundled:english"))
WORDS = grammar_of(plan("http://127.0.0.1:1"))
SET_UP = Send(WORDS.configure[0])
BEGUN, SOUND, ENDED = Send(BEGIN), Send(APPEND), Send(FINISH)
BAD = Send(NO_JSON, foreign=True)
INI = """
[pytest]
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 8
"""

pytestmark = pytest.mark.slow


def config(loop: Loop, url: str, **changes: Any) -> RunConfig:
    return RunConfig(loop, plan(url), SPOKEN, **changes)


def found(
    loop: Loop,
    url: str,
    *,
    seed: int | str | None = 1,
    sessions: int = 60,
    limit: float = BRIEF,
    shrinking: float = 20.0,
    model: str = "fake",
) -> Evidence:
    """What a search gives."""
    there = config(loop, url, fuzz=sessions, seed=seed)
    there = replace(there, plan=replace(there.plan, model=model))
    return loop.run(search(there, SPOKEN.first, limit=limit, shrinking=shrinking))


def written(
    seed: int | str, count: int = FUZZ, words: Grammar = WORDS
) -> tuple[Script, ...]:
    return fuzz.generate(words, CLIP.audio.pcm, seed=seed, count=count)


# Scripts


def test_a_program_does_what_is_in_the_script() -> None:
    pcm = CLIP.audio.pcm
    script = (
        Send('{"type":"x"}'),
        Send(f'{{"a":"{"A" * 300}B{"[" * 99}","b":"\\n\\u00fc\'"}}'),
        Send("AAB=" * 20 + "".join(map(chr, range(300, 500)))),
        Send(""),
        Send(b""),
        Send(b"\0\1" * 800 + b'"ends'),
        Send(WORDS.caller.append(pcm[640:6400]).decode(), speech=(640, 6400)),
        Send("\udfff"),
    )
    sent: list[str | bytes] = []
    done: list[object] = []

    class Session:
        send_raw = staticmethod(sent.append)

        def expect(self, kind: str, *, timeout: float) -> None:
            done.append((kind, timeout))

        def __enter__(self) -> Session:
            return self

        def __exit__(self, *_: object) -> None:
            done.append("closed")

    class Realtime:
        def connect(self, *, configure: bool) -> Session:
            assert not configure
            return Session()

    text = program(
        (Pause(0.001), *script, Await(), Await("transcription.done")),
        speech=CLIP,
        about="what was found " * 20,
        limit=5.0,
        then=["done.append(corpus)"],
    )
    assert max(map(len, text.splitlines())) <= 90
    names: dict[str, Any] = {"done": done}
    exec(text, names)
    names["test_random_session"](Realtime(), {CLIP.id: CLIP})
    assert sent == [step.frame for step in script]
    assert done == [("transcription.done", 5.0), {CLIP.id: CLIP}, "closed"]
    waits = [line.strip() for line in text.splitlines() if "sleep" in line]
    assert waits == ["time.sleep(0.001)", f"time.sleep({REFUSED})"]
    assert len(text) < 4000  # what is repeated is not written out, nor is speech


def test_a_program_imports_only_what_it_needs() -> None:
    script = (Send("a"),)
    text = program(script, speech=CLIP, about="it", limit=1.0, then=())
    assert text == (
        "# it\n"
        "def test_random_session(realtime, corpus):\n"
        "    with realtime.connect(configure=False) as session:\n"
        '        session.send_raw("a")\n'
    )
    assert "pass\n" in program((), speech=CLIP, about="it", limit=1.0, then=())


def test_speech_that_a_dialect_writes_otherwise_is_written_out() -> None:
    frame = CLIP.audio.pcm[:40].hex()
    text = program(
        (Send(frame, speech=(0, 40)),), speech=CLIP, about="it", limit=1.0, then=()
    )
    assert frame[:60] in text


# Mutations


@pytest.mark.parametrize("frame", [UPDATE, BEGIN, APPEND, FINISH])
def test_each_mutation_has_one_thing_wrong(frame: str) -> None:
    found = mutations(frame)
    flat = [each for kind in found for each in kind]
    assert len(found) == 6
    assert all(found)
    assert frame not in flat
    assert len(set(flat)) == len(flat)
    assert frame.encode() in flat
    missing, changed, twice = found[3:]
    whole = json.loads(frame)
    assert [len(json.loads(each)) for each in missing] == [len(whole) - 1] * len(whole)
    for each in changed:
        other = json.loads(each)
        assert [name for name in whole if other[name] != whole[name]]
        assert other.keys() == whole.keys()
    for each in map(str, twice):
        pairs = json.loads(each, object_pairs_hook=list)
        assert len(pairs) == len(whole) + 1
        assert dict(pairs).keys() == whole.keys()


@pytest.mark.parametrize("frame", ["done", "[1]", "{}", "5"])
def test_frames_of_other_forms_are_mutated_too(frame: str) -> None:
    flat = [each for kind in mutations(frame) for each in kind]
    assert frame.encode() in flat
    assert frame not in flat


# What the server owes


def records(dialect: Dialect, frames: Iterable[str]) -> Trace:
    """A trace of these frames; those that a client may send are ours."""
    ours = set(dialect.table[Sender.CLIENT]["idle"])
    return traced(
        Record(
            Sender.CLIENT if json.loads(text)["type"] in ours else Sender.SERVER,
            at,
            text,
        )
        for at, text in enumerate(frames)
    )


def test_the_grammar_is_read_from_the_table() -> None:
    assert WORDS.owing == {"finishing"}
    assert WORDS.ends[0] == "transcription.done"
    assert WORDS.fresh == {"fresh"}
    assert WORDS.audio == "input_audio_buffer.append"
    assert list(WORDS.moves.values()) == [SET_UP.frame, BEGIN, FINISH]


def test_so_it_is_where_utterances_are_items() -> None:
    """How many items are in transcription is not counted: the last one is owed."""
    dialect = dialects.load("openai")
    words = grammar_of(replace(plan("http://127.0.0.1:1"), dialect=dialect))
    assert words.owing == {"owing"}
    assert words.ends[0] == "conversation.item.input_audio_transcription.completed"
    assert words.fresh == {"fresh"}
    assert words.begin == ()
    assert written(1, 5, words)
    sound = words.caller.append(bytes(4800)).decode()
    said = (*words.configure, sound, *words.finish)
    told = {
        move: json.dumps({"type": move, "item_id": "a", "transcript": "", **more})
        for move, more in (
            (words.ends[0], {}),
            ("error", {"error": {"type": "t", "message": "no"}}),
        )
    }
    created = json.dumps({"type": "session.created", "session": {"id": "s"}})
    for answers, owed in (((), True), ((words.ends[0],), False), (("error",), False)):
        frames = (created, *said, *(told[each] for each in answers))
        assert words.owes(map(Send, said), records(dialect, frames)) is owed


UTTERANCE = (BEGUN, SOUND, ENDED)


@pytest.mark.parametrize(
    ("said", "owed"),
    [
        ((SET_UP, *UTTERANCE), True),
        ((SET_UP, BEGUN, ENDED), True),
        ((SET_UP, BEGUN, SOUND), False),
        ((SET_UP, *UTTERANCE, done("a")), False),
        ((SET_UP, *UTTERANCE, done("a"), *UTTERANCE), True),
        # Frames cross: it may have ended the first before it heard of the second.
        ((SET_UP, *UTTERANCE, *UTTERANCE, done("a")), False),
        ((SET_UP, *UTTERANCE, ENDED), True),
        ((SET_UP, ENDED), False),
        ((SET_UP, ENDED, *UTTERANCE), True),
        ((BEGUN, ENDED), False),
        # An error may have ended it, and one that came before has not.
        ((SET_UP, *UTTERANCE, error("no")), False),
        ((SET_UP, BAD, error("no"), SET_UP, *UTTERANCE), True),
        ((SET_UP, BAD, error("no"), *UTTERANCE), False),  # it may want a set-up
        # What is foreign may have been taken for anything.
        ((SET_UP, BEGUN, BAD, ENDED), True),
        ((SET_UP, BEGUN, BAD), False),
        ((SET_UP, BAD, BEGUN, ENDED), True),
        ((SET_UP, BEGUN, BAD, done("a"), ENDED), False),
        ((BAD, SET_UP, *UTTERANCE), True),
        # A final that nothing asked for ends nothing.
        ((SET_UP, BEGUN, done("a"), SOUND, ENDED), True),
    ],
)
def test_what_is_owed(said: tuple[Send | str, ...], owed: bool) -> None:
    texts = [str(each.frame) if isinstance(each, Send) else each for each in said]
    taken = [each for each in said if isinstance(each, Send)]
    trace = traced(mixed(CREATED, *texts))
    assert WORDS.owes(taken, trace) is owed


def played(*said: str, **ending: Any) -> Evidence:
    return Evidence((part(ROLE, CREATED, *said, **ending),))


SPOKE = part(FRESH, CREATED, UPDATE, BEGIN, FINISH, done("a"), spoken={0: CLIP})
MUTE = part(
    FRESH, CREATED, spoken={0: CLIP}, how=Ending.DEADLINE, reason="waited 5.0 s for it"
)


@pytest.mark.parametrize(
    ("evidence", "kind", "what"),
    [
        (played(), None, ""),
        (played(UPDATE, BEGIN, FINISH, done("a")), None, ""),
        (
            played(UPDATE, BEGIN, FINISH),
            ProblemKind.NOT_COMPLETED,
            "was not completed within 5 s",
        ),
        # It may leave with a word: a code of its own, or an error before.
        (played(UPDATE, how=Ending.CLOSED_BY_PEER, code=1008), None, ""),
        (
            played(UPDATE, BEGIN, FINISH, how=Ending.CLOSED_BY_PEER, code=1000),
            None,
            "",
        ),
        (
            played(UPDATE, error("no"), how=Ending.CLOSED_BY_PEER, code=1011),
            None,
            "",
        ),
        (played(UPDATE, error("no"), how=Ending.BROKEN), None, ""),
        (played(UPDATE, error("no"), how=Ending.DEADLINE), None, ""),
        (
            played(UPDATE, how=Ending.CLOSED_BY_PEER, code=1011),
            ProblemKind.ENDED,
            "ended the session without an error: the server closed with code 1011",
        ),
        (
            played(UPDATE, how=Ending.BROKEN, reason="it broke"),
            ProblemKind.ENDED,
            "ended the session without an error: the connection broke off: it broke",
        ),
        (
            played(UPDATE, error("no"), how=Ending.BROKEN, code=1002, reason="frame"),
            ProblemKind.ENDED,
            "broke off: frame",
        ),
        (played(how=Ending.LIMIT, reason="flooded"), ProblemKind.ENDED, "flooded"),
        (played(how=Ending.CANCELLED, reason="our own limit"), None, ""),
        (
            played(how=Ending.DEADLINE, reason="no frame"),
            ProblemKind.NOT_COMPLETED,
            "no frame",
        ),
        (
            played(opened=None, how=Ending.REFUSED, code=500, reason="HTTP 500"),
            ProblemKind.NEXT_SESSION,
            "no session could be opened: HTTP 500",
        ),
        (Evidence((*played().parts, SPOKE)), None, ""),
        (
            Evidence((*played().parts, MUTE)),
            ProblemKind.NEXT_SESSION,
            "next session failed: waited 5.0 s for it",
        ),
        (
            replace(played(), gauges=(Gauges(ROLE, {}, "refused"),)),
            ProblemKind.UNREACHABLE,
            "the server is unreachable: refused",
        ),
    ],
)
def test_what_was_wrong(
    evidence: Evidence, kind: ProblemKind | None, what: str
) -> None:
    texts = [r.text for r in evidence.parts[0].trace.records]
    taken = tuple(Send(text) for text in texts if text in (UPDATE, BEGIN, FINISH))
    problem = judge(WORDS, taken, evidence, limit=5.0)
    assert (problem and problem.kind) is kind
    if problem:
        assert what in problem.message


@pytest.mark.parametrize(
    "ending",
    [
        {"how": Ending.CLOSED_BY_PEER, "code": 1011},
        {"how": Ending.BROKEN},
        {"how": Ending.DEADLINE, "reason": "it did not take a frame"},
    ],
)
def test_a_session_may_end_of_what_is_foreign(ending: dict[str, Any]) -> None:
    evidence = played(NO_JSON, **ending)
    assert judge(WORDS, (BAD,), evidence, limit=5.0) is None
    assert judge(WORDS, (Send(NO_JSON),), evidence, limit=5.0) is not None


# What is written


def test_a_seed_writes_the_same_scripts() -> None:
    assert written(7) == written("7") == written(7)
    assert written(7) != written(8)


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


def test_scripts_hold_all_that_there_is() -> None:
    scripts = [script for seed in range(3) for script in written(seed)]
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
        # Each ends with a whole utterance, whatever came before.
        *_, end, set_up, begin, sound, finish = script
        assert (end, set_up, begin, finish) == (Await(), SET_UP, BEGUN, ENDED)
        assert WORDS.caller.append(bytes(16_000)).decode() == getattr(
            sound, "frame", ""
        )
    # Legal ones, and just illegal ones: an end with nothing begun, and one begun twice.
    said = ["".join(map(str, (step.frame for step in frames(s)))) for s in scripts]
    assert any(
        f"{UPDATE[:-4]}" in text and BEGIN + APPEND[:20] in text for text in said
    )
    assert any(f'"fake"}}{FINISH}' in text for text in said)
    assert any(FINISH + FINISH in text for text in said)
    assert any(BEGIN + BEGIN in text for text in said)


def test_a_dialect_without_misuses_is_written_for_too() -> None:
    class Kind_(type(VLLM)):  # type: ignore[misc]
        misuses = ()

    words = grammar_of(replace(plan("http://127.0.0.1:1"), dialect=Kind_()))
    assert written(1, 5, words)


# A sound server


class Lenient(ServerWrapper):
    """Takes what it can for something that it knows, and refuses nothing."""

    def hear(self, frame: str | bytes) -> Reaction:
        text = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
        try:
            found = json.loads(text, object_pairs_hook=lambda p: dict(reversed(p)))
        except (ValueError, RecursionError):
            return Reaction()
        if isinstance(found, list) and found:
            found = found[0]
        if not isinstance(found, dict):
            return Reaction()
        match found.get("type"):
            case "input_audio_buffer.commit":
                text = FINISH if found.get("final") else BEGIN
            case "session.update":
                text = str(SET_UP.frame)
        return replace(self._server.hear(text), replies=())


@pytest.fixture
def own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the faults that a test declares from the other tests."""
    monkeypatch.setattr(registry, "FAULTS", dict(FAULTS))


@pytest.mark.parametrize(
    ("seed", "names", "variety"),
    [
        (1, (), None),
        (2, (), 2),
        (3, (), 3),
        (4, ("tolerant",), None),
        (5, ("lenient",), None),
        (6, ("closes-on-error",), None),
    ],
)
@pytest.mark.usefixtures("own_faults")
def test_a_sound_server_is_not_blamed(
    loop: Loop,
    seed: int,
    names: tuple[str, ...],
    variety: int | None,
) -> None:
    fault("lenient", "takes what it can")(Lenient)
    with faking(*names, final_delay=0.005, variety=variety) as (url, fake):
        evidence = found(loop, url, seed=seed, sessions=8, limit=5.0)
        assert evidence.findings == ()
        (it,) = evidence.role(ROLE)
        assert all(r.raw for r in it.trace.records if r.sender is Sender.CLIENT)
        assert len(fake.traces()) == 2 * len(written(seed, 8))


# A broken one


Found = Callable[[str], tuple[Evidence, int]]


@pytest.fixture(scope="module")
def fault_found(loop: Loop) -> Found:
    """What is found of a fault, and in how many sessions; each is searched for once."""

    @cache
    def once(fault: str) -> tuple[Evidence, int]:
        with faking(fault, final_delay=0.005) as (url, fake):
            return found(loop, url, seed=6), len(fake.traces())

    return once


def program_of(evidence: Evidence) -> str:
    (finding,) = evidence.findings
    return finding.script


@pytest.mark.parametrize(
    ("fault", "what", "most"),
    [
        ("no-final-empty", "an utterance was not completed within 0.5 s", 3),
        ("no-final-short", "an utterance was not completed within 0.5 s", 4),
        ("reset", "the next session failed: the connection broke", 0),
        ("mute", " s for the server to be ready", 0),
    ],
)
def test_a_fault_is_found_and_shortened(
    fault_found: Found, fault: str, what: str, most: int
) -> None:
    evidence, _ = fault_found(fault)
    (finding,) = evidence.findings
    assert what in finding.what
    assert not finding.flaky
    assert finding.what.endswith("--hypothesis-seed=6")
    assert finding.script.count("session.send_raw(") <= most
    (it,) = evidence.role(ROLE)
    sent = [r for r in it.trace.records if r.sender is Sender.CLIENT]
    assert len(sent) == finding.script.count("session.send_raw(")


@pytest.mark.parametrize("fault", ["no-final-empty", "reset"])
def test_the_script_does_it_again(
    fault_found: Found, pytester: pytest.Pytester, fault: str
) -> None:
    pytester.makefile(".ini", pytest=INI)

    def run(url: str, *options: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", f"--realtime-target={url}", *options, timeout=60
        )

    pytester.makepyfile(test_found=program_of(fault_found(fault)[0]))
    with faking(fault, final_delay=0.005) as (url, _):
        run(url, "--realtime-timeout=1s").assert_outcomes(failed=1)
    if fault == "no-final-empty":
        with faking(final_delay=0.005) as (url, _):
            run(url).assert_outcomes(passed=1)


def test_a_server_that_dies_is_told_with_what_it_heard_last(loop: Loop) -> None:
    words = ["--corpus", "bundled:english", "--final-delay", "5ms"]
    words += ["--word-delay", "0ms"]
    with FakeServer([*words, "--fault", "dies-of-empty"]) as server:
        evidence = found(loop, server.url, model="scripted")
    (finding,) = evidence.findings
    assert "the server is unreachable" in finding.what
    assert "not shrunk, since the server is unreachable" in finding.what
    assert not finding.flaky
    # The empty utterance of which it died is there, whatever could be sent before that
    # was seen, and its end shows that nobody is there.
    *taken, clip = (
        line.strip() for line in finding.script.splitlines() if "sleep" not in line
    )
    begin, finish = f"session.send_raw('{BEGIN}')", f"session.send_raw('{FINISH}')"
    assert (begin, finish) in pairwise(taken)
    assert clip == f'realtime.transcribe(corpus["{SPOKEN.first.id}"])'


def test_it_is_shortened_only_as_long_as_there_is_time(
    loop: Loop, fault_found: Found
) -> None:
    evidence, tried = fault_found("no-final-empty")
    with faking("no-final-empty", final_delay=0.005) as (url, fake):
        at_once = found(loop, url, seed=6, shrinking=0.0)
    assert not at_once.findings[0].flaky
    assert len(fake.traces()) < tried / 2
    assert len(program_of(at_once)) > 1.5 * len(program_of(evidence))


@pytest.mark.usefixtures("own_faults")
def test_what_does_not_fail_again_is_flaky(loop: Loop) -> None:
    finals = iter(range(1000))

    @fault("once", "loses one final")
    class Once(ServerWrapper):
        def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
            frames = self._server.final(text, usage, item)
            return () if next(finals) == 9 else frames

    with faking("once", final_delay=0.005) as (url, _):
        evidence = found(loop, url, shrinking=1.0)
    (finding,) = evidence.findings
    assert finding.flaky
    assert finding.what.startswith("flaky: ")
    assert "did not fail when it was repeated" in finding.what
    assert "session.send_raw(" in finding.script
    assert evidence.role(ROLE)[0].trace.records


def test_a_seed_of_its_own_is_told(loop: Loop) -> None:
    with faking("reset", final_delay=0.005) as (url, _):
        told = [found(loop, url, seed=None).findings[0].what for _ in range(2)]
    seeds = {int(what.rpartition("--hypothesis-seed=")[2]) for what in told}
    assert len(seeds) == 2


# What else may happen


def test_a_server_that_limits_its_clients_is_not_blamed(loop: Loop) -> None:
    busy: dict[str, Any] = {"Retry-After": "0"}
    with (
        serving(answer=lambda request: plain(429, **busy)) as url,
        pytest.raises(RateLimited),
    ):
        found(loop, url)


def test_a_failure_that_cannot_be_played_again_is_told(loop: Loop) -> None:
    asked = iter(range(1000))

    def answer(request: Request) -> Response | None:
        if "Upgrade" not in request.headers:
            return plain(200)
        busy: dict[str, Any] = {"Retry-After": "0"}
        return plain(429, **busy) if next(asked) > 1 else None

    with serving(answer=answer) as url:
        evidence = found(loop, url)
    (finding,) = evidence.findings
    assert " s for the server to be ready" in finding.what
    assert "it could not be repeated: " in finding.what
    assert not finding.flaky


def test_nothing_is_printed(loop: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    with faking("reset", final_delay=0.005) as (url, _):
        assert found(loop, url, shrinking=0.0).findings
    assert capfd.readouterr() == ("", "")


def test_the_steps_are_taken_as_they_are_written(loop: Loop) -> None:
    script = (SET_UP, Pause(0.05), BEGUN, SOUND, ENDED, Await(), BAD, Await(), ENDED)
    with faking(final_delay=0.02) as (url, _):
        there = config(loop, url)
        took = loop.run(execute(there, WORDS, script, limit=5.0))
    assert took.problem is None
    assert took.script[:5] == script[:5]
    assert took.script[5:] == (Await("transcription.done"), BAD, Await(), ENDED)
    assert 0.02 <= took.slowest < 5
    it, fresh = took.evidence.parts
    assert (it.role, fresh.role) == (ROLE, FRESH)
    sent = [r for r in it.trace.records if r.sender is Sender.CLIENT]
    assert [r.text for r in sent] == [step.frame for step in frames(script)]
    assert sent[1].at - sent[0].at >= 50_000_000
    told = [m.move for m in it.recording.messages]
    assert told[-3:] == ["malformed", "error", "input_audio_buffer.commit final"]


# The scenario


@pytest.mark.parametrize(
    ("names", "sessions", "status"),
    [
        ((), 3, Status.SATISFIED),
        ((), 0, Status.NOT_RUN),
        (("reset",), 3, Status.VIOLATED),
    ],
)
def test_the_requirement(
    loop: Loop, names: tuple[str, ...], sessions: int, status: Status
) -> None:
    requirement = next(r for r in VLLM.requirements if r.id == "random-sessions")
    bounds = Bounds(frozenset(Harm), 16, math.inf)
    with faking(*names, final_delay=0.005) as (url, _):
        there = config(loop, url, fuzz=sessions, seed=1)
        scheduler = Scheduler(there, scenarios(VLLM), bounds)
        over = threading.Event()
        scheduler.start([ROLE], over=over.set)
        judgement = judge_requirement(requirement, scheduler, VLLM)
        assert over.wait(10)  # it looks after the server once more
    assert judgement.status is status, judgement.reason


@pytest.mark.slow
def test_nothing_is_left_on_disk(pytester: pytest.Pytester) -> None:
    # A module of the project is what Hypothesis would read and keep.
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(test_own="NUMBER = 1234\ndef test_self(): pass")
    with faking(final_delay=0.005) as (url, _):
        run = pytester.runpytest_subprocess(
            *("-p", "no:cacheprovider", "-W", "error", "--hypothesis-seed=5"),
            *(f"--realtime-target={url}", "--realtime-conformance"),
            *("-k", "random-sessions or self", "test_own.py"),
            timeout=60,
        )
    run.assert_outcomes(passed=2, deselected=len(VLLM.requirements) - 3)
    assert not (pytester.path / ".hypothesis").exists()
