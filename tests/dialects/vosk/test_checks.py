"""Tests of the checks that only vosk-server's protocol has."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.dialects.vosk import checks
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.records import Ending
from tests.support.vosk import (
    CONFIG,
    EOF,
    RESET,
    RESETTING,
    SECOND,
    Raw,
    Sent,
    Server,
    partial,
    recorded,
    result,
    word,
)

GOOD, BAD, OPEN = Satisfied, Violated, Undecided
CUT: dict[str, Any] = {"how": Ending.CLOSED_BY_US, "code": None}
TURN = word("turn", 0.1, 0.4)
SAID = (SECOND, partial("turn"), EOF, result("turn"))


def judged(check: SessionCheck, *sent: Sent, **end: Any) -> type[Outcome]:
    return type(check(recorded(*sent, **end)))


@pytest.mark.parametrize(
    ("sent", "end", "outcome"),
    [
        ((CONFIG, *SAID), {}, GOOD),
        ((SECOND, SECOND, EOF, partial(""), partial("a"), result("b")), {}, GOOD),
        ((SECOND, partial("")), CUT, GOOD),
        ((*SAID, SECOND), {}, OPEN),  # the server need not read it
        ((CONFIG,), {}, OPEN),
        ((SECOND, EOF, partial("")), CUT, OPEN),
        ((SECOND, EOF, partial("")), {"code": 1009}, OPEN),
        ((Raw("hello"), SECOND, partial("")), {}, OPEN),
        ((SECOND, SECOND, EOF, partial(""), result("b")), {}, BAD),
        ((SECOND, EOF, partial("")), {"how": Ending.DEADLINE, "code": None}, BAD),
        ((*SAID, result("turn")), {}, BAD),
        ((partial(""), SECOND, partial("")), CUT, BAD),
        ((CONFIG, partial(""), SECOND, partial("")), CUT, BAD),
    ],
)
def test_one_reply(
    sent: tuple[Sent, ...], end: dict[str, Any], outcome: type[Outcome]
) -> None:
    assert judged(checks.one_reply, *sent, **end) is outcome


@pytest.mark.parametrize(
    ("sent", "end", "outcome"),
    [
        (SAID, {}, GOOD),
        ((SECOND, partial("")), CUT, OPEN),
        ((SECOND, EOF, partial("")), CUT, OPEN),
        ((SECOND, EOF, partial("")), {}, BAD),
        ((SECOND, EOF, partial(""), partial("turn")), {}, BAD),
    ],
)
def test_result_at_end(
    sent: tuple[Sent, ...], end: dict[str, Any], outcome: type[Outcome]
) -> None:
    assert judged(checks.result_at_end, *sent, **end) is outcome


def test_each_reset_is_answered_by_a_result() -> None:
    begun = (SECOND, partial(""), RESET, result("a"), SECOND, partial(""), RESET)
    for last, outcome in ((result("b"), GOOD), (partial("b"), BAD)):
        found = checks.result_at_end(recorded(*begun, last, dialect=RESETTING, **CUT))
        assert type(found) is outcome


@pytest.mark.parametrize(
    ("sent", "end", "outcome"),
    [
        (SAID, {}, GOOD),
        ((*SAID, Raw(b"")), {}, GOOD),
        ((SECOND, partial(""), EOF), {}, OPEN),
        ((SECOND, partial("")), {}, OPEN),
        (SAID, {"how": Ending.CANCELLED, "code": None}, OPEN),
        ((*SAID, Raw(b""), partial("")), CUT, BAD),
        (SAID, {"code": 1011}, BAD),
    ],
)
def test_closes_after_end(
    sent: tuple[Sent, ...], end: dict[str, Any], outcome: type[Outcome]
) -> None:
    assert judged(checks.closes_after_end, *sent, **end) is outcome


@pytest.mark.parametrize(
    ("sent", "end", "outcome"),
    [
        ((SECOND, partial(""), Raw("hello")), {"code": 1011}, GOOD),
        ((Raw("hello"), partial(""), EOF, result("")), {}, GOOD),
        (SAID, {}, OPEN),
        ((Raw("hello"),), {"how": Ending.CANCELLED, "code": None}, OPEN),
        ((Raw("hello"), SECOND, partial("")), CUT, BAD),
        ((Raw("hello"),), {"how": Ending.BROKEN, "code": None}, BAD),
        ((Raw("hello"),), {"code": 1006}, BAD),
        # The close follows the end of the audio, not the text.
        ((Raw("hello"), SECOND, partial(""), EOF, result("")), {}, BAD),
    ],
)
def test_text_answered(
    sent: tuple[Sent, ...], end: dict[str, Any], outcome: type[Outcome]
) -> None:
    part = Part("unknown-text", recorded(*sent, **end), {})
    assert type(checks.text_answered(part)) is outcome


def test_replies_are_text() -> None:
    assert judged(checks.replies_are_text, *SAID) is GOOD
    assert judged(checks.replies_are_text, CONFIG) is OPEN
    binary = Server(b'{"text":"turn"}')
    assert judged(checks.replies_are_text, EOF, binary) is BAD


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (result("turn", TURN), GOOD),
        (result("turn"), OPEN),
        (result("turn right", TURN), BAD),
        (result("Turn", TURN), BAD),
    ],
)
def test_words_match_text(last: Server, outcome: type[Outcome]) -> None:
    assert judged(checks.words_match_text, SECOND, EOF, last) is outcome


@pytest.mark.parametrize(
    ("config", "last", "outcome"),
    [
        (CONFIG, result("turn", TURN), GOOD),
        ('{"config":{"words":0}}', result("turn"), GOOD),
        (CONFIG, result(""), OPEN),
        ('{"config":{}}', result("turn"), OPEN),
        (CONFIG, result("turn"), BAD),
        ('{"config":{"words":false}}', result("turn", TURN), BAD),
    ],
)
def test_words_come_if_requested(
    config: str, last: Server, outcome: type[Outcome]
) -> None:
    assert judged(checks.words_when_asked, config, SECOND, EOF, last) is outcome


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ([TURN, word("right", 0.4, 1.0)], GOOD),
        ([word("turn", 0.9, 1.05)], GOOD),
        ([], OPEN),
        ([word("turn", -0.1, 0.4)], BAD),
        ([word("turn", 0.4, 0.1)], BAD),
        ([word("right", 0.4, 0.6), TURN], BAD),
        ([word("turn", 0.9, 1.2)], BAD),
    ],
)
def test_words_inside_audio(
    words: list[dict[str, object]], outcome: type[Outcome]
) -> None:
    last = result("turn", *words)
    assert judged(checks.words_inside_audio, SECOND, EOF, last) is outcome


@pytest.mark.parametrize(
    ("conf", "outcome"),
    [(0.0, GOOD), (1.0, GOOD), (None, OPEN), (-0.1, BAD), (99.0, BAD)],
)
def test_confidences(conf: float | None, outcome: type[Outcome]) -> None:
    said = {**TURN, "conf": conf}
    assert judged(checks.confidences, EOF, result("turn", said)) is outcome


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([result("turn right"), partial("stop"), result("stop now")], GOOD),
        # One word may be said again, and so may the words of an earlier segment.
        ([result("stop"), partial("stop now"), result("stop now")], GOOD),
        ([result("turn right"), result("stop now"), result("turn right")], GOOD),
        ([result(""), result("turn right")], OPEN),
        ([result("turn right"), partial("turn right stop"), result("a b")], BAD),
        ([result("turn right"), result("turn right stop")], BAD),
    ],
)
def test_segments_not_repeated(answers: list[Server], outcome: type[Outcome]) -> None:
    sent = [each for answer in answers for each in (SECOND, answer)]
    part = Part("two-segments", recorded(*sent, **CUT), {})
    found = checks.not_repeated("two-segments")(Evidence((part,)))
    assert type(found) is outcome
