"""Tests of the checks that a server shows no secret, stack trace or control token."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import (
    Evidence,
    Part,
)
from pytest_realtime_asr.requirements.requirement import (
    Violated,
)
from pytest_realtime_asr.text.redaction import REMOVED, Redactor
from pytest_realtime_asr.trace.recorder import LONGEST, Recorder
from pytest_realtime_asr.trace.records import (
    Ending,
    Sender,
    Vantage,
    loads,
)
from tests.support.check_outcomes import (
    BROKEN,
    GOOD,
    PEER,
    Bad,
    Found,
    Open,
    check,
    mistaken,
    page,
    said,
    seen,
)
from tests.support.sessions import (
    CREATED,
    SPEAK,
    UNKNOWN,
    UPDATE,
    Hand,
    delta,
    done,
    error,
    part,
    unopened,
)
from tests.support.spellings import KEY, SPELLINGS


@pytest.mark.parametrize(
    ("text", "character", "token"),
    [
        ("caf\u00e9 \u4eca <3 [sic] a|b", False, False),
        ("caf\ufffd", True, False),
        ("<|endoftext|>", False, True),
        ("<|0.00|> a", False, True),
        ("language English<asr_text>a", False, True),
        ("a </s>", False, True),
        ("<s> a", False, True),
        ("[BLANK_AUDIO]", False, True),
        ("[PAD] [UNK]", False, True),
    ],
)
@pytest.mark.parametrize("kind", ["delta", "done", "pieces"])
def test_broken_characters_and_control_tokens_are_found(
    text: str, character: bool, token: bool, kind: str
) -> None:
    frames = {
        "delta": (*SPEAK, delta(text)),
        "done": (*SPEAK, done(text)),
        "pieces": (*SPEAK, *map(delta, text)),
    }[kind]
    evidence = part("it", CREATED, UPDATE, *frames)
    broken, shown = Bad("a broken character "), Bad("a control token ")
    check(checks.whole_characters, evidence, broken if character else GOOD)
    check(checks.no_control_tokens, evidence, shown if token else GOOD)


STACK = 'Traceback (most recent call last):\n  File "/srv/a.py", line 12, in hear'


def closed(reason: str, how: Ending = PEER) -> Evidence:
    return seen(part("it", CREATED, how=how, code=1011, reason=reason))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (page(404, "not found"), GOOD),
        (
            page(500, f"<pre>{STACK}</pre>"),
            Bad("plain-http: the HTTP page shows a stack"),
        ),
        (page(0, STACK), Open("the server sent nothing")),  # nobody answered
        (
            seen(part("it", CREATED, error("x", STACK))),
            Bad("a frame of the server shows a stack"),
        ),
        (
            seen(part("it", CREATED, error("x", 'File "a.py", line 3'))),
            Bad("a frame of the server shows a stack"),
        ),
        (seen(part("it", CREATED, error("x", "no file a.py, line 3"))), GOOD),
        (
            closed(STACK),
            Bad("the reason in the server's close frame shows a stack trace"),
        ),
        (closed(STACK, BROKEN), GOOD),  # these are words of our own
        (seen(part("it", UPDATE)), Open("the server sent nothing")),
        (seen(), Open("the server sent nothing")),
    ],
)
def test_no_stack_trace_is_shown(evidence: Evidence, found: Found) -> None:
    check(checks.no_stack_trace, evidence, found)


def keyed(evidence: Evidence) -> Evidence:
    """Return the evidence with the key of the client in each session."""
    parts = []
    for each in evidence.parts or (part("it", CREATED),):
        trace = replace(each.trace, redactor=Redactor([KEY]))
        parts.append(replace(each, recording=replace(each.recording, trace=trace)))
    return replace(evidence, parts=tuple(parts))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (page(404, "not found"), GOOD),
        (page(404, f"not found: {REMOVED}"), GOOD),
        (
            page(401, f"wrong: {KEY}"),
            Bad("plain-http: the HTTP page shows the client's"),
        ),
        (
            seen(part("it", CREATED, error("x", KEY))),
            Bad("a frame of the server shows the cl"),
        ),
        (seen(part("it", CREATED, error("x", REMOVED))), GOOD),
        (
            closed(KEY),
            Bad("the reason in the server's close frame shows the client's key"),
        ),
        (closed(f"cannot connect to {KEY}", BROKEN), GOOD),
    ],
)
def test_no_secret_is_shown(evidence: Evidence | Part, found: Found) -> None:
    whole = seen(evidence) if isinstance(evidence, Part) else evidence
    check(checks.no_secret, keyed(whole), found)


def test_text_of_a_hand_written_frame_does_not_come_back() -> None:
    rule = checks.never_repeated("secret", "a path")
    check(rule, mistaken(Hand(UNKNOWN), error("x", "no")), GOOD)
    check(
        rule,
        mistaken(Hand(UNKNOWN), error("x", "the secret")),
        Bad("a frame of the server s"),
    )
    check(
        rule,
        mistaken(error("x", "the secret")),
        Open("a path was not sent to the server"),
    )


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ((error("x"), error("y")), GOOD),
        ((error("x"), error(None)), Bad("the server sent an error without a code")),
        ((error("x", ""),), Bad("the server sent an error without a message")),
        ((), Open("no error came")),
    ],
)
def test_errors_are_coded(frames: tuple[str, ...], found: Found) -> None:
    check(checks.errors_have_codes, part("it", CREATED, *frames), found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED), GOOD),
        (part("it", CREATED, how=PEER, code=1000), GOOD),
        (part("it", CREATED, how=PEER, code=1008, reason="idle"), GOOD),
        (part("it", CREATED, error("x"), how=PEER, code=1011), GOOD),
        (part("it", CREATED, error("x"), how=BROKEN), GOOD),
        (part("it", CREATED, how=BROKEN, code=1009), GOOD),
        (part("it", CREATED, how=Ending.DEADLINE), GOOD),
        (
            part("it", CREATED, how=PEER, code=1011),
            Bad(
                "the server sent no error before the session ended: the server closed "
                "with code 1011"
            ),
        ),
        (
            part("it", CREATED, how=BROKEN),
            Bad(
                "the server sent no error before the session ended: the connection "
                "broke off"
            ),
        ),
        (unopened("it"), Open("no session was opened")),
    ],
)
def test_a_close_is_explained(evidence: Part, found: Found) -> None:
    check(checks.explained_close, evidence, found)


def heard(name: str, *frames: str | bytes, key: str = KEY) -> Evidence:
    """Return a session of this dialect in which the server sent these frames."""
    dialect = dialects.load(name)
    recorder = Recorder(
        vantage=Vantage.CLIENT,
        dialect=name,
        rate=dialect.rate,
        target="ws://host/",
        redactor=Redactor([key]),
    )
    recorder.open()
    for frame in frames:
        recorder.received(Sender.SERVER, recorder.now(), frame)
    return Evidence((dialects.part(dialect, recorder.freeze()),))


@pytest.mark.parametrize("name", dialects.installed())
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_found_and_removed_in_each_spelling(name: str, spelling: str) -> None:
    spell = SPELLINGS[spelling]
    evidence = heard(name, said(spell(KEY)))
    check(
        checks.no_secret, evidence, Bad("a frame of the server shows the client's key")
    )
    check(checks.no_secret, heard(name, said(spell(KEY[::-1]))), GOOD)
    written = loads(evidence.parts[0].trace.dumps())
    (text,) = [record.text or "" for record in written.records]
    assert not Redactor([KEY]).shows(text)
    assert "the key " in json.loads(text)["error"]["message"]
    # From the file, it is seen that there was one.
    again = Evidence((dialects.part(dialects.load(name), written),))
    check(checks.no_secret, again, Bad("a frame of the server shows the client's key"))


@pytest.mark.parametrize("name", dialects.installed())
@pytest.mark.parametrize("size", [3, 10, 25])
def test_a_key_is_found_across_several_deltas(name: str, size: int) -> None:
    deltas = [
        json.dumps({"type": "transcription.delta", "delta": KEY[at : at + size]})
        for at in range(0, len(KEY), size)
    ]
    evidence = heard(name, '{"type":"x"}', *deltas, '{"type":"y"}')
    check(
        checks.no_secret, evidence, Bad("a frame of the server shows the client's key")
    )
    outcome = checks.no_secret(evidence)
    assert isinstance(outcome, Violated)
    assert outcome.records == tuple(range(1, 1 + len(deltas)))
    check(checks.no_secret, heard(name, *deltas[:-1]), GOOD)


def test_a_key_is_found_in_binary_frames_and_in_shortened_frames() -> None:
    found = Bad("a frame of the server shows the client's key")
    check(checks.no_secret, heard("vllm", b"\0" + KEY.encode()), found)
    check(checks.no_secret, heard("vllm", "x" * LONGEST + KEY), found)
    check(checks.no_secret, heard("vllm", "x" * LONGEST + KEY[::-1]), GOOD)


def test_a_server_may_say_the_word_that_stands_for_a_secret() -> None:
    check(checks.no_secret, heard("vllm", f'{{"delta":"{REMOVED}"}}'), GOOD)
