"""Exchanges: the frames of a session that show what a check has found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance import exchanges
from pytest_realtime_asr.conformance.exchanges import Frame, Pair
from pytest_realtime_asr.conformance.frame_texts import NOW
from pytest_realtime_asr.conformance.results import Result, Status
from pytest_realtime_asr.conformance.selftest import Seen
from pytest_realtime_asr.requirements.evidence import Answer, Evidence, Gauges, Part
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Ping,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)
from tests.support.sessions import (
    APPEND,
    BEGIN,
    CREATED_AT,
    FINISH,
    STARTED,
    UPDATE,
    created,
    delta,
    done,
    error,
)

VLLM = dialects.load("vllm")
BY_ID = {each.id: each for each in VLLM.requirements}
CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
CLOSED = End(Ending.CLOSED_BY_US, 10**9, 1000)
ID = "sess-0b7c6d1e-4b25-4ce5-a55a-914e56bb0040"
OPENING = (created(ID), UPDATE)
SPOKEN = (BEGIN, *[APPEND] * 5, delta("turn"), APPEND, delta(" right"), FINISH)


def session(
    *frames: str | Record,
    role: str = "utterances",
    end: End = CLOSED,
    pings: Sequence[Ping] = (),
) -> Part:
    """Return a session of these frames, a millisecond apart."""
    records = []
    for place, frame in enumerate(frames):
        if isinstance(frame, Record):
            records.append(replace(frame, at=place))
            continue
        theirs = any(
            f'"{kind}' in frame.partition(",")[0]
            for kind in ("session.created", "session.updated", "transcription", "error")
        )
        span = Span("a", 0, 1) if frame == APPEND else None
        sender = SERVER if theirs else CLIENT
        records.append(Record(sender, place, frame, span=span))
    trace = Trace(
        Vantage.CLIENT,
        "vllm",
        VLLM.rate,
        "ws://here",
        STARTED,
        0,
        tuple(records),
        end,
        pings=tuple(pings),
    )
    return dialects.part(VLLM, trace, role=role)


def seen(*parts: Part, **result: Any) -> Seen:
    """Return what was seen in these sessions; the last violates the requirement."""
    evidence = Evidence(parts)
    found = Result(BY_ID["order"], Status.VIOLATED, session=parts[-1])
    return Seen(replace(found, **result), evidence)


def cut(id: str, right: Seen, wrong: Seen) -> Pair:
    return exchanges.pair(VLLM, id, right, wrong)


def shown(frames: Sequence[Frame]) -> list[str]:
    return [
        f"{'>' if each.wrong else ''}{each.sender.value} {each.text}"
        + ("+" if each.more else "")
        for each in frames
    ]


def test_the_frames_around_the_first_wrong_one_are_shown() -> None:
    sound = session(*OPENING, *SPOKEN, done("turn right"))
    broken = session(*OPENING, *SPOKEN, done("turn"), BEGIN, APPEND, FINISH, UPDATE)
    wrong = seen(broken, records=(12,), reason="the text 'turn' is wrong")
    pair = cut("deltas-add-up", seen(sound), wrong)
    final = '{"type":"transcription.done","text":"turn","usage":{"prompt_tokens":2,'
    assert shown(pair.wrong.frames) == [
        'client {"type":"session.update","model":"m"}',
        'client {"type":"input_audio_buffer.commit","final":false}',
        'client {"type":"input_audio_buffer.append","audio":"..."}+',
        'server {"type":"transcription.delta","delta":"turn"}+',
        'client {"type":"input_audio_buffer.commit","final":true}',
        f'>server {final}"completion_tokens":3,"total_tokens":5}}}}',
        'client {"type":"input_audio_buffer.commit","final":false}',
        'client {"type":"input_audio_buffer.append","audio":"..."}',
    ]
    assert pair.wrong.late
    assert pair.wrong.seen == "the text 'turn' is wrong"
    assert pair.right.frames[-1].text == (
        '{"type":"transcription.done","text":"turn right","usage":{...}}'
    )
    assert not any(each.wrong for each in pair.right.frames)


def test_ids_have_short_names_and_times_are_those_of_one_instant() -> None:
    sound = session(created(ID), UPDATE)
    late = created(ID, CREATED_AT + 3 * 24 * 3600)
    reason = f"{ID} began at 1795975098"
    wrong = seen(session(late, UPDATE), records=(0,), reason=reason)
    pair = cut("created-now", seen(sound), wrong)
    assert pair.right.frames[0].text == (
        f'{{"type":"session.created","id":"sess-1","created":{NOW}}}'
    )
    assert str(CREATED_AT + 3 * 24 * 3600) in pair.wrong.frames[0].text
    assert pair.wrong.seen == f"sess-1 began at {NOW}"


def test_an_id_that_is_empty_or_a_word_is_kept() -> None:
    wrong = seen(session(created("")), records=(0,))
    pair = cut("first-event", seen(session(created("id"))), wrong)
    assert '"id":"id"' in pair.right.frames[0].text
    assert '"id":""' in pair.wrong.frames[0].text


def test_a_missing_answer_is_shown_beside_the_answer() -> None:
    odd = Record(CLIENT, 0, '{"type":,', raw=True)
    right = session(*OPENING, odd, error("invalid_json"), BEGIN)
    wrong = seen(session(*OPENING, odd, BEGIN), records=(2,))
    pair = cut("bad-json-refused", seen(right), wrong)
    assert shown(pair.right.frames)[2:4] == [
        'client {"type":,',
        'server {"type":"error","error":"no","code":"invalid_json"}',
    ]
    assert shown(pair.wrong.frames)[2:] == [
        '>client {"type":,',
        'client {"type":"input_audio_buffer.commit","final":false}',
    ]


def test_a_final_that_never_comes_is_shown_in_the_right_exchange() -> None:
    right = session(*OPENING, *SPOKEN, done("turn right"))
    end = End(Ending.CLOSED_BY_PEER, 10**9, 1011, "oh")
    broken = session(*OPENING, end=end)
    pair = cut("one-final", seen(right), seen(broken, records=(1,), by_end=True))
    assert pair.wrong.end == "the server closes the connection with code 1011: oh"
    assert "transcription.done" in pair.right.frames[-1].text


def test_two_sessions_of_one_id_are_shown_together() -> None:
    right = seen(session(created("sess-1")), session(created("sess-2")))
    twice = [session(created("sess-1")) for _ in range(2)]
    pair = cut("unique-ids", right, seen(*twice, reason="two have the id 'sess-1'"))
    assert [each.session for each in pair.wrong.frames] == [1, 2]
    ids = [
        [each.text.split('"')[7] for each in exchange.frames]
        for exchange in (pair.right, pair.wrong)
    ]
    assert ids == [["sess-1", "sess-2"], ["sess-1", "sess-1"]]


def test_a_handshake_is_shown_if_it_is_refused() -> None:
    refused = session(end=End(Ending.REFUSED, 1, 401))
    pair = cut("wrong-key-refused", seen(refused), seen(session(*OPENING)))
    asked = "client asks for a WebSocket"
    assert shown(pair.right.frames) == [asked, "server HTTP 401"]
    assert shown(pair.wrong.frames)[:2] == [asked, ">server HTTP 101"]


def test_pings_and_closes_are_shown_if_the_check_is_about_them() -> None:
    answered, lost = Ping(1, 2), Ping(1)
    unclosed = End(Ending.CLOSED_BY_US, 9, reason="no answer")
    right = session(*OPENING, pings=[answered])
    pair = cut("pong", seen(right), seen(session(*OPENING, pings=[lost], end=unclosed)))
    assert "client a ping, which is answered" in shown(pair.right.frames)
    assert ">client a ping, never answered" in shown(pair.wrong.frames)
    assert pair.right.end.endswith("answered by a close frame")
    assert pair.wrong.end.endswith("never answered")


def test_plain_requests_and_values_of_metrics_are_shown() -> None:
    def with_answer(status: int) -> Seen:
        found = seen(session(*OPENING))
        answers = (Answer("plain", status, ""),)
        return replace(found, evidence=replace(found.evidence, answers=answers))

    pair = cut("plain-http-refused", with_answer(426), with_answer(500))
    assert [shown(each.frames)[-1] for each in (pair.right, pair.wrong)] == [
        "server HTTP 426",
        ">server HTTP 500",
    ]

    def with_values(*values: float) -> Seen:
        found = seen(session(*OPENING), reason="open is 3")
        gauges = tuple(Gauges("abandoned", {"open": value}) for value in values)
        return replace(found, evidence=replace(found.evidence, gauges=gauges))

    pair = cut("abandoned-freed", with_values(0, 0), with_values(0, 3))
    assert shown(pair.right.frames)[-1] == "server open 0"
    assert shown(pair.wrong.frames)[-1] == ">server open 3"


def test_exchanges_are_read_as_they_were_written() -> None:
    wrong = seen(session(*OPENING), records=(0,), reason="bad")
    found = {"order": cut("order", seen(session(*OPENING)), wrong)}
    assert exchanges.loads(exchanges.dumps(found)) == found


def test_a_frame_that_the_server_no_longer_sends_is_reported() -> None:
    right, wrong = seen(session(*OPENING)), seen(session(*OPENING), records=(0,))
    kept = cut("order", right, wrong)
    assert exchanges.unseen(kept, VLLM, "order", right, wrong) == []
    bare = seen(session(UPDATE))
    assert exchanges.unseen(kept, VLLM, "order", bare, wrong) == [
        kept.right.frames[0].text
    ]


def test_a_frame_that_crosses_the_close_of_the_server_may_be_missing() -> None:
    closed = End(Ending.CLOSED_BY_PEER, 10**9, 1008)
    right = seen(session(*OPENING, BEGIN))
    kept = cut("order", right, seen(session(*OPENING, BEGIN, end=closed), records=(1,)))
    early = seen(session(*OPENING, end=closed), records=(1,))
    assert exchanges.unseen(kept, VLLM, "order", right, early) == []
    never = seen(session(*OPENING))
    assert exchanges.unseen(kept, VLLM, "order", never, early) == [BEGIN, BEGIN]
