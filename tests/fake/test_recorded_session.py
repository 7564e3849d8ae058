"""Traces as sessions to replay: the actions of the client, the causes of answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.fake.recorded_session import (
    Close,
    Control,
    NotReplayable,
    Position,
    Silence,
    Speech,
    recorded_session,
)
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import (
    TAIL,
    End,
    Ending,
    Record,
    Sender,
    Span,
    Vantage,
)
from tests.support.recordings import MS, Sent, delta, done, recorded
from tests.support.servers import VLLM

CLIP = corpus.load("bundled:english")["turn-right"]
SAMPLES = CLIP.audio.resample(VLLM.rate).samples
TRACE = recorded(CLIP, [Sent(delta("turn"), 30, ms=500), Sent(done("turn"), 250)])


def test_actions() -> None:
    session = recorded_session(TRACE, VLLM)
    update, begin, speech, finish = session.actions
    assert isinstance(update, Control)
    assert update.move == "session.update"
    assert isinstance(begin, Control)
    assert isinstance(finish, Control)
    assert isinstance(speech, Speech)
    assert speech.samples == SAMPLES
    assert session.audio == CLIP.audio.digest
    assert session.session == "sess-1"


def test_each_answer_has_its_cause_and_its_delay() -> None:
    answers = recorded_session(TRACE, VLLM).answers
    rate = VLLM.rate
    assert [(each.cause, each.delay) for each in answers] == [
        (Position(-1, 0), 2 * MS),
        (Position(2, rate // 2), 30 * MS),
        (Position(3, 0), 250 * MS),
    ]


@pytest.mark.parametrize(
    ("end", "close"),
    [
        (End(Ending.CLOSED_BY_PEER, 3000 * MS, 1011, "busy"), Close(1011, "busy")),
        (End(Ending.CLOSED_BY_PEER, 3000 * MS), Close(1005)),
        (End(Ending.BROKEN, 3000 * MS, reason="reset"), Close(None)),
        (End(Ending.CLOSED_BY_US, 3000 * MS), None),
        (End(Ending.DEADLINE, 3000 * MS), None),
    ],
)
def test_end_by_the_server_is_an_answer(end: End, close: Close | None) -> None:
    found = recorded_session(replace(TRACE, end=end), VLLM).answers[-1]
    assert (found.content == close) is (close is not None)


def test_silence_after_speech_is_one_action() -> None:
    dialect = dialects.load("openai")
    carrier = str(audio_frame(dialect.caller("", {}), b""))
    rows = [
        Record(Sender.CLIENT, at, carrier, span=span)
        for at, span in enumerate(
            [Span("a", 0, 5), Span(TAIL, 0, 3), Span(TAIL, 3, 6), Span("a", 0, 5)], 10
        )
    ]
    trace = replace(TRACE, dialect="openai", records=tuple(rows))
    spoken = replace(TRACE.spoken[0], asset="a")
    actions = recorded_session(replace(trace, spoken=(spoken,)), dialect).actions
    assert [type(each) for each in actions] == [Speech, Silence, Speech]
    assert [each.samples for each in actions if isinstance(each, Speech)] == [5, 5]


def test_audio_that_a_test_sent_itself() -> None:
    frame = str(audio_frame(VLLM.caller("", {}), b"\x00\x10" * 160))
    sent = Record(Sender.CLIENT, 20, frame, raw=True)
    (speech,) = recorded_session(replace(TRACE, records=(sent,)), VLLM).actions
    assert isinstance(speech, Speech)
    assert speech.samples == 160
    assert speech.levels
    assert speech.levels[0] > 0


def test_keepalive_frames_cause_nothing() -> None:
    dialect = dialects.load("deepgram")
    keepalive = dialect.traits.keepalive
    assert keepalive is not None
    text = str(keepalive.frame)
    trace = replace(
        TRACE, dialect="deepgram", records=(Record(Sender.CLIENT, 9, text),)
    )
    assert recorded_session(trace, dialect).actions == ()


def test_trace_of_a_server_is_refused() -> None:
    with pytest.raises(NotReplayable, match="recorded by a server"):
        recorded_session(replace(TRACE, vantage=Vantage.SERVER), VLLM)


def test_refused_connection_has_no_answers() -> None:
    with pytest.raises(NotReplayable, match="refused the connection"):
        recorded_session(replace(TRACE, opened=None), VLLM)


def test_private_trace_is_refused() -> None:
    written = replace(TRACE, redactor=Redactor(private=True)).dumps()
    with pytest.raises(NotReplayable, match="'turn-right' is not described"):
        recorded_session(records.loads(written), VLLM)


def test_shortened_frame_is_refused() -> None:
    long = Record(Sender.SERVER, 30, '{"type":... [2097152 more]')
    with pytest.raises(NotReplayable, match="longer than a trace keeps"):
        recorded_session(replace(TRACE, records=(*TRACE.records, long)), VLLM)


def test_a_trace_with_a_removed_secret_can_be_replayed() -> None:
    secret = '{"type":"session.created","id":"a-secret-key-7","created":1}'
    rows = (Record(Sender.SERVER, 7 * MS, secret), *TRACE.records[1:])
    written = replace(
        TRACE, records=rows, redactor=Redactor(["a-secret-key-7"])
    ).dumps()
    found = recorded_session(records.loads(written), VLLM)
    assert b"a-secret-key-7" not in written
    assert len(found.answers) == 3
