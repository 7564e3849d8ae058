"""Helpers of the tests of checks: outcomes in short, and evidence made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.requirements.evidence import (
    Answer,
    Evidence,
    Gauges,
    Part,
)
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.records import (
    Ending,
    Lag,
)
from tests.support.sessions import (
    APPEND,
    BEGIN,
    CREATED,
    FIRST,
    MS,
    SPEAK,
    UPDATE,
    Frame,
    done,
    part,
)

US, PEER, BROKEN = Ending.CLOSED_BY_US, Ending.CLOSED_BY_PEER, Ending.BROKEN


LATE = Lag(100, (3_000 * MS,))


GOOD = Satisfied()


CLOSED_FIRST = "the client closed the session first"


@dataclass(frozen=True)
class Bad:
    """A violation whose message begins with this text."""

    message: str


@dataclass(frozen=True)
class Open:
    """Undecided, for a reason that begins with this text."""

    reason: str


Found = Satisfied | Bad | Open


def seen(*parts: Part) -> Evidence:
    return Evidence(parts)


def check(rule: Check, evidence: Evidence | Part, found: Found) -> None:
    if isinstance(evidence, Part):
        evidence = seen(evidence)
    outcome: Outcome = rule(evidence)
    match found:
        case Bad(message=start):
            assert isinstance(outcome, Violated), outcome
            assert outcome.message.startswith(start)
        case Open(reason=start):
            assert isinstance(outcome, Undecided), outcome
            assert outcome.reason.startswith(start)
        case _:
            assert outcome == found


def begun(*frames: Frame, **changes: object) -> Part:
    """A session in which an utterance was begun, and got no final."""
    whole = (CREATED, UPDATE, BEGIN, APPEND, *frames)
    return part("it", *whole, spoken={0: FIRST}, **changes)


HERE, GONE = Gauges("it", {}), Gauges("it", {}, "no answer within 10 s")


def there(*parts: Part, gauges: Sequence[Gauges] = (HERE,)) -> Evidence:
    return Evidence(parts, gauges=tuple(gauges))


def mistaken(*frames: Frame, **changes: object) -> Part:
    """A session with hand-written frames, and an utterance that got its final."""
    whole = (CREATED, UPDATE, *frames, *SPEAK, done("a"))
    return part("it", *whole, spoken={0: FIRST}, **changes)


OPENED = part("other", CREATED)


def page(status: int, body: str, *parts: Part) -> Evidence:
    return Evidence(parts, (Answer("plain-http", status, body),))


def said(text: str) -> str:
    """An error of each dialect with this text, as JSON may have it."""
    try:
        json.loads(f'"{text}"')
    except ValueError:
        text = json.dumps(text)[1:-1]
    return (
        '{"type":"error","event_id":"e","error":{"type":"invalid_request_error",'
        f'"code":"x","message":"the key {text} is wrong"}}}}'
    )
