"""Tests of vLLM's dialect: its client, reader, server and requirements."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.dialects.vllm.events import (
    TABLE,
    Append,
    CommitEvent,
    Delta,
    Done,
    Error,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    Tokens,
)
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.checks.lost_words import CUT, JITTERED, JOINED
from pytest_realtime_asr.requirements.evidence import (
    Answer,
    Evidence,
    Gauges,
    Part,
    SessionFinding,
)
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Requirement,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.requirements.scenario_steps import Misuse
from pytest_realtime_asr.requirements.violations import observe
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import (
    Ending,
    Ping,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
    content,
)
from pytest_realtime_asr.trace.records import read as read_trace
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Final,
    Heard,
    Partial,
    Refusal,
    Timeline,
    Usage,
)
from tests.support.many_clips import (
    UNPROTECTED,
    sessions,
    without_first,
    without_last,
)
from tests.support.paths import FIXTURES
from tests.support.sessions import (
    ALONE,
    APPEND,
    BEGIN,
    BOTH,
    CLIENT,
    CREATED,
    CREATED_AT,
    FINISH,
    FIRST,
    MS,
    SECOND,
    SERVER,
    SILENCE,
    SPEAK,
    UNKNOWN,
    UPDATE,
    UPDATED,
    WAITED,
    Frame,
    Hand,
    created,
    delta,
    done,
    error,
    hold,
    misused,
    mixed,
    paced,
    part,
    spoke,
    trace_of,
    unopened,
)
from tests.support.spellings import KEY

GOLDEN = FIXTURES / "traces"
REQUIREMENTS = VLLM.requirements
CALLER = VLLM.caller("m", {})
BY_ID = {requirement.id: requirement for requirement in REQUIREMENTS}


def whole(held: Trace) -> Evidence:
    """Return a session as evidence."""
    return Evidence((dialects.part(VLLM, held),))


def judged(name: str, held: Trace) -> Outcome:
    return BY_ID[name].check(whole(held))


def broken_by(held: Trace) -> list[tuple[str, int]]:
    """Return the id of each requirement that the peer violated, and how often."""
    violations = observe(REQUIREMENTS, dialects.part(VLLM, held))
    return [(each.requirement.id, each.count) for each in violations]


# The look-up


def test_a_dialect_is_found_by_its_name() -> None:
    assert dialects.load("vllm") is VLLM


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"unknown .*'esperanto'; choose from .*vllm"):
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
        (SERVER, created("sess-1", 1), SessionCreated("sess-1", 1)),
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
def test_parse(sender: Sender, frame: str | bytes, message: Message) -> None:
    assert parsed(frame, sender) == message


def test_the_move_is_the_type_of_an_event_or_the_kind_of_a_commit() -> None:
    assert parsed(delta("a")).move == "transcription.delta"
    assert parsed(BEGIN, CLIENT).move == "input_audio_buffer.commit"
    assert parsed(FINISH, CLIENT).move == "input_audio_buffer.commit final"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("[1]", "a JSON list, not an object"),
        ("null", "a JSON NoneType, not an object"),
        ("[1e999]", "a JSON value that cannot be decoded: "),
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
        "\ud800",
        '{"type":"\udfff"}',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"type":' * 100_000,
        '{"type":"error","error":1,"x":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
@pytest.mark.parametrize("sender", Sender)
def test_a_frame_without_json_is_malformed(frame: str | bytes, sender: Sender) -> None:
    message = parsed(frame, sender)
    assert isinstance(message, Malformed)
    assert not message.json
    assert message.reason.startswith("not JSON: ")


def test_a_lone_surrogate_that_a_server_repeats_is_not_malformed() -> None:
    echo = '{"type":"error","error":"no \\ud800 here","code":"unknown_event"}'
    assert parsed(echo, SERVER) == Error("no ? here", "unknown_event")
    ours = parsed('{"type":"\\ud800"}', CLIENT)
    assert isinstance(ours, Malformed)
    assert not ours.json


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


frames = st.tuples(texts | st.binary(), st.sampled_from(Sender), st.booleans())


@pytest.mark.slow
@given(st.lists(frames, max_size=9), st.sampled_from(Ending))
def test_neither_reading_nor_judging_raises(
    frames: list[tuple[str | bytes, Sender, bool]], how: Ending
) -> None:
    records = [
        Record(sender, at, data=frame, raw=raw)
        if isinstance(frame, bytes)
        else Record(sender, at, frame, raw=raw)
        for at, (frame, sender, raw) in enumerate(frames)
    ]
    for vantage in Vantage:
        held = trace_of(records, vantage=vantage, how=how)
        found = dialects.part(VLLM, held, spoken={0: FIRST, 1: SECOND})
        assert len(found.recording.messages) == len(records)
        assert found.timeline.end == held.end
        for requirement in REQUIREMENTS:
            roles = (*requirement.scenarios, "bystander", "fresh")
            parts = tuple(replace(found, role=role) for role in roles)
            requirement.check(Evidence(parts))


@pytest.mark.slow
@given(st.lists(texts | st.binary(), max_size=9))
def test_the_server_answers_whatever_it_hears(frames: list[str | bytes]) -> None:
    server = VLLM.server(["m"])
    for frame in frames:
        for reply in server.hear(frame).replies:
            assert isinstance(parsed(reply), Error)


# What a client says


@given(st.binary())
def test_append_equals_the_output_of_a_json_encoder(pcm: bytes) -> None:
    event = {
        "type": "input_audio_buffer.append",
        "audio": base64.b64encode(pcm).decode(),
    }
    assert CALLER.append(pcm) == json.dumps(event, separators=(",", ":")).encode()


def test_configure_accepts_fields_of_the_user() -> None:
    (frame,) = VLLM.caller("m", {"language": "ä"}).configure()
    assert json.loads(frame) == {
        "type": "session.update",
        "model": "m",
        "language": "ä",
    }
    assert VLLM.parse(Record(CLIENT, 0, *content(frame))) == SessionUpdate("m")


def test_both_halves_understand_each_other_in_a_whole_session() -> None:
    server = VLLM.server(["m"])
    records: list[Record] = []

    def told(frames: Iterable[str | bytes]) -> None:
        for frame in frames:
            assert isinstance(parsed(frame), SessionCreated | Delta | Done), (
                f"the client does not understand {frame!r}"
            )
            records.append(Record(SERVER, len(records) * MS, *content(frame)))

    def says(frames: Iterable[str | bytes]) -> Reaction:
        reaction = Reaction()
        for frame in frames:
            records.append(Record(CLIENT, len(records) * MS, *content(frame)))
            reaction = server.hear(frame)
            assert reaction.replies == (), f"the server refuses {frame!r}"
        return reaction

    told(server.open("sess-1", CREATED_AT))
    assert says(VLLM.caller("m", {}).configure()) == Reaction()
    for text, pcm in (("go forward", b"\1\0" * 99), ("turn left", b"\2\0" * 51)):
        assert says(CALLER.begin()) == Reaction(begin=True)
        for half in (pcm[:50], pcm[50:]):
            assert says([CALLER.append(half).decode()]) == Reaction(audio=half)
        told(server.partial(text[:4], 0))
        assert says(CALLER.finish()) == Reaction(finish=True)
        told(server.partial(text[4:], 0))
        told(server.final(text, Usage(4, 2), 0))
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
    assert broken_by(held) == []
    assert broken_by(replace(held, vantage=Vantage.SERVER)) == []


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
    messages = dialects.recording(VLLM, held).messages
    errors = [message for message in messages if isinstance(message, Error)]
    assert [each.code for each in errors] == [code]
    assert all(each.error for each in errors)
    timeline = dialects.read(VLLM, held)
    assert timeline.text == "go forward"
    (refusal,) = timeline.refusals
    assert refusal.code == code
    assert refusal.item == (0 if BEGIN in (*before, frame) else None)
    assert broken_by(held) == []


def heard(*frames: str | bytes) -> list[Reaction]:
    server = VLLM.server(["m"])
    return [server.hear(frame) for frame in frames]


def test_the_server_ignores_some_frames_silently() -> None:
    assert heard(UPDATE, FINISH)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, BEGIN)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, FINISH, FINISH)[-1] == Reaction()
    assert heard(UPDATE, BEGIN, FINISH, APPEND)[-1] == Reaction()


@pytest.mark.parametrize(
    "frames",
    [
        (UPDATE, APPEND, FINISH),
        (APPEND, UPDATE, FINISH),
        (UPDATE, BEGIN, FINISH, BEGIN),
    ],
)
def test_an_utterance_that_would_be_lost_is_refused(frames: tuple[str, ...]) -> None:
    (reply,) = heard(*frames)[-1].replies
    assert parsed(reply).code == "invalid_event"  # type: ignore[attr-defined]


def test_audio_that_belongs_to_no_utterance_does_not_refuse_the_next_one() -> None:
    *_, begun, _, ended = heard(UPDATE, APPEND, FINISH, BEGIN, APPEND, FINISH)
    assert begun.begin
    assert ended.finish


def test_audio_may_come_before_the_session_is_set_up() -> None:
    assert heard(APPEND, UPDATE, APPEND) == [
        Reaction(audio=bytes(4)),
        Reaction(),
        Reaction(audio=bytes(4)),
    ]


def test_an_unknown_usage_counts_as_0_tokens() -> None:
    (frame,) = VLLM.server(["m"]).final("a", Usage(), 0)
    assert parsed(frame) == Done("a", Tokens(0, 0, 0))


# Reading


def read(*records: Record) -> Timeline:
    return dialects.read(VLLM, trace_of(records))


def test_a_timeline_has_the_session_data_of_the_trace() -> None:
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


def test_each_utterance_has_its_own_number_audio_and_text() -> None:
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


def test_an_utterance_may_begin_before_the_final_of_the_last_one() -> None:
    """The frames of the two sides then belong to different utterances."""
    timeline = read(
        *mixed(BEGIN, APPEND, FINISH, BEGIN, APPEND, delta("a"), done("a")),
        *mixed(FINISH, delta("b"), done("b")),
    )
    assert [timeline.item(n).text for n in (0, 1)] == ["a", "b"]
    assert [len(timeline.item(n).heard) for n in (0, 1)] == [1, 1]


def test_an_empty_delta_is_no_text() -> None:
    assert read(*mixed(BEGIN, delta(""), delta(""))).events == ()


def test_a_partial_continues_the_last_one() -> None:
    timeline = read(*mixed(BEGIN, delta("añ"), delta("🎤"), delta("!")))
    assert timeline.events == (
        Partial(0, 3 * MS, 0, "añ"),
        Partial(0, 4 * MS, 2, "🎤"),
        Partial(0, 5 * MS, 3, "!"),
    )


def test_a_final_without_usage_has_no_token_counts() -> None:
    timeline = read(*mixed('{"type":"transcription.done","text":"a"}'))
    assert timeline.events == (Final(0, 2 * MS, "a", None),)


def test_a_commit_with_nothing_begun_ends_no_utterance() -> None:
    timeline = read(*mixed(FINISH, BEGIN, FINISH, FINISH))
    items = [each.item for each in timeline.events if isinstance(each, Commit)]
    assert items == [0]


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
def test_a_refusal_has_the_number_of_the_open_utterance(
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
    begin = Record(CLIENT, 5, BEGIN)
    audio = Record(CLIENT, 30, APPEND, due=10, woke=20, span=Span("clip", 8, 13))
    commit = Record(CLIENT, 60, FINISH, due=40, woke=50)
    assert read(begin, audio, commit).events == (
        Heard(0, 5, 10, 20, 30, 10),
        Commit(0, 40, 50, 60),
    )


def test_a_received_frame_is_due_when_it_arrived() -> None:
    assert read(Record(CLIENT, 7, APPEND)).events == (Heard(0, 2, 7, 7, 7, 4),)


@given(st.integers(0, 2_000))
def test_audio_without_a_span_is_counted_from_its_frame(samples: int) -> None:
    frame = CALLER.append(bytes(2 * samples)).decode()
    assert read(Record(CLIENT, 0, frame)).heard[0].samples == samples


# The requirements: each is shown satisfied, violated and undecided

UTTERANCES = (UPDATE, *SPEAK, *SPEAK)
THANKS = "Thank you."


def at_deadline(*frames: Frame) -> Trace:
    return trace_of(mixed(*frames), how=Ending.DEADLINE, reason=WAITED)


def broken(*frames: Frame, faults: Sequence[str] = ()) -> Trace:
    return hold(*frames, faults=faults, how=Ending.DEADLINE)


SOUND_SESSION = hold(*UTTERANCES)
SOUND_CLIENT = replace(SOUND_SESSION, vantage=Vantage.SERVER)
SILENT = trace_of([])
SILENT_CLIENT = replace(SILENT, vantage=Vantage.SERVER)
REFUSED = replace(SILENT, opened=None, end=replace(SILENT.end, how=Ending.REFUSED))
STACK = 'Traceback (most recent call last):\n  File "/a.py", line 1'

# What holds for every session: a sound one, one that tells nothing, and broken ones.

PASSIVE: Mapping[str, tuple[Trace, Trace, str]] = {
    "first-event": (
        SOUND_SESSION,
        SILENT,
        "the session ended before the server sent anything",
    ),
    "created-now": (SOUND_SESSION, SILENT, "no session.created came"),
    "order": (SOUND_SESSION, SILENT, "the server sent no event whose order is checked"),
    "well-formed": (SOUND_SESSION, SILENT, "the server sent nothing"),
    "known-events": (SOUND_SESSION, SILENT, "the server sent nothing"),
    "deltas-add-up": (
        SOUND_SESSION,
        trace_of(mixed(delta("a"))),
        "no transcription.done came",
    ),
    "one-final": (
        SOUND_SESSION,
        trace_of(mixed(CREATED, UPDATE, BEGIN, FINISH)),
        "the client ended the session before transcription.done",
    ),
    "usage-adds-up": (
        SOUND_SESSION,
        trace_of(mixed(delta("a"))),
        "no transcription.done came",
    ),
    "usage-counts": (
        SOUND_SESSION,
        trace_of(mixed(done("", 0, 0, 0))),
        "no final had both a text and a usage",
    ),
    "usage-matches": (
        SOUND_SESSION,
        trace_of(mixed(done("", 0, 0, 0))),
        "no text came with a usage",
    ),
    "errors-have-codes": (hold(UNKNOWN), SOUND_SESSION, "no error came"),
    "closes-are-explained": (SOUND_SESSION, REFUSED, "no session was opened"),
    "no-stack-trace": (SOUND_SESSION, SILENT, "the server sent nothing"),
    "no-secret": (SOUND_SESSION, SILENT, "the server sent nothing"),
    "whole-characters": (SOUND_SESSION, SILENT, "no text came"),
    "no-control-tokens": (SOUND_SESSION, SILENT, "no text came"),
    "no-vocabulary-tokens": (SOUND_SESSION, SILENT, "no text came"),
    "no-control-characters": (SOUND_SESSION, SILENT, "no text came"),
    "directions-paired": (SOUND_SESSION, SILENT, "no final came"),
    "no-early-text": (SOUND_SESSION, SILENT, "no text came"),
    "client-order": (
        SOUND_CLIENT,
        SILENT_CLIENT,
        "the client sent no event whose order is checked",
    ),
    "client-well-formed": (SOUND_CLIENT, SILENT_CLIENT, "the client sent nothing"),
    "client-known-events": (SOUND_CLIENT, SILENT_CLIENT, "the client sent nothing"),
}


@dataclass(frozen=True)
class Broken:
    """A session that violates a requirement, with the message of the violation."""

    id: str
    trace: Trace
    message: str


BROKEN = (
    Broken(
        "first-event",
        broken(UPDATE, faults=["mute"]),
        "the server sent no event: deadline",
    ),
    Broken("first-event", at_deadline(), "the server sent no event: waited 30.0 s"),
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
        "created-now",
        at_deadline(created(at=1)),
        "created is 1, but the session started at ",
    ),
    Broken(
        "order",
        broken(*UTTERANCES, faults=["created-twice"]),
        "session.created came out of order",
    ),
    Broken(
        "order",
        broken(*UTTERANCES, faults=["two-finals"]),
        "transcription.done came out of order",
    ),
    Broken(
        "order",
        broken(*UTTERANCES, faults=["late-delta"]),
        "transcription.delta came out of order",
    ),
    Broken("well-formed", broken(*UTTERANCES, faults=["no-json"]), "not JSON: "),
    Broken(
        "well-formed",
        at_deadline(CREATED, '{"type":"transcription.done"}'),
        "transcription.done: ",
    ),
    Broken(
        "known-events",
        at_deadline(CREATED, '{"type":"transcription.novelty"}'),
        "the server sent an event of unknown type 'transcription.novelty'",
    ),
    Broken(
        "known-events",
        at_deadline("{}"),
        "the server sent an event of unknown type None",
    ),
    Broken(
        "deltas-add-up",
        broken(*UTTERANCES, faults=["lost-delta"]),
        "the deltas add up to ' forward', not to the final text 'go forward'",
    ),
    Broken(
        "deltas-add-up",
        at_deadline(delta("a"), error("x"), delta("b"), done("c")),
        "the deltas add up to 'ab', not to the final text 'c'",
    ),
    Broken(
        "one-final",
        broken(UPDATE, *SPEAK, faults=["no-final"]),
        "no transcription.done came after the final commit: deadline",
    ),
    Broken(
        "one-final",
        at_deadline(CREATED, UPDATE, BEGIN, FINISH, done("a"), BEGIN, FINISH),
        "no transcription.done came after the final commit: waited 30.0 s",
    ),
    Broken(
        "one-final",
        at_deadline(
            *(CREATED, UPDATE, BEGIN, error("x"), FINISH, done("a"), BEGIN, FINISH)
        ),
        "no transcription.done came after the final commit: waited 30.0 s",
    ),
    Broken(
        "one-final",
        at_deadline(CREATED, UPDATE, BEGIN, error("x"), FINISH, delta("it goes on")),
        "no transcription.done came after the final commit: waited 30.0 s",
    ),
    Broken(
        "one-final",
        broken(*UTTERANCES, faults=["two-finals"]),
        "a transcription.done came, but it belongs to no completed utterance",
    ),
    Broken(
        "usage-adds-up",
        broken(*UTTERANCES, faults=["bad-usage"]),
        "the counts in usage must be 0 or more and add up, but are -1 + 3 = 2",
    ),
    Broken(
        "usage-adds-up",
        at_deadline(done("a"), done("a", 1, 2, 4)),
        "the counts in usage must be 0 or more and add up, but are 1 + 2 = 4",
    ),
    Broken(
        "usage-adds-up",
        at_deadline('{"type":"transcription.done","text":""}'),
        "transcription.done has no usage",
    ),
    Broken(
        "usage-counts",
        at_deadline(done("a", 2, 0, 2)),
        "usage must count tokens of the audio and of the text 'a', but is Tokens(",
    ),
    Broken(
        "usage-counts",
        at_deadline(done("a", 0, 3, 3)),
        "usage must count tokens of the audio and of the text 'a', but is Tokens(",
    ),
    Broken(
        "usage-matches",
        broken(*UTTERANCES, faults=["one-token", "stutters"]),
        "usage counts 1 tokens for a text of 6 words: 'go forward go forward go ",
    ),
    Broken(
        "errors-have-codes",
        at_deadline(error(None)),
        "the server sent an error without a code",
    ),
    Broken(
        "errors-have-codes",
        at_deadline(error("x", "")),
        "the server sent an error without a message",
    ),
    Broken(
        "closes-are-explained",
        hold(UPDATE, BEGIN, how=Ending.CLOSED_BY_PEER, code=1011, reason="oops"),
        "the server sent no error before the session ended: the server closed with "
        "code 1011: oops",
    ),
    Broken(
        "closes-are-explained",
        hold(UPDATE, BEGIN, how=Ending.BROKEN),
        "the server sent no error before the session ended: the connection broke off",
    ),
    Broken(
        "no-stack-trace",
        at_deadline(CREATED, error("x", STACK)),
        "a frame of the server shows a stack trace",
    ),
    Broken(
        "no-stack-trace",
        hold(how=Ending.CLOSED_BY_PEER, code=1011, reason='File "/a.py", line 1'),
        "the reason in the server's close frame shows a stack trace",
    ),
    Broken(
        "no-secret",
        replace(
            at_deadline(CREATED, error("x", f"the key {KEY} is wrong")),
            redactor=Redactor([KEY]),
        ),
        "a frame of the server shows the client's key",
    ),
    Broken(
        "whole-characters",
        at_deadline(CREATED, UPDATE, *SPEAK, delta("caf\ufffd")),
        "a broken character '\ufffd' is in the text 'caf\ufffd'",
    ),
    Broken(
        "no-control-tokens",
        at_deadline(CREATED, UPDATE, *SPEAK, delta("a<|end"), delta("oftext|>")),
        "a control token '<|endoftext|>' is in the text 'a<|endoftext|>'",
    ),
    Broken(
        "no-vocabulary-tokens",
        broken(*UTTERANCES, faults=["vocabulary-shown"]),
        "a word-piece mark '\u2581' is in the text '\u2581go'",
    ),
    Broken(
        "no-vocabulary-tokens",
        broken(*UTTERANCES, faults=["unknown-words"]),
        "a vocabulary token '<unk>' is in the text 'go <unk>'",
    ),
    Broken(
        "no-control-characters",
        broken(*UTTERANCES, faults=["control-characters"]),
        "a control character '\\x00' is in the text 'go\\x00'",
    ),
    Broken(
        "directions-paired",
        broken(*UTTERANCES, faults=["unpaired-directions"]),
        "an unpaired direction control '\\u202e' is in the text '\\u202ego forward'",
    ),
    Broken(
        "no-early-text",
        at_deadline(CREATED, UPDATE, BEGIN, delta("so")),
        "the text 'so' came before any audio of its",
    ),
    Broken(
        "client-order",
        hold(UPDATE, FINISH, vantage=Vantage.SERVER),
        "input_audio_buffer.commit final came out of order",
    ),
    Broken(
        "client-well-formed",
        hold(UPDATE, b"\0", vantage=Vantage.SERVER),
        "a binary frame",
    ),
    Broken(
        "client-known-events",
        hold(UPDATE, UNKNOWN, vantage=Vantage.SERVER),
        "the client sent an event of unknown type 'input_audio_buffer.clear'",
    ),
)


# What has to be provoked


@dataclass(frozen=True)
class Proof:
    """Evidence that satisfies a requirement, and evidence that violates it."""

    sound: Evidence
    broken: Evidence
    message: str


def proof(sound: Sequence[Part], broken: Sequence[Part], message: str) -> Proof:
    return Proof(Evidence(tuple(sound)), Evidence(tuple(broken)), message)


def finishes(role: str) -> Proof:
    lost = "no final came for turn-right: waited 30.0 s"
    return proof([spoke(role, FIRST.text)], [spoke(role, None)], lost)


def survives(role: str) -> Proof:
    done_to = part(role, CREATED, UPDATE, Hand(UNKNOWN), how=Ending.BROKEN)
    others = spoke("bystander", FIRST.text, FIRST.text), spoke("fresh", FIRST.text)
    lost = spoke("bystander", FIRST.text, None), spoke("fresh", FIRST.text)
    return proof(
        [done_to, *others], [done_to, *lost], "no final came for open-door: waited"
    )


def refused(name: str, what: str, codes: str = "") -> Proof:
    fault = "wrong-codes" if codes else "tolerant"
    return proof([misused(name)], [misused(name, fault)], f"{what} {codes}".strip())


def unanswered(name: str, what: str) -> Proof:
    return refused(name, f"{what} got no error within the time given")


def wrongly(name: str, what: str, code: str) -> Proof:
    return refused(
        name,
        f"{what} was answered by an error with the code server_error, not with",
        code,
    )


def same_text(role: str) -> Proof:
    return proof(
        [*ALONE, spoke(role, FIRST.text), spoke(role, "turn right and drop")],
        [*ALONE, spoke(role, "turn left"), spoke(role, "turn left")],
        "2 of 2 texts differ from the solo transcript of their clip: 'turn left' "
        "instead of 'turn right and stop' (3 of 4 words",
    )


def begins(role: str) -> Proof:
    return proof(
        [*ALONE, spoke(role, FIRST.text, SECOND.text)],
        [*ALONE, spoke(role, "right and stop", "the front door")],
        "the first word is missing in 2 of 2 texts: 'right and stop' instead of 'turn "
        "right and stop'",
    )


def kept_apart(role: str, before: Sequence[Frame] = (UPDATE,)) -> Proof:
    return proof(
        [*ALONE, spoke(role, FIRST.text, SECOND.text, before=before)],
        [*ALONE, spoke(role, FIRST.text, BOTH.text, before=before)],
        "the text 'turn right and stop open the front door' came for the clip 'open "
        "the front door' but has words of another clip",
    )


def wordless(role: str) -> Proof:
    clips = (SILENCE, FIRST)
    return proof(
        [spoke(role, "", FIRST.text, clips=clips)],
        [spoke(role, THANKS, FIRST.text, clips=clips)],
        "the text 'Thank you.' came for an utterance without speech",
    )


def silent(role: str) -> Proof:
    stray = (CREATED, UPDATE, Hand(FINISH))
    sound = part(role, *stray, *SPEAK, done("a"))
    return proof([sound], [part(role, *stray, error("x"))], "a")


def pongs(role: str) -> Proof:
    return proof(
        [part(role, CREATED, pings=(Ping(MS, 3 * MS),))],
        [part(role, CREATED, pings=(Ping(MS, 3 * MS), Ping(MS, None)))],
        "a ping was not answered in time",
    )


def turned_away(role: str) -> Proof:
    return proof(
        [part("close", CREATED), unopened(role, code=403)],
        [part("close", CREATED), unopened(role, code=500)],
        "the handshake was refused by HTTP 500; the",
    )


def last(*started: float) -> Evidence:
    name = "process_start_time_seconds"
    gauges = tuple(Gauges("it", {name: each}) for each in started)
    return Evidence((spoke("last", FIRST.text),), gauges=gauges)


def left(*active: float, name: str = "vllm:websocket_connections_active") -> Evidence:
    gauges = tuple(Gauges("it", {name: each}) for each in active)
    return Evidence((part("abandoned", CREATED, UPDATE),), gauges=gauges)


def answered(status: int) -> Evidence:
    page = Answer("plain-http", status, "a page")
    return Evidence((part("close", CREATED),), answers=(page,))


def early_final(*answers: str) -> Part:
    frames: list[Frame] = [CREATED, Hand(FINISH), *answers, UPDATE, *SPEAK]
    return part("early-final", *frames, done("a"), spoken={0: FIRST})


def refused_begin(*more: str) -> Part:
    frames: list[Frame] = [CREATED, Hand(BEGIN), error("x"), Hand(APPEND), Hand(FINISH)]
    return part("refused-begin", *frames, *more)


def unbegun(*answers: str) -> Part:
    return part("unbegun", CREATED, UPDATE, Hand(APPEND), Hand(FINISH), *answers)


def early_begin(*answers: str) -> Part:
    second = (Hand(BEGIN), Hand(APPEND), Hand(FINISH))
    return part("early-begin", CREATED, UPDATE, *SPEAK, *second, *answers)


def counted(*prompts: int) -> Part:
    """A session whose utterances have usages with so many prompt tokens."""
    rows = zip((FIRST, SECOND, FIRST), prompts, strict=True)
    frames = [
        frame
        for clip, prompt in rows
        for frame in (*SPEAK, done(clip.text, prompt, 4, prompt + 4))
    ]
    spoken = dict(enumerate((FIRST, SECOND, FIRST)))
    return part("utterances", CREATED, UPDATE, *frames, spoken=spoken)


def two_set_ups(text: str) -> Sequence[Part]:
    """A session with two utterances of this text, and a session beside it."""
    own = spoke(shared.TWO_SET_UPS, text, text, clips=(FIRST, FIRST))
    return own, part(shared.BESIDE, CREATED, UPDATE)


def falling(share: float) -> Evidence:
    """Three sessions in which each word comes late by a share of its place."""
    ends = [(number + 1) / 2 for number in range(40)]
    words = tuple(Word("word", end - 0.5, end) for end in ends)
    clip = Utterance("speech", "word " * 40, silence(20.0), words=words)
    times = [(1 + share) * end for end in ends]
    return Evidence(
        tuple(
            replace(paced(role, *times, seconds=20.0), spoken={0: clip})
            for role in ("10s", "35s", "35s-alone")
        )
    )


FINDING = SessionFinding("random", "no final came", "a script")
THREE = "turn right turn right turn right and stop"
PATH = json.loads(str(misused("path-in-audio").trace.records[2].text))["audio"]["file"]
LOSSES: Mapping[str, Proof] = {
    "heads-of-clips-present": proof(
        sessions({}),
        sessions(dict.fromkeys(UNPROTECTED, without_first)),
        "the first word is missing in 12 of 12 clips",
    ),
    "tails-of-clips-present": proof(
        sessions({}),
        sessions(dict.fromkeys(UNPROTECTED, without_last)),
        "the last word is missing in 12 of 12 clips",
    ),
    "long-text-goes-on": proof(
        sessions({}),
        sessions({}, lost=range(5, 12)),
        "the text of long utterances ends too early: the last clips are missing in 14",
    ),
    "long-text-has-no-hole": proof(
        sessions({}),
        sessions({}, lost=range(4, 10)),
        "words in a row are missing in the middle of long utterances",
    ),
    "same-words-between-silence": proof(
        sessions({}),
        sessions({CUT: without_last}),
        "the text has more errors without silence around clips than with silence",
    ),
    "same-words-in-chunks": proof(
        sessions({}),
        sessions({"clips-in-20ms": without_last}),
        "the text has more errors if the audio is sent in chunks of 20 ms than with",
    ),
    "same-words-in-bursts": proof(
        sessions({}),
        sessions({JITTERED: without_last}),
        "the text has more errors if the audio comes late and in bursts than",
    ),
    "same-words-joined": proof(
        sessions({}),
        sessions({JOINED: without_last}),
        "the text has more errors if clips are joined with a pause than",
    ),
    "same-words-in-long": proof(
        sessions({}),
        sessions({"60s-fast": without_last}),
        "the text of a clip has more errors inside a long utterance than if the clip",
    ),
    "no-doubled-words-in-long": proof(
        sessions({}),
        sessions({"60s-fast": lambda text: text.replace("a black", "a a", 1)}),
        "a word comes twice and the next word is missing at 12 places of long texts",
    ),
    "no-leftover-punctuation": proof(
        sessions({}),
        sessions({CUT: lambda text: f"? {text}" if text[0] != "a" else text}),
        "11 of 11 texts start with punctuation of the utterance before",
    ),
}

PROVOKED: Mapping[str, Proof] = {
    **LOSSES,
    "first-utterance": proof(
        [spoke("first-utterance", FIRST.text)],
        [spoke("first-utterance", None)],
        "no final came for turn-right: waited",
    ),
    "no-loss": proof(
        [spoke("alone", "a", "a"), spoke("1s", "a"), spoke("2s", "a")],
        [spoke("alone", "a", "a"), spoke("1s", None), spoke("2s", None)],
        "2 of 4 plain utterances have no final: 50.0 % (95 % confidence ",
    ),
    "unique-ids": proof(
        ALONE,
        [spoke("alone", FIRST.text, name="a"), spoke("utterances", "a", name="a")],
        "two sessions have the id 'a'; each",
    ),
    "crowd-has-unique-ids": proof(
        [spoke("crowd", FIRST.text, name="a"), spoke("crowd", FIRST.text, name="b")],
        [spoke("crowd", FIRST.text), spoke("crowd", FIRST.text)],
        "two sessions have the id 'sess-crowd'; each",
    ),
    "update-is-silent": proof(
        [spoke("update-again", FIRST.text, before=(UPDATE, UPDATE))],
        [spoke("update-again", FIRST.text, before=(UPDATE, UPDATED, UPDATE))],
        "session.updated came, but the documented behaviour is to send no answer",
    ),
    "audio-before-update": proof(
        [*ALONE, spoke("early-audio", FIRST.text, before=(APPEND, UPDATE))],
        [*ALONE, spoke("early-audio", "", before=(APPEND, UPDATE))],
        "the text '' has only 0 of the 4 words of the solo transcript 'turn right and "
        "stop'",
    ),
    **{
        id: finishes(role)
        for id, role in {
            "update-again": "update-again",
            "unknown-fields-ignored": "extra-field",
            "empty-utterance-finishes": "empty",
            "silence-finishes": "silence",
            "pause-finishes": "pause",
            "utterances-finish": "utterances",
            "idle-outlived": "idle",
            "fragments-joined": "fragments",
            "crowd-finishes": "crowd",
            **{f"finishes-{n}": n for n in ("0.1s", "0.5s", "1s", "2s", "10s", "35s")},
        }.items()
    },
    **{
        id: survives(role)
        for id, role in {
            "huge-json-outlived": "huge-json",
            "big-audio-outlived": "big-audio",
            "oversized-frame-outlived": "oversized",
            "flood-outlived": "flood",
            "close-amid-speech-outlived": "cut",
            "reset-outlived": "reset",
            "half-open-outlived": "half-open",
            "empty-reset-outlived": "empty-reset",
            "abandoned-outlived": "abandoned",
            "slow-reader-harms-nobody": "slow-reader",
        }.items()
    },
    "bad-json-refused": wrongly("bad-json", "text that is not JSON", "invalid_json"),
    "no-object-refused": refused(
        "no-object", "4 frames with JSON that is not an object got no error"
    ),
    "deep-json-outlived": unanswered("deep-json", "deep JSON"),
    "duplicate-keys-refused": unanswered("duplicate-keys", "JSON with duplicate keys"),
    "not-a-number-outlived": refused(
        "not-a-number", "2 frames with the value NaN or Infinity got no error"
    ),
    "lone-surrogates-outlived": refused(
        "lone-surrogates", "2 frames with an unpaired surrogate got no error"
    ),
    "no-type-refused": wrongly("no-type", "an event without a type", "unknown_event"),
    "unknown-event-refused": wrongly(
        "unknown-event", "an unknown event", "unknown_event"
    ),
    "foreign-events-refused": wrongly(
        "foreign-events", "an event of OpenAI's protocol", "unknown_event"
    ),
    "append-without-audio-refused": unanswered(
        "append-without-audio", "an append without audio"
    ),
    "append-wrong-type-refused": refused(
        "append-wrong-type", "4 frames with audio that is not a string got no error"
    ),
    "commit-wrong-type-refused": refused(
        "commit-wrong-type",
        "2 frames with a commit with an invalid `final` got no error",
    ),
    "commit-not-boolean-refused": refused(
        "commit-not-boolean",
        "2 frames with a commit with an invalid `final` got no error",
    ),
    "composite-type-outlived": refused(
        "composite-type", "2 frames with a type that is a list or an object got no"
    ),
    "huge-number-outlived": unanswered("huge-number", "a number of 5,000 digits"),
    "empty-text-refused": unanswered("empty-text", "an empty text frame"),
    "update-without-model-refused": refused(
        "update-without-model", "2 frames with a set-up without a model got no error"
    ),
    "update-without-model-code": wrongly(
        "update-without-model", "a set-up without a model", "invalid_event"
    ),
    "update-wrong-type-refused": refused(
        "update-wrong-type",
        "3 frames with a model that is not a string got no error",
    ),
    "unknown-model-refused": unanswered("unknown-model", "an unknown model"),
    "unknown-model-code": wrongly(
        "unknown-model", "an unknown model", "model_not_found"
    ),
    "early-commit-refused": wrongly(
        "early-commit", "a commit before session.update", "model_not_validated"
    ),
    "early-commit-has-no-effect": proof(
        [refused_begin()],
        [refused_begin(delta(""), done("a"))],
        "a text came for an utterance whose start the server had refused",
    ),
    "early-final-refused": proof(
        [early_final(error("model_not_validated"))],
        [early_final()],
        "a final commit before session.update got no error",
    ),
    "bad-base64-refused": wrongly(
        "bad-base64", "audio that is not base64", "invalid_audio"
    ),
    "foreign-characters-refused": wrongly(
        "foreign-characters", "audio with characters outside base64", "invalid_audio"
    ),
    "odd-bytes-refused": wrongly("odd-bytes", "half a sample", "invalid_audio"),
    "empty-audio-refused": wrongly(
        "empty-audio", "audio without samples", "invalid_audio"
    ),
    "refusal-amid-speech": wrongly(
        "odd-bytes-amid-speech", "half a sample", "invalid_audio"
    ),
    "unknown-event-amid-speech": unanswered(
        "unknown-event-amid-speech", "an unknown event"
    ),
    "paths-removed": proof(
        [misused("path-in-audio")],
        [part("path-in-audio", CREATED, Hand(UNKNOWN), error("x", f"not {PATH}"))],
        "a frame of the server shows a path",
    ),
    "binary-answered": refused(
        "binary", "the frame was answered neither by an error nor by"
    ),
    "oversized-frame-closed": proof(
        [part("oversized", CREATED, how=Ending.CLOSED_BY_PEER, code=1009)],
        [part("oversized", Hand(UNKNOWN), how=Ending.CLOSED_BY_PEER, code=1011)],
        "the frame was answered neither by an error nor by a close with one of the "
        "codes 1008, 1009: the server closed with code 1011",
    ),
    "text-of-speech": proof(
        ALONE,
        [spoke("alone", "", ""), spoke("alone", " ")],
        "speech was sent, but no final has a word (finals: 3)",
    ),
    "no-repetition": proof(
        ALONE,
        [spoke("alone", THREE)],
        "the text has 'turn right' three times in a row",
    ),
    "text-while-speaking": proof(
        [paced("10s", 9.9)],
        [paced("10s", 10.1)],
        "no text came during the 10.0 s in which audio was sent",
    ),
    "no-stall": proof(
        [paced("10s", 1.0, 7.9)],
        [paced("10s", 1.0, 2.0)],
        "no new text for 8.0 s while speech was sent; the limit is 7 s",
    ),
    "empty-utterance-is-wordless": wordless("empty"),
    "silence-is-wordless": wordless("silence"),
    "quiet-noise-is-wordless": wordless("quiet-noise"),
    "keeps-up": Proof(falling(0.0), falling(0.2), "the text falls behind: its lag"),
    "usage-of-each": proof(
        [counted(20, 22, 20)],
        [counted(20, 42, 62)],
        "the usage of utterance 3 counts 62 prompt tokens, but utterance 1 has the",
    ),
    "set-ups-kept-apart": proof(
        [*ALONE, *two_set_ups(FIRST.text)],
        [*ALONE, *two_set_ups("und und und und")],
        "2 of 2 texts differ from the solo transcript of their clip: 'und und und",
    ),
    "stray-final-is-silent": silent("stray-final"),
    "second-begin-is-silent": silent("second-begin"),
    "early-final-spoils-nothing": same_text("early-final"),
    "stray-final-spoils-nothing": same_text("stray-final"),
    "unbegun-utterance-answered": proof(
        [unbegun(error("invalid_event"))],
        [unbegun()],
        "an utterance without a starting commit got no final and no error: nothing",
    ),
    "early-utterance-answered": proof(
        [early_begin(done("a"), done("b"))],
        [early_begin(done("a"))],
        "the utterance that began before the previous final got no",
    ),
    "second-final-spoils-nothing": same_text("second-final"),
    "second-begin-spoils-nothing": begins("second-begin"),
    "late-audio-spoils-nothing": kept_apart(
        "late-audio", before=(UPDATE, Hand(UNKNOWN), error("unknown_event"))
    ),
    "long-keeps-its-begin": proof(
        [*ALONE, spoke("35s", f"{FIRST.text} and what else was said")],
        [*ALONE, spoke("35s", f"what else was said in the time after it {FIRST.text}")],
        "over half of the words of the first clip, 'turn right and stop', are missing",
    ),
    "utterances-kept-apart": kept_apart("utterances"),
    "crowd-kept-apart": kept_apart("crowd"),
    "pause-loses-nothing": proof(
        [*ALONE, spoke("pause", BOTH.text, clips=(BOTH,))],
        [*ALONE, spoke("pause", FIRST.text, clips=(BOTH,))],
        "the text 'turn right and stop' has only 0 of the 4 words of the solo "
        "transcript 'open the front door'",
    ),
    "head-present": begins("utterances"),
    "tail-present": proof(
        [*ALONE, spoke("utterances", FIRST.text, SECOND.text)],
        [*ALONE, spoke("utterances", "turn right and", "open the front")],
        "the last word is missing in 2 of 2 texts: 'turn right and' instead of 'turn "
        "right and stop'",
    ),
    "pong": pongs("idle"),
    "pong-under-load": pongs("crowd"),
    "close-answered": proof(
        [part("close", CREATED, code=1000)],
        [part("close", CREATED)],
        "the client's close frame was not answered",
    ),
    "abandoned-freed": Proof(
        left(2, 3, 2),
        left(2, 3, 3),
        "vllm:websocket_connections_active was 2 and is 3 after 1 sessions were",
    ),
    "abandoned-requests-freed": Proof(
        left(2, 3, 2, name="vllm:num_requests_running"),
        left(2, 3, 3, name="vllm:num_requests_running"),
        "vllm:num_requests_running was 2 and is 3 after 1 sessions were abandoned",
    ),
    "wrong-path-refused": turned_away("wrong-path"),
    "wrong-key-refused": turned_away("wrong-key"),
    "plain-http-refused": Proof(
        answered(426), answered(500), "plain HTTP got HTTP 500"
    ),
    "random-sessions": Proof(
        survives("random").sound,
        replace(survives("random").sound, findings=(FINDING,)),
        FINDING.what,
    ),
    "one-process": Proof(last(5, 5), last(5, 9), "the server was restarted in or"),
    **{
        f"same-text-{role}": same_text(role)
        for role in (
            *("20ms-chunks", "100ms-chunks", "1s-chunks", "fast", "again"),
            *("crowd", "after-silence", "half-gain"),
        )
    },
}


def test_each_requirement_has_its_proofs() -> None:
    ids = [requirement.id for requirement in REQUIREMENTS]
    assert len(set(ids)) == len(ids)
    assert set(PASSIVE) == {each.id for each in BROKEN}
    assert set(PASSIVE) == {each.id for each in REQUIREMENTS if each.passive}
    assert set(PASSIVE) | set(PROVOKED) == set(ids)
    assert not set(PASSIVE) & set(PROVOKED)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda each: each.id)
def test_a_requirement_states_its_source(requirement: Requirement) -> None:
    assert requirement.clause
    assert requirement.title
    assert (requirement.binds is CLIENT) == requirement.id.startswith("client-")
    assert requirement.scenarios or requirement.binds is CLIENT


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda each: each.id)
def test_undecided_without_a_session(requirement: Requirement) -> None:
    assert isinstance(requirement.check(Evidence(())), Undecided)


@pytest.mark.parametrize("name", PASSIVE)
def test_satisfied_by_a_correct_session(name: str) -> None:
    assert judged(name, PASSIVE[name][0]) == Satisfied()


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.id)
def test_violated_by_a_broken_session(case: Broken) -> None:
    outcome = judged(case.id, case.trace)
    assert isinstance(outcome, Violated)
    assert outcome.message.startswith(case.message)
    sides = {case.trace.records[index].sender for index in outcome.records}
    assert len(sides) <= 1


@pytest.mark.parametrize("name", PASSIVE)
def test_undecided_by_a_session_without_evidence(name: str) -> None:
    _, held, reason = PASSIVE[name]
    assert judged(name, held) == Undecided(reason)


@pytest.mark.parametrize("name", PROVOKED)
def test_satisfied_by_correct_evidence(name: str) -> None:
    assert BY_ID[name].check(PROVOKED[name].sound) == Satisfied()


@pytest.mark.parametrize("name", PROVOKED)
def test_violated_by_broken_evidence(name: str) -> None:
    held = PROVOKED[name].broken
    outcome = BY_ID[name].check(held)
    assert isinstance(outcome, Violated)
    assert outcome.message.startswith(PROVOKED[name].message)
    if held.parts:
        records = held.parts[outcome.part].trace.records
        assert all(index < len(records) for index in outcome.records)


def test_one_final_is_undecided_if_no_audio_was_completed() -> None:
    assert judged("one-final", hold(UPDATE, FINISH)) == Undecided(
        "no utterance was completed by a final commit"
    )


def test_a_commit_by_hand_may_have_ended_any_utterance() -> None:
    held = at_deadline(CREATED, UPDATE, BEGIN, FINISH, Hand(BEGIN))
    assert judged("one-final", held) == Undecided(
        "a commit was written by hand, so no final can be assigned to an utterance"
    )


def test_an_update_is_unacknowledged_only_if_it_was_accepted() -> None:
    held = Evidence((spoke("update-again", None),))
    outcome = BY_ID["update-is-silent"].check(held)
    assert outcome == Undecided("no session got a final")


def test_an_event_of_an_unknown_type_is_an_extension() -> None:
    held = at_deadline(CREATED, '{"type":"rate_limits.updated"}')
    assert judged("known-events", held) == Satisfied()


def test_a_text_without_a_usage_counts_nothing() -> None:
    held = at_deadline('{"type":"transcription.done","text":"a"}')
    assert judged("usage-counts", held) == Undecided(
        "no final had both a text and a usage"
    )


def test_a_refused_handshake_says_nothing_of_the_first_event() -> None:
    assert isinstance(judged("first-event", REFUSED), Undecided)


def test_a_violation_names_all_records() -> None:
    outcome = judged("well-formed", broken(*UTTERANCES, faults=["no-json"]))
    assert isinstance(outcome, Violated)
    assert len(outcome.records) == 6


@pytest.mark.parametrize("misuse", VLLM.misuses, ids=lambda each: each.name)
def test_each_misuse_of_the_suite_leaves_a_correct_server_without_violation(
    misuse: Misuse,
) -> None:
    held = misused(misuse.name)
    assert len(held.timeline.refusals) == len(misuse.frames)
    assert held.text(0) == "go forward"
    assert broken_by(held.trace) == []


HARMLESS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "before": lambda e: (e, BEGIN, APPEND, FINISH, delta("a"), done("a")),
    "in mid-utterance": lambda e: (BEGIN, APPEND, delta("a"), e, FINISH, done("a")),
    "twice": lambda e: (BEGIN, e, APPEND, e, FINISH, e, delta("a"), done("a")),
    "after the commit": lambda e: (BEGIN, APPEND, FINISH, e, delta("a"), done("a")),
    "after the final": lambda e: (BEGIN, APPEND, FINISH, delta("a"), done("a"), e),
    "failed while it spoke": lambda e: (BEGIN, APPEND, delta("b"), e, FINISH),
    "failed at its end": lambda e: (*SPEAK, delta("c"), e),
    "given up": lambda e: (BEGIN, APPEND, delta("b"), e),
}


@pytest.mark.parametrize("when", HARMLESS)
@pytest.mark.parametrize("code", ["invalid_audio", "processing_error"])
def test_an_error_may_end_an_utterance_and_need_not(when: str, code: str) -> None:
    frames = HARMLESS[when](error(code))
    more = (BEGIN, APPEND, FINISH, delta("d"), delta("e"), done("de"))
    held = at_deadline(CREATED, UPDATE, *frames, *more)
    assert broken_by(held) == []


# The golden traces: a later reader must judge them as today


def test_the_golden_trace_of_a_correct_session() -> None:
    held = read_trace(GOLDEN / "vllm-sound.jsonl")
    timeline = dialects.read(VLLM, held)
    assert timeline.session == "sess-golden"
    assert [timeline.item(n).text for n in (0, 1)] == ["go forward", "turn left"]
    assert [each.samples for each in timeline.item(0).heard] == [1600, 3200]
    # The clock of this server stood half a year back.
    assert broken_by(held) == [("created-now", 1)]


def test_a_replayed_session_may_have_started_long_ago() -> None:
    live = at_deadline(created(at=1))
    assert ("created-now", 1) in broken_by(live)
    assert ("created-now", 1) not in broken_by(replace(live, replayed=True))


def test_the_golden_trace_of_a_broken_session() -> None:
    held = read_trace(GOLDEN / "vllm-broken.jsonl")
    assert broken_by(held) == [
        ("created-now", 1),
        ("order", 3),
        ("well-formed", 3),
        ("deltas-add-up", 2),
        ("one-final", 1),
        ("usage-adds-up", 1),
        ("closes-are-explained", 1),
        ("no-early-text", 1),
    ]
