"""The checks of Deepgram's protocol, on sessions that are written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.dialects.deepgram import events
from pytest_realtime_asr.dialects.deepgram.checks import results as of_results
from pytest_realtime_asr.dialects.deepgram.checks import session
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.records import Ending
from tests.support.deepgram import (
    ALIVE,
    CLOSE,
    FINALIZE,
    SECOND,
    finalized,
    metadata,
    recording,
    results,
    settled,
    word,
)

PEER: dict[str, Any] = {"how": Ending.CLOSED_BY_PEER}
WORDS = [word("open", 0.1, 0.4), word("doors", 0.5, 0.9)]
ERROR = '{"type":"Error","description":"no"}'


@pytest.mark.parametrize(
    ("check", "frames", "kind"),
    [
        (of_results.segments_in_order, (SECOND,), Undecided),
        (
            of_results.segments_in_order,
            (settled("a"), results("b", 1.0), settled("b", 0.95)),
            Satisfied,
        ),
        (of_results.segments_in_order, (settled("a"), results("b", 0.5)), Violated),
        (of_results.segments_cover_audio, (SECOND, FINALIZE), Undecided),
        (
            of_results.segments_cover_audio,
            (
                *(SECOND, settled("a", 0.0, 0.5), FINALIZE, finalized("b", 0.5, 0.5)),
                *(SECOND, FINALIZE, finalized("c", 1.0, 1.0)),
            ),
            Satisfied,
        ),
        (
            of_results.segments_cover_audio,
            (SECOND, settled("a", 0.0, 0.5), settled("b", 0.7, 0.3)),
            Violated,
        ),
        (
            of_results.segments_cover_audio,
            (SECOND, FINALIZE, finalized("a", 0.0, 0.5)),
            Violated,
        ),
        (of_results.segments_cover_audio, (bytes(2), finalized("a")), Undecided),
        (of_results.words_in_segment, (settled("a"),), Undecided),
        (of_results.words_in_segment, (settled("a", words=WORDS),), Satisfied),
        (of_results.words_in_segment, (settled("a", words=WORDS[::-1]),), Violated),
        (of_results.words_in_segment, (settled("a", 1.0, words=WORDS),), Violated),
        (
            of_results.words_in_segment,
            (settled("a", words=[word("a", 0.5, 0.4)]),),
            Violated,
        ),
        (of_results.words_match_text, (settled("a"),), Undecided),
        (
            of_results.words_match_text,
            (settled("Open doors.", words=WORDS),),
            Satisfied,
        ),
        (of_results.words_match_text, (settled("open", words=WORDS),), Violated),
        (of_results.confidences, (), Undecided),
        (of_results.confidences, (settled("a", words=WORDS),), Satisfied),
        (
            of_results.confidences,
            (settled("a", words=[word("a", 0.1, 0.2, confidence=50)]),),
            Violated,
        ),
        (of_results.same_request_id, (SECOND,), Undecided),
        (of_results.same_request_id, (settled("a"), settled("b", 1.0)), Satisfied),
        (
            of_results.same_request_id,
            (settled("a"), settled("b", metadata={"request_id": "", "model_uuid": ""})),
            Violated,
        ),
        (
            of_results.same_request_id,
            (
                settled("a"),
                settled("b", metadata={"request_id": "r-2", "model_uuid": ""}),
            ),
            Violated,
        ),
        (of_results.no_early_text, (SECOND, results("a")), Satisfied),
        (of_results.no_early_text, (results("a"), SECOND), Violated),
        (of_results.no_early_text, (results(""), SECOND), Undecided),
        (session.close_settles, (settled("a"),), Undecided),
        (session.close_settles, (CLOSE, settled("a")), Undecided),
        (session.close_settles, (CLOSE, settled("a"), metadata()), Satisfied),
        (session.close_settles, (results("a"), CLOSE, metadata()), Violated),
        (session.metadata_at_end, (CLOSE, settled("a"), metadata()), Satisfied),
        (session.metadata_at_end, (CLOSE, metadata(), settled("a")), Violated),
        (session.metadata_at_end, (CLOSE, metadata(), metadata()), Violated),
        (session.metadata_at_end, (metadata(), CLOSE), Undecided),
        (session.closes_normally, (SECOND,), Undecided),
        (session.closes_normally, (CLOSE,), Undecided),
        (session.metadata_counts_audio, (metadata(),), Undecided),
        (
            session.metadata_counts_audio,
            (metadata(), SECOND, CLOSE, metadata(1.0)),
            Satisfied,
        ),
        (session.metadata_counts_audio, (SECOND, CLOSE, metadata(1000.0)), Violated),
        (session.opened_by_metadata, (metadata(), SECOND), Satisfied),
        (session.opened_by_metadata, (metadata(0.0, ""), SECOND), Violated),
        (session.opened_by_metadata, (settled("a"),), Violated),
        (session.opened_by_metadata, (ERROR,), Undecided),
    ],
)
def test_checks_of_a_session(
    check: SessionCheck, frames: tuple[str | bytes, ...], kind: type
) -> None:
    assert isinstance(check(recording(*frames)), kind)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ({**PEER, "code": 1000}, Satisfied),
        ({**PEER, "code": 1011}, Violated),
        ({"how": Ending.BROKEN}, Violated),
    ],
)
def test_the_code_after_close_stream(ending: dict[str, Any], kind: type) -> None:
    assert isinstance(session.closes_normally(recording(CLOSE, **ending)), kind)


def test_a_session_that_ends_without_metadata_is_a_violation() -> None:
    found = session.metadata_at_end(recording(CLOSE, **PEER, code=1000))
    assert isinstance(found, Violated)
    assert found.by_end


def judged(check: Check, *frames: str | bytes, **ending: Any) -> type:
    """The kind of the outcome for one session of the role that is checked."""
    return type(check(Evidence((Part("role", recording(*frames, **ending)),))))


UNASKED = session.only_if_asked("role", events.SpeechStarted, interims=True)
STARTED = '{"type":"SpeechStarted","channel":[0,1],"timestamp":%s}'
ENDED = '{"type":"UtteranceEnd","channel":[0,1],"last_word_end":%s}'
IDLE = session.closed_when_idle("role", least=9.5, most=12.5)
EXPLAINED = {**PEER, "code": 1011, "reason": "NET-0001: nothing came"}


@pytest.mark.parametrize(
    ("check", "frames", "kind"),
    [
        (session.keepalive_unanswered("role"), (SECOND,), Undecided),
        (UNASKED, (SECOND,), Undecided),
        (UNASKED, (SECOND, settled("a")), Satisfied),
        (UNASKED, (SECOND, results("a")), Violated),
        (UNASKED, (SECOND, STARTED % 0, settled("a")), Violated),
        (session.speech_started("role"), (SECOND, FINALIZE), Undecided),
        (session.speech_started("role"), (SECOND, STARTED % 0.3), Satisfied),
        (session.speech_started("role"), (SECOND, STARTED % 300), Violated),
        (session.speech_started("role"), (SECOND, FINALIZE, finalized("a")), Violated),
        (session.utterance_end("role"), (settled(""),), Undecided),
        (session.utterance_end("role"), (settled("a", words=WORDS),), Violated),
        (
            session.utterance_end("role"),
            (settled("a", words=WORDS), ENDED % 0.9),
            Satisfied,
        ),
        (session.utterance_end("role"), (ENDED % 0.9,), Violated),
        (  # the answer to Finalize settles the last word, and may end the utterance
            session.utterance_end("role"),
            (results("a", words=WORDS), FINALIZE, finalized("a", words=WORDS)),
            Undecided,
        ),
        (
            session.utterance_end("role"),
            (settled("a", words=WORDS), FINALIZE, finalized("", 1.0)),
            Violated,
        ),
        (session.empty_frame_explained("role"), (SECOND,), Undecided),
        (session.empty_frame_explained("role"), (b"",), Undecided),
        (session.empty_frame_explained("role"), (b"", settled("a")), Satisfied),
        (IDLE, (SECOND,), Violated),
        (session.options_refused("role", 4400), (SECOND,), Violated),
    ],
)
def test_each_check_of_a_role_has_its_outcome(
    check: Check, frames: tuple[str | bytes, ...], kind: type
) -> None:
    assert judged(check, *frames) is kind


def test_how_sessions_may_end() -> None:
    empty = session.empty_frame_explained("role")
    assert judged(empty, b"", how=Ending.BROKEN) is Violated
    assert judged(empty, b"", **PEER, code=1000) is Satisfied
    refused = session.options_refused("role", 4400)
    closed = Part("role", recording(ERROR, **PEER, code=4400))
    plain = Part("close", recording(SECOND))
    assert refused(Evidence((plain, closed))) == Satisfied()
    assert judged(IDLE, **{**PEER, "code": 1001}) is Violated
    assert judged(IDLE, **EXPLAINED) is Violated  # after 1 ms
    soon = session.closed_when_idle("role", least=0.0, most=1.0)
    assert judged(soon, **EXPLAINED) is Satisfied


def test_a_reason_with_a_code_explains_a_close() -> None:
    assert judged(session.explained_close, SECOND, **EXPLAINED) is Satisfied
    assert judged(session.explained_close, SECOND, **PEER, code=1011) is Violated


def test_a_refused_session_does_not_hide_that_closes_are_explained() -> None:
    refused = Part("refused", recording(opened=None, how=Ending.REFUSED))
    plain = Part("plain", recording(SECOND))
    check = session.explained_close
    assert check(Evidence((refused,))) == Undecided("no session was opened")
    assert check(Evidence((refused, plain))) == Satisfied()


def test_an_error_after_a_keepalive_is_undecided() -> None:
    # Its frame counts as written by hand only in a trace of a scenario.
    assert judged(session.keepalive_unanswered("role"), ALIVE, ERROR) is Undecided
