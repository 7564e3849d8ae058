"""The dialects: what vLLM's says, reads, refuses and demands."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr import dialects, trace
from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.vllm import (
    REQUIREMENTS,
    TABLE,
    VLLM,
    Append,
    CommitEvent,
    Delta,
    Done,
    Error,
    Malformed,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    Tokens,
    Unknown,
)
from pytest_realtime_asr.fake.faults import wrap
from pytest_realtime_asr.rules import (
    Message,
    Outcome,
    Requirement,
    Satisfied,
    Undecided,
    Violated,
    observe,
)
from pytest_realtime_asr.timeline import (
    Commit,
    Final,
    Heard,
    Partial,
    Refusal,
    Timeline,
    Usage,
)
from pytest_realtime_asr.trace import (
    End,
    Ending,
    Lag,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
GOLDEN = Path(__file__).parents[1] / "fixtures" / "traces"
BY_ID = {requirement.id: requirement for requirement in REQUIREMENTS}
MS = 1_000_000

UPDATE = '{"type":"session.update","model":"m"}'
BEGIN = '{"type":"input_audio_buffer.commit","final":false}'
APPEND = '{"type":"input_audio_buffer.append","audio":"AAAAAA=="}'
FINISH = '{"type":"input_audio_buffer.commit","final":true}'
CREATED = '{"type":"session.created","id":"sess-1","created":1}'
UPDATED = '{"type":"session.updated"}'
UNKNOWN = '{"type":"input_audio_buffer.clear"}'
NO_JSON = '{"type":,'
SPEAK = (BEGIN, APPEND, APPEND, FINISH)


def delta(text: str) -> str:
    return json.dumps({"type": "transcription.delta", "delta": text})


def done(text: str, prompt: int = 2, completion: int = 3, total: int = 5) -> str:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
    }
    return json.dumps({"type": "transcription.done", "text": text, "usage": usage})


def error(code: str | None, text: str = "no") -> str:
    return json.dumps({"type": "error", "error": text, "code": code})


def trace_of(
    records: Iterable[Record],
    *,
    vantage: Vantage = Vantage.CLIENT,
    how: Ending = Ending.CLOSED_BY_US,
    reason: str = "",
) -> Trace:
    kept = tuple(records)
    end = End(how, (kept[-1].at if kept else 0) + MS, reason=reason)
    started = datetime(2026, 1, 1, tzinfo=UTC)
    lag = Lag(7, (2 * MS,))
    return Trace(vantage, "vllm", 16_000, "ws://test", started, MS, kept, end, lag)


def mixed(*frames: str | bytes) -> list[Record]:
    """Records of these frames, one each millisecond; who sends is seen by the type."""
    ours = ("session.update", "input_audio_buffer", NO_JSON)
    records = []
    for number, frame in enumerate(frames, 2):
        if isinstance(frame, bytes):
            records.append(Record(CLIENT, number * MS, data=frame))
        else:
            mine = frame != UPDATED and any(mark in frame for mark in ours)
            sender = CLIENT if mine else SERVER
            records.append(Record(sender, number * MS, frame))
    return records


def hold(
    *frames: str | bytes,
    faults: Sequence[str] = (),
    vantage: Vantage = Vantage.CLIENT,
    how: Ending = Ending.CLOSED_BY_US,
) -> Trace:
    """A session of a client that says these frames and waits after each of them."""
    server = wrap(VLLM.server(["m"]), faults)
    records: list[Record] = []

    def told(texts: Iterable[str]) -> None:
        for text in texts:
            records.append(Record(SERVER, (len(records) + 2) * MS, text))

    told(server.open("sess-1", 1))
    for frame in frames:
        at = (len(records) + 2) * MS
        if isinstance(frame, bytes):
            records.append(Record(CLIENT, at, data=frame))
        else:
            records.append(Record(CLIENT, at, frame))
        reaction = server.hear(frame)
        told(reaction.replies)
        if reaction.finish:
            for piece in ("go", "", " forward"):
                told(server.partial(piece))
            told(server.final("go forward", Usage(2, 3)))
    return trace_of(records, vantage=vantage, how=how)


def judged(name: str, held: Trace) -> Outcome:
    return BY_ID[name].judge(dialects.observe(VLLM, held))


# The look-up


def test_a_dialect_is_found_by_its_name() -> None:
    assert dialects.load("vllm") is VLLM


def test_an_unknown_dialect_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(LookupError, match=r"unknown dialect 'esperanto'.*: .*vllm"):
        dialects.load("esperanto")


# Parsing


def parsed(frame: str | bytes, sender: Sender = SERVER) -> Message:
    if isinstance(frame, bytes):
        return VLLM.parse(Record(sender, 0, data=frame))
    return VLLM.parse(Record(sender, 0, frame))


@pytest.mark.parametrize(
    ("sender", "frame", "message"),
    [
        (CLIENT, UPDATE, SessionUpdate("m")),
        (CLIENT, APPEND, Append("AAAAAA==")),
        (CLIENT, BEGIN, CommitEvent()),
        (CLIENT, '{"type":"input_audio_buffer.commit"}', CommitEvent()),
        (CLIENT, FINISH, CommitEvent(final=True)),
        (CLIENT, '{"type":"session.update","model":"m","x":1}', SessionUpdate("m")),
        (SERVER, CREATED, SessionCreated("sess-1", 1)),
        (SERVER, UPDATED, SessionUpdated()),
        (SERVER, delta("ä\n"), Delta("ä\n")),
        (SERVER, done("a"), Done("a", Tokens(2, 3, 5))),
        (SERVER, error("x"), Error("no", "x")),
        (SERVER, '{"type":"error","error":"no"}', Error("no")),
        (SERVER, UPDATE, Unknown("session.update")),
        (CLIENT, CREATED, Unknown("session.created")),
        (CLIENT, "{}", Unknown(None)),
        (CLIENT, '{"type":5}', Unknown(None)),
    ],
)
def test_parse(sender: Sender, frame: str, message: Message) -> None:
    assert parsed(frame, sender) == message


def test_each_event_moves_by_its_type_but_a_commit_by_its_meaning() -> None:
    assert parsed(delta("a")).move == "transcription.delta"
    assert parsed(BEGIN, CLIENT).move == "input_audio_buffer.commit"
    assert parsed(FINISH, CLIENT).move == "input_audio_buffer.commit final"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("[1]", "a JSON list, not an object"),
        ("null", "a JSON NoneType, not an object"),
        ('{"type":"transcription.delta"}', "transcription.delta: "),
        ('{"type":"error","error":{}}', "error: "),
        ("[1e999]", "a JSON value that cannot be held: "),
        (b"\0", "a binary frame"),
    ],
)
def test_json_that_is_no_event_is_malformed(frame: str | bytes, reason: str) -> None:
    message = parsed(frame)
    assert isinstance(message, Malformed)
    assert message.json
    assert message.move == "malformed"
    with pytest.raises(ValueError, match=f"^{reason}"):
        raise ValueError(message.reason)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "[1",
        "no",
        "[NaN]",
        '{"type":1,',
        '{"type":"session.update","model":5,"x":[',
        '{"type":"transcription.delta"',
        '{"type":null,"a":[}',
        '"\\ud800"',
        "\ud800",
        '{"type":"\udfff"}',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"type":' * 100_000,
        '{"type":"error","error":1,"x":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
@pytest.mark.parametrize("sender", Sender)
def test_what_is_no_json_is_malformed(frame: str, sender: Sender) -> None:
    message = parsed(frame, sender)
    assert isinstance(message, Malformed)
    assert not message.json
    assert message.reason.startswith("not JSON: ")


TYPES = sorted({move for table in TABLE.values() for m in table.values() for move in m})
FIELDS = ("type", "model", "audio", "final", "id", "created", "delta", "text", "usage")
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=4)
    ),
    max_leaves=10,
)
events = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6),
)
anything = st.characters(codec=None, categories=None)
texts = (
    st.text(anything)
    | values.map(json.dumps)
    | events.map(json.dumps)
    | st.builds(lambda text, n: text[:n], events.map(json.dumps), st.integers(1, 90))
)


@given(texts, st.sampled_from(Sender))
def test_parse_never_raises(text: str, sender: Sender) -> None:
    message = parsed(text, sender)
    assert isinstance(message.move, str)


@given(st.binary(), st.sampled_from(Sender))
def test_a_binary_frame_is_always_malformed(data: bytes, sender: Sender) -> None:
    assert parsed(data, sender) == Malformed("a binary frame", json=True)


@given(st.lists(st.tuples(texts | st.binary(), st.sampled_from(Sender)), max_size=9))
def test_neither_reading_nor_judging_raises(
    frames: list[tuple[str | bytes, Sender]],
) -> None:
    records = [
        Record(sender, at, data=frame)
        if isinstance(frame, bytes)
        else Record(sender, at, frame)
        for at, (frame, sender) in enumerate(frames)
    ]
    for vantage in Vantage:
        held = trace_of(records, vantage=vantage)
        assert len(dialects.observe(VLLM, held).messages) == len(records)
        assert dialects.read(VLLM, held).end == held.end
        for requirement in REQUIREMENTS:
            requirement.judge(dialects.observe(VLLM, held))


@given(st.lists(texts | st.binary(), max_size=9))
def test_the_server_answers_whatever_it_hears(frames: list[str | bytes]) -> None:
    server = VLLM.server(["m"])
    for frame in frames:
        for reply in server.hear(frame).replies:
            assert isinstance(parsed(reply), Error)


# What a client says


@given(st.binary())
def test_append_is_what_a_json_encoder_would_give(pcm: bytes) -> None:
    event = {
        "type": "input_audio_buffer.append",
        "audio": base64.b64encode(pcm).decode(),
    }
    assert VLLM.append(pcm) == json.dumps(event, separators=(",", ":")).encode()


def test_configure_takes_fields_of_ones_own() -> None:
    (frame,) = VLLM.configure("m", {"language": "ä"})
    assert json.loads(frame) == {
        "type": "session.update",
        "model": "m",
        "language": "ä",
    }
    assert VLLM.parse(Record(CLIENT, 0, frame)) == SessionUpdate("m")


def test_both_halves_understand_each_other_in_a_whole_session() -> None:
    server = VLLM.server(["m"])
    records: list[Record] = []

    def told(frames: Iterable[str]) -> None:
        for frame in frames:
            assert isinstance(parsed(frame), SessionCreated | Delta | Done), (
                f"the client does not understand {frame}"
            )
            records.append(Record(SERVER, len(records) * MS, frame))

    def says(frames: Iterable[str]) -> Reaction:
        reaction = Reaction()
        for frame in frames:
            records.append(Record(CLIENT, len(records) * MS, frame))
            reaction = server.hear(frame)
            assert reaction.replies == (), f"the server refuses {frame}"
        return reaction

    told(server.open("sess-1", 1))
    assert says(VLLM.configure("m", {})) == Reaction()
    for text, pcm in (("go forward", b"\1\0" * 99), ("turn left", b"\2\0" * 51)):
        assert says(VLLM.begin()) == Reaction(begin=True)
        for half in (pcm[:50], pcm[50:]):
            assert says([VLLM.append(half).decode()]) == Reaction(audio=half)
        told(server.partial(text[:4]))
        assert says(VLLM.finish()) == Reaction(finish=True)
        told(server.partial(text[4:]))
        told(server.final(text, Usage(4, 2)))
    held = trace_of(records)
    timeline = dialects.read(VLLM, held)
    for number, (text, samples) in enumerate((("go forward", 99), ("turn left", 51))):
        item = timeline.item(number)
        assert item.text == text
        assert item.heard[-1].samples == samples
        assert [text for _, text in item.hypotheses()] == [text[:4], text, text]
        assert item.final is not None
        assert item.final.usage == Usage(4, 2, 6)
    assert timeline.item(2).events == ()
    assert observe(REQUIREMENTS, dialects.observe(VLLM, held)) == ()
    other_side = dialects.observe(VLLM, replace(held, vantage=Vantage.SERVER))
    assert observe(REQUIREMENTS, other_side) == ()


# What a server refuses

MISUSES: Mapping[str, tuple[tuple[str, ...], str | bytes, str]] = {
    "no JSON": ((UPDATE,), "{", "invalid_json"),
    "unknown type": ((UPDATE,), UNKNOWN, "unknown_event"),
    "no type": ((), "{}", "unknown_event"),
    "an event of the server": ((UPDATE,), delta("a"), "unknown_event"),
    "no model": ((), '{"type":"session.update"}', "invalid_event"),
    "nested model": (
        (),
        '{"type":"session.update","session":{"model":"m"}}',
        "invalid_event",
    ),
    "wrong model": ((), UPDATE.replace('"m"', '"n"'), "model_not_found"),
    "early commit": ((), BEGIN, "model_not_validated"),
    "early end": ((), FINISH, "model_not_validated"),
    "odd audio": (
        (UPDATE, BEGIN),
        '{"type":"input_audio_buffer.append","audio":"AAAA"}',
        "invalid_audio",
    ),
    "no audio": (
        (UPDATE, BEGIN),
        '{"type":"input_audio_buffer.append","audio":""}',
        "invalid_audio",
    ),
    "no base64": (
        (UPDATE, BEGIN),
        '{"type":"input_audio_buffer.append","audio":"A"}',
        "invalid_audio",
    ),
    "strange letters": (
        (UPDATE, BEGIN),
        '{"type":"input_audio_buffer.append","audio":"ää=="}',
        "invalid_audio",
    ),
    "no object": ((UPDATE,), "[]", "processing_error"),
    "append without audio": (
        (UPDATE,),
        '{"type":"input_audio_buffer.append"}',
        "processing_error",
    ),
    "binary": ((UPDATE, BEGIN), b"\0\0", "invalid_frame"),
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_the_server_refuses_each_misuse_and_lives_on(misuse: str) -> None:
    before, frame, code = MISUSES[misuse]
    held = hold(*before, frame, UPDATE, *SPEAK)
    messages = dialects.observe(VLLM, held).messages
    errors = [message for message in messages if isinstance(message, Error)]
    assert [each.code for each in errors] == [code]
    assert all(each.error for each in errors)
    timeline = dialects.read(VLLM, held)
    assert timeline.text == "go forward"
    (refusal,) = timeline.refusals
    assert refusal.code == code
    assert refusal.item == (0 if BEGIN in (*before, frame) else None)
    assert observe(REQUIREMENTS, dialects.observe(VLLM, held)) == ()


def heard(*frames: str) -> list[Reaction]:
    server = VLLM.server(["m"])
    return [server.hear(frame) for frame in frames]


def test_what_the_server_silently_ignores() -> None:
    assert heard(UPDATE, FINISH)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, BEGIN)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, FINISH, FINISH)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, FINISH, BEGIN)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, FINISH, APPEND)[-1] == Reaction()


def test_audio_may_come_before_the_session_is_set_up() -> None:
    assert heard(APPEND, UPDATE, APPEND) == [
        Reaction(audio=bytes(4)),
        Reaction(),
        Reaction(audio=bytes(4)),
    ]


def test_a_usage_that_is_not_known_is_counted_as_nothing() -> None:
    (frame,) = VLLM.server(["m"]).final("a", Usage())
    assert parsed(frame) == Done("a", Tokens(0, 0, 0))


# Reading


def read(*records: Record) -> Timeline:
    return dialects.read(VLLM, trace_of(records))


def test_a_timeline_has_what_the_trace_says_of_the_session() -> None:
    held = trace_of(mixed(CREATED, CREATED.replace("sess-1", "sess-2")))
    timeline = dialects.read(VLLM, held)
    assert timeline == Timeline(
        rate=16_000,
        opened=MS,
        ready=2 * MS,
        events=(),
        end=held.end,
        lag=held.lag,
        session="sess-1",
    )


def test_several_utterances_are_numbered_and_kept_apart() -> None:
    timeline = read(
        *mixed(CREATED, UPDATE, BEGIN, APPEND, delta("a"), APPEND, FINISH),
        *mixed(delta(""), delta(" b"), done("a b"), APPEND, BEGIN, APPEND, FINISH),
        *mixed(delta("c"), done("C")),
    )
    first, second = timeline.item(0), timeline.item(1)
    assert [each.samples for each in first.heard] == [2, 4]
    assert [each.samples for each in second.heard] == [2, 4]
    assert [text for _, text in first.hypotheses()] == ["a", "a b", "a b"]
    assert [text for _, text in second.hypotheses()] == ["c", "C"]
    assert len(timeline.events) == len(first.events) + len(second.events)


def test_an_utterance_may_be_asked_for_before_the_last_one_is_told() -> None:
    """Then the frames of both sides belong to different utterances."""
    timeline = read(
        *mixed(BEGIN, APPEND, FINISH, BEGIN, APPEND, delta("a"), done("a")),
        *mixed(FINISH, delta("b"), done("b")),
    )
    assert [timeline.item(n).text for n in (0, 1)] == ["a", "b"]
    assert [len(timeline.item(n).heard) for n in (0, 1)] == [1, 1]


def test_an_empty_delta_is_no_text() -> None:
    assert read(*mixed(BEGIN, delta(""), delta(""))).events == ()


def test_a_partial_goes_on_where_the_last_one_ended() -> None:
    timeline = read(*mixed(BEGIN, delta("añ"), delta("🎤"), delta("!")))
    assert timeline.events == (
        Partial(0, 3 * MS, 0, "añ"),
        Partial(0, 4 * MS, 2, "🎤"),
        Partial(0, 5 * MS, 3, "!"),
    )


def test_a_final_without_usage_says_nothing_of_tokens() -> None:
    timeline = read(*mixed('{"type":"transcription.done","text":"a"}'))
    assert timeline.events == (Final(0, 2 * MS, "a", None),)


def test_a_commit_with_nothing_begun_ends_no_utterance() -> None:
    timeline = read(*mixed(FINISH, BEGIN, FINISH, FINISH))
    items = [each.item for each in timeline.events if isinstance(each, Commit)]
    assert items == [0, 0, 1]


@pytest.mark.parametrize(
    ("before", "item"),
    [
        ((), None),
        ((BEGIN,), 0),
        ((BEGIN, FINISH), 0),
        ((BEGIN, FINISH, done("a")), None),
        ((BEGIN, FINISH, done("a"), BEGIN), 1),
        ((BEGIN, FINISH, BEGIN), 0),
    ],
)
def test_a_refusal_carries_the_item_that_was_open(
    before: tuple[str, ...], item: int | None
) -> None:
    timeline = read(*mixed(*before, error("processing_error", "why")))
    (refusal,) = timeline.refusals
    assert refusal == Refusal(refusal.at, "processing_error", "why", item)


def test_a_refusal_may_be_without_a_code() -> None:
    assert read(*mixed(error(None))).refusals[0].code == ""


@pytest.mark.parametrize("failure", [(FINISH, error("x")), (error("x"), FINISH)])
def test_an_utterance_that_failed_leaves_its_number_to_no_other(
    failure: tuple[str, str],
) -> None:
    timeline = read(
        *mixed(BEGIN, APPEND, delta("lost"), *failure),
        *mixed(BEGIN, APPEND, FINISH, delta("b"), done("b")),
    )
    assert timeline.item(0).final is None
    assert timeline.item(0).text == "lost"
    assert timeline.item(1).text == "b"
    assert [text for _, text in timeline.item(1).hypotheses()] == ["b", "b"]


def test_an_utterance_that_goes_on_after_a_refusal_keeps_its_number() -> None:
    refused = (BEGIN, APPEND, error("invalid_audio"), APPEND, FINISH, done("a"))
    timeline = read(*mixed(*refused, BEGIN, FINISH, done("b")))
    assert [timeline.item(n).text for n in (0, 1)] == ["a", "b"]


def test_the_times_of_our_own_frames_are_kept() -> None:
    audio = Record(CLIENT, 30, APPEND, due=10, woke=20, span=Span("clip", 8, 13))
    commit = Record(CLIENT, 60, FINISH, due=40, woke=50)
    assert read(audio, commit).events == (
        Heard(0, 5, 10, 20, 30, 10),
        Commit(0, 40, 50, 60),
    )


def test_a_frame_that_was_received_is_due_where_it_arrived() -> None:
    assert read(Record(CLIENT, 7, APPEND)).events == (Heard(0, 2, 7, 7, 7, 4),)


@given(st.integers(0, 2_000))
def test_audio_is_counted_from_the_frame_where_it_has_no_span(samples: int) -> None:
    frame = VLLM.append(bytes(2 * samples)).decode()
    assert read(Record(CLIENT, 0, frame)).heard[0].samples == samples


# The requirements: each is shown satisfied, violated and undecided

UTTERANCES = (UPDATE, *SPEAK, *SPEAK)
SOUND: Mapping[str, Trace] = {
    "first-event": hold(*UTTERANCES),
    "order": hold(*UTTERANCES),
    "well-formed": hold(*UTTERANCES),
    "known-events": hold(*UTTERANCES),
    "unknown-event-refused": hold(UNKNOWN, *UTTERANCES, UNKNOWN),
    "bad-json-refused": hold(NO_JSON, *UTTERANCES, NO_JSON),
    "early-commit-refused": hold(BEGIN, *UTTERANCES),
    "deltas-add-up": hold(*UTTERANCES),
    "one-final": hold(*UTTERANCES),
    "usage-adds-up": hold(*UTTERANCES),
    "client-order": hold(*UTTERANCES, vantage=Vantage.SERVER),
    "client-well-formed": hold(*UTTERANCES, vantage=Vantage.SERVER),
    "client-known-events": hold(*UTTERANCES, vantage=Vantage.SERVER),
}


@dataclass(frozen=True)
class Broken:
    """A session that breaks a requirement, and what is said of it."""

    id: str
    trace: Trace
    message: str


def at_deadline(*frames: str) -> Trace:
    reason = "waited 30.0 s"
    return trace_of(mixed(*frames), how=Ending.DEADLINE, reason=reason)


def broken(*frames: str | bytes, faults: Sequence[str] = ()) -> Trace:
    return hold(*frames, faults=faults, how=Ending.DEADLINE)


BROKEN = (
    Broken("first-event", broken(UPDATE, faults=["mute"]), "nothing came: deadline"),
    Broken("first-event", at_deadline(), "nothing came: waited 30.0 s"),
    Broken(
        "first-event",
        broken(UPDATE, faults=["nameless"]),
        "session.created has an empty id",
    ),
    Broken(
        "first-event", at_deadline(error("x"), CREATED), "the first event was error"
    ),
    Broken(
        "first-event",
        at_deadline('{"type":"hello"}'),
        "the first event was of unknown type 'hello'",
    ),
    Broken("first-event", at_deadline("{"), "the first event was not JSON: "),
    Broken(
        "order",
        broken(*UTTERANCES, faults=["created-twice"]),
        "session.created came out of turn",
    ),
    Broken(
        "order",
        broken(*UTTERANCES, faults=["two-finals"]),
        "transcription.done came out of turn",
    ),
    Broken(
        "order",
        broken(*UTTERANCES, faults=["late-delta"]),
        "transcription.delta came out of turn",
    ),
    Broken("well-formed", broken(*UTTERANCES, faults=["no-json"]), "not JSON: "),
    Broken(
        "well-formed",
        at_deadline(CREATED, '{"type":"transcription.done"}'),
        "transcription.done: ",
    ),
    Broken(
        "known-events",
        broken(*UTTERANCES, faults=["novelty"]),
        "an event of unknown type 'novelty.event'",
    ),
    Broken(
        "unknown-event-refused",
        broken(UNKNOWN, *UTTERANCES, faults=["tolerant"]),
        "an unknown event was answered by no error, not by unknown_event",
    ),
    Broken(
        "unknown-event-refused",
        at_deadline(UNKNOWN, error("b"), error("a"), error(None)),
        "an unknown event was answered by None, a, b, not by unknown_event",
    ),
    Broken(
        "unknown-event-refused",
        at_deadline(error("unknown_event"), UNKNOWN),
        "an unknown event was answered by no error",
    ),
    Broken(
        "unknown-event-refused",
        at_deadline(UNKNOWN, UNKNOWN, error("unknown_event")),
        "an unknown event was answered by unknown_event, not by unknown_event",
    ),
    Broken(
        "bad-json-refused",
        broken(NO_JSON, *UTTERANCES, faults=["tolerant"]),
        "a frame that is no JSON was answered by no error, not by invalid_json",
    ),
    Broken(
        "early-commit-refused",
        broken(BEGIN, *UTTERANCES, faults=["tolerant"]),
        "a commit before session.update was answered by no error",
    ),
    Broken(
        "early-commit-refused",
        broken(BEGIN, faults=["tolerant"]),
        "a commit before session.update was answered by no error",
    ),
    Broken(
        "deltas-add-up",
        broken(*UTTERANCES, faults=["lost-delta"]),
        "the deltas add up to ' forward', but done says 'go forward'",
    ),
    Broken(
        "deltas-add-up",
        at_deadline(delta("a"), error("x"), delta("b"), done("c")),
        "the deltas add up to 'ab', but done says 'c'",
    ),
    Broken(
        "one-final",
        broken(*UTTERANCES, faults=["no-final"]),
        "no transcription.done came: deadline",
    ),
    Broken(
        "one-final",
        at_deadline(BEGIN, FINISH, done("a"), BEGIN, FINISH),
        "no transcription.done came: waited 30.0 s",
    ),
    Broken(
        "one-final",
        at_deadline(BEGIN, error("x"), FINISH, done("a"), BEGIN, FINISH),
        "no transcription.done came: waited 30.0 s",
    ),
    Broken(
        "one-final",
        at_deadline(BEGIN, error("x"), BEGIN, FINISH),
        "no transcription.done came: waited 30.0 s",
    ),
    Broken(
        "one-final",
        broken(*UTTERANCES, faults=["two-finals"]),
        "a transcription.done that no commit asked for",
    ),
    Broken(
        "usage-adds-up",
        broken(*UTTERANCES, faults=["bad-usage"]),
        "usage does not add up: -1 + 3 is not 2",
    ),
    Broken(
        "usage-adds-up",
        at_deadline(done("a"), done("a", 1, 2, 4)),
        "usage does not add up: 1 + 2 is not 4",
    ),
    Broken(
        "usage-adds-up",
        at_deadline('{"type":"transcription.done","text":""}'),
        "transcription.done carries no usage",
    ),
    Broken(
        "client-order",
        hold(UPDATE, FINISH, vantage=Vantage.SERVER),
        "input_audio_buffer.commit final came out of turn",
    ),
    Broken(
        "client-well-formed",
        hold(UPDATE, b"\0", vantage=Vantage.SERVER),
        "a binary frame",
    ),
    Broken(
        "client-known-events",
        hold(UPDATE, UNKNOWN, vantage=Vantage.SERVER),
        "an event of unknown type 'input_audio_buffer.clear'",
    ),
)

SILENT = trace_of([])
CUT: Mapping[str, tuple[Trace, str]] = {
    "first-event": (SILENT, "the session was over before the server could speak"),
    "order": (SILENT, "the server said nothing that has an order"),
    "well-formed": (SILENT, "the server said nothing"),
    "known-events": (SILENT, "the server said nothing"),
    "unknown-event-refused": (
        trace_of(mixed(UNKNOWN)),
        "we closed before an unknown event was answered",
    ),
    "bad-json-refused": (
        trace_of(mixed(NO_JSON)),
        "we closed before a frame that is no JSON was answered",
    ),
    "early-commit-refused": (
        trace_of(mixed(BEGIN)),
        "we closed before a commit before session.update was answered",
    ),
    "deltas-add-up": (trace_of(mixed(delta("a"))), "no transcription.done came"),
    "one-final": (
        trace_of(mixed(BEGIN, FINISH)),
        "we closed before the transcription was done",
    ),
    "usage-adds-up": (trace_of(mixed(delta("a"))), "no transcription.done came"),
    "client-order": (
        replace(SILENT, vantage=Vantage.SERVER),
        "the client said nothing that has an order",
    ),
    "client-well-formed": (
        replace(SILENT, vantage=Vantage.SERVER),
        "the client said nothing",
    ),
    "client-known-events": (
        replace(SILENT, vantage=Vantage.SERVER),
        "the client said nothing",
    ),
}


def test_no_requirement_is_left_without_its_proofs() -> None:
    ids = [requirement.id for requirement in REQUIREMENTS]
    assert VLLM.requirements is REQUIREMENTS
    assert len(set(ids)) == len(ids)
    assert set(SOUND) == {each.id for each in BROKEN} == set(CUT) == set(ids)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda each: each.id)
def test_a_requirement_says_whence_it_comes(requirement: Requirement) -> None:
    assert requirement.clause.startswith("vLLM 0.33.0, ")
    assert requirement.title
    assert (requirement.blames is CLIENT) == requirement.id.startswith("client-")


@pytest.mark.parametrize("name", SOUND)
def test_satisfied_by_a_sound_session(name: str) -> None:
    assert judged(name, SOUND[name]) == Satisfied()


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
def test_violated_by_a_broken_session(case: Broken) -> None:
    outcome = judged(case.id, case.trace)
    assert isinstance(outcome, Violated)
    assert outcome.message.startswith(case.message)
    sides = {case.trace.records[index].sender for index in outcome.records}
    assert len(sides) <= 1


@pytest.mark.parametrize("name", CUT)
def test_undecided_where_we_cut_the_session_short(name: str) -> None:
    held, reason = CUT[name]
    assert judged(name, held) == Undecided(reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unknown-event-refused", "an unknown event was not sent"),
        ("bad-json-refused", "a frame that is no JSON was not sent"),
        ("early-commit-refused", "a commit before session.update was not sent"),
    ],
)
def test_undecided_where_nothing_was_to_be_refused(name: str, reason: str) -> None:
    assert judged(name, hold(*UTTERANCES)) == Undecided(reason)


def test_one_final_is_undecided_where_no_audio_was_completed() -> None:
    assert judged("one-final", hold(UPDATE, FINISH)) == Undecided(
        "no audio was completed"
    )


def test_a_refused_handshake_says_nothing_of_the_first_event() -> None:
    refused = replace(SILENT, opened=None, end=End(Ending.REFUSED, 1, 401))
    assert isinstance(judged("first-event", refused), Undecided)


def test_a_violation_names_all_records() -> None:
    outcome = judged("well-formed", broken(*UTTERANCES, faults=["no-json"]))
    assert isinstance(outcome, Violated)
    assert len(outcome.records) == 6


def test_a_message_that_is_json_is_none_of_those_that_are_not() -> None:
    assert judged("bad-json-refused", hold("[]", b"\0", *UTTERANCES)) == Undecided(
        "a frame that is no JSON was not sent"
    )


HARMLESS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "before": lambda e: (e, BEGIN, APPEND, FINISH, delta("a"), done("a")),
    "in mid-utterance": lambda e: (BEGIN, delta("a"), e, FINISH, done("a")),
    "twice": lambda e: (BEGIN, e, e, FINISH, e, delta("a"), done("a")),
    "after the commit": lambda e: (BEGIN, FINISH, e, delta("a"), done("a")),
    "after the final": lambda e: (BEGIN, FINISH, delta("a"), done("a"), e),
    "failed while it spoke": lambda e: (BEGIN, delta("b"), e, FINISH),
    "failed at its end": lambda e: (BEGIN, delta("b"), FINISH, delta("c"), e),
    "given up": lambda e: (BEGIN, delta("b"), e),
}


@pytest.mark.parametrize("when", HARMLESS)
@pytest.mark.parametrize("code", ["invalid_audio", "processing_error"])
def test_an_error_may_end_an_utterance_and_need_not(when: str, code: str) -> None:
    frames = HARMLESS[when](error(code))
    more = (BEGIN, APPEND, FINISH, delta("d"), delta("e"), done("de"))
    held = at_deadline(CREATED, UPDATE, *frames, *more)
    assert observe(REQUIREMENTS, dialects.observe(VLLM, held)) == ()


# The golden traces: a later reader must judge them as today


def test_the_golden_trace_of_a_sound_session() -> None:
    held = trace.read(GOLDEN / "vllm-sound.jsonl")
    timeline = dialects.read(VLLM, held)
    assert timeline.session == "sess-golden"
    assert [timeline.item(n).text for n in (0, 1)] == ["go forward", "turn left"]
    assert [each.samples for each in timeline.item(0).heard] == [1600, 3200]
    assert observe(REQUIREMENTS, dialects.observe(VLLM, held)) == ()


def test_the_golden_trace_of_a_broken_session() -> None:
    held = trace.read(GOLDEN / "vllm-broken.jsonl")
    violations = observe(REQUIREMENTS, dialects.observe(VLLM, held))
    assert [(each.requirement.id, each.count) for each in violations] == [
        ("order", 3),
        ("well-formed", 3),
        ("known-events", 3),
        ("deltas-add-up", 2),
        ("one-final", 1),
        ("usage-adds-up", 1),
    ]
