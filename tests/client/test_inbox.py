"""The inbox of a session: what its records mean, without a socket."""

from __future__ import annotations

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.inbox import Inbox
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.trace.recorder import Recorder
from pytest_realtime_asr.trace.records import (
    Ending,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)

CREATED = '{"type":"session.created","id":"sess-1","created":1}'
BEGIN = '{"type":"input_audio_buffer.commit"}'
FINISH = '{"type":"input_audio_buffer.commit","final":true}'
APPEND = '{"type":"input_audio_buffer.append","audio":""}'
DELTA = '{"type":"transcription.delta","delta":"go"}'
DONE = '{"type":"transcription.done","text":"go"}'
ERROR = '{"type":"error","error":"no","code":"invalid"}'


class Talk:
    """A session without a server: a test writes the records, an inbox reads them."""

    def __init__(self) -> None:
        self.inbox = Inbox(VLLM)
        self.recorder = Recorder(
            vantage=Vantage.CLIENT, dialect="vllm", rate=16_000, target="ws://here"
        )

    def sent(self, *frames: str) -> Talk:
        for frame in frames:
            span = Span("clip", 0, 1600) if frame == APPEND else None
            record = self.recorder.sent(Sender.CLIENT, frame, due=0, woke=0, span=span)
            self.inbox.add(record)
        return self

    def received(self, *frames: str) -> Talk:
        for frame in frames:
            at = self.recorder.now()
            self.inbox.add(self.recorder.received(Sender.SERVER, at, frame))
        return self

    def trace(self) -> Trace:
        self.recorder.end(Ending.CLOSED_BY_US)
        return self.recorder.freeze()


def greeted() -> Talk:
    return Talk().received(CREATED)


def test_the_server_is_ready_once_it_has_greeted() -> None:
    talk = Talk()
    assert (talk.inbox.ready, talk.inbox.session) == (False, "")
    talk.received(CREATED)
    assert (talk.inbox.ready, talk.inbox.session) == (True, "sess-1")


def test_utterances_are_counted_as_they_are_committed() -> None:
    talk = greeted().sent(BEGIN, APPEND)
    assert talk.inbox.items == 0
    talk.sent(FINISH)
    assert talk.inbox.items == 1
    assert talk.inbox.complete() == 1  # one that no commit ends
    assert talk.inbox.items == 2


def test_a_final_answers_its_utterance_only() -> None:
    talk = greeted().sent(BEGIN, APPEND, FINISH).received(DELTA)
    assert not talk.inbox.answered(0)
    talk.received(DONE)
    assert talk.inbox.has_final(0)
    assert talk.inbox.answered(0)
    assert not talk.inbox.answered(1)


def test_a_refusal_answers_every_utterance_until_it_is_reported() -> None:
    talk = greeted().sent(BEGIN).received(ERROR)
    assert talk.inbox.answered(0)
    assert not talk.inbox.has_final(0)
    assert talk.inbox.refusal is not None
    assert talk.inbox.refusal.code == "invalid"
    talk.inbox.report_refusals()
    assert talk.inbox.refusal is None
    talk.received(ERROR)
    assert talk.inbox.refusal is not None
    assert talk.inbox.refusals == 2


def test_a_refusal_that_was_expected_answers_nothing() -> None:
    talk = greeted().received(ERROR)
    assert talk.inbox.expect("error") is not None
    assert talk.inbox.refusal is None


def test_a_refusal_after_a_hand_written_frame_answers_no_utterance() -> None:
    talk = greeted()
    talk.inbox.by_hand = True
    talk.received(ERROR)
    assert (talk.inbox.refusal, talk.inbox.refusals) == (None, 1)


def test_each_message_is_expected_once() -> None:
    talk = greeted().received(DELTA, DELTA, DONE)
    inbox = talk.inbox
    assert inbox.expect("transcription.delta") is inbox.received[1]
    assert inbox.expect("transcription.done") is inbox.received[3]
    assert inbox.expect("transcription.delta") is None  # both were passed
    talk.received(DELTA)
    assert inbox.expect("transcription.delta") is inbox.received[4]


def test_only_the_first_frame_is_a_greeting() -> None:
    session = '{"id":"s","type":"transcription"}'
    other = f'{{"type":"session.created","event_id":"e","session":{session}}}'
    record = Record(Sender.SERVER, 1, other)
    assert "openai" in Inbox(VLLM).other_dialects(record)
    assert Inbox(VLLM).other_dialects(Record(Sender.SERVER, 1, CREATED)) == ()
    assert greeted().inbox.other_dialects(record) == ()


def test_messages_are_summed_up_by_type() -> None:
    assert Inbox(VLLM).summary == "no event was received"
    talk = greeted().received(DELTA, DELTA)
    assert talk.inbox.summary == (
        "events received: 1 session.created, 2 transcription.delta"
    )


def test_frames_are_counted_until_they_flood_the_session() -> None:
    inbox = greeted().inbox
    assert inbox.flood("x" * 600, 0.0, most=1000) is None
    why = inbox.flood(b"x" * 600, 0.0, most=1000)
    assert why is not None
    assert why.startswith(
        "the server flooded the session: it sent more than 0.0 MiB of text (the limit"
    )


def test_the_recording_equals_a_new_reading_of_the_trace() -> None:
    talk = greeted().sent(BEGIN, APPEND, FINISH).received(DELTA, DONE)
    trace = talk.trace()
    assert talk.inbox.recording(trace) == dialects.recording(VLLM, trace)


def test_the_recording_of_an_earlier_trace_ends_where_it_does() -> None:
    talk = greeted().sent(BEGIN, APPEND, FINISH).received(DELTA)
    trace = talk.recorder.freeze()
    talk.received(DONE)
    found = talk.inbox.recording(trace)
    assert found == dialects.recording(VLLM, trace)
    assert found.timeline.final is None


def test_a_record_that_was_not_added_is_read_with_the_others() -> None:
    talk = greeted()
    talk.recorder.received(Sender.SERVER, talk.recorder.now(), DELTA)
    trace = talk.trace()
    assert talk.inbox.recording(trace) == dialects.recording(VLLM, trace)
    assert len(talk.inbox.recording(trace).messages) == 2


def test_the_recording_raises_an_exception_of_the_dialect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        """A dialect that fails to parse every record."""

        def parse(self, record: Record) -> object:
            raise KeyError("delta")

        def __getattr__(self, name: str) -> object:
            return getattr(VLLM, name)

    talk = greeted()
    monkeypatch.setattr(talk.inbox, "_dialect", Broken())
    with pytest.raises(KeyError, match="delta"):
        talk.received(DELTA)
    with pytest.raises(KeyError, match="delta"):
        talk.inbox.recording(talk.trace())


def test_the_summary_says_what_was_malformed() -> None:
    inbox = Inbox(VLLM)
    for at, text in enumerate(['{"type":5}', '{"type":"session.create"}', "[]", "{"]):
        inbox.add(Record(Sender.SERVER, at, text))
    assert inbox.summary == (
        "events received: 2 unknown (without a type), "
        "2 malformed (a JSON list, not an object)"
    )


def test_an_event_with_wrong_fields_lets_the_session_go_on() -> None:
    inbox = Inbox(VLLM)
    inbox.add(Record(Sender.SERVER, 1, '{"type":"session.created","id":"s"}'))
    assert inbox.ready
    assert inbox.session == "s"
