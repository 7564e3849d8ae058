"""Checks of a dialect that need neither a socket nor a server.

Each check is one statement about the dialect, with the problems that contradict it.
"""

from __future__ import annotations

import difflib
import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.conformance.example_session import (
    MODEL,
    TEXT,
    ExampleSession,
    play,
)
from pytest_realtime_asr.conformance.selftest import missing_faults
from pytest_realtime_asr.dialects import Dialect, Reader, audio_frame, can, load
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.reference import Documented, event_name
from pytest_realtime_asr.requirements.requirement import Violated
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Flawed, Message
from pytest_realtime_asr.trace.records import (
    Frame,
    Record,
    Sender,
    Span,
    Vantage,
    content,
)
from pytest_realtime_asr.trace.timeline import Event, Partial, Refusal, Settled

_CORPUS = "bundled:english"
_UNKNOWN = '{"type":"no.such.event"}'


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement about a dialect, and the problems that contradict it."""

    statement: str
    problems: tuple[str, ...]


def findings(dialect: Dialect) -> Iterator[Finding]:
    """Yield one finding for each check of the dialect.

    If the code of the dialect raises an exception, the exception is reported as a
    problem of the check that called this code.
    """
    clip = corpus.load(_CORPUS).utterances[0]

    def played() -> ExampleSession:
        return play(dialect, clip.audio)

    checks: Mapping[str, Callable[[], Iterator[str]]] = {
        "every state of the table can be reached": lambda: _states(dialect),
        "every frame of the client is a move of the table": lambda: _moves(dialect),
        "every event is a move of the table": lambda: _events(dialect, played()),
        "every requirement has a check and its scenarios": lambda: _required(dialect),
        "every proof names faults that exist": lambda: missing_faults(dialect),
        "the client's side fits the capabilities": lambda: _client(dialect),
        "the server's side understands the client's side": lambda: _understood(
            played()
        ),
        "the server's side fits the capabilities": lambda: _server(
            dialect, played(), clip.audio
        ),
        "the reader finds the utterance": lambda: _read(dialect, played()),
        "the events come in the order of the table": lambda: _order(dialect, played()),
    }
    for statement, check in checks.items():
        yield Finding(statement, tuple(_problems(check)))


def _problems(check: Callable[[], Iterator[str]]) -> Iterator[str]:
    try:
        yield from check()
    except Exception as error:  # the dialect is other people's code
        place = traceback.extract_tb(error.__traceback__)[-1]
        yield (
            f"{type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
        )


# The table


def _states(dialect: Dialect) -> Iterator[str]:
    named = {state for states in dialect.table.values() for state in states}
    for state in sorted(named - _reached(dialect, {dialect.start})):
        yield f"no moves lead from the state {dialect.start!r} to {state!r}"


def _reached(dialect: Dialect, start: set[str]) -> set[str]:
    """Return the states that can be reached from a state in ``start``."""
    reached, fresh = set(start), list(start)
    while fresh:
        state = fresh.pop()
        for states in dialect.table.values():
            for followers in states.get(state, {}).values():
                fresh += [each for each in followers if each not in reached]
                reached.update(followers)
    return reached


def _known(dialect: Dialect, sender: Sender) -> set[str]:
    return {move for moves in dialect.table[sender].values() for move in moves}


def _moves(dialect: Dialect) -> Iterator[str]:
    known = _known(dialect, Sender.CLIENT)
    for source, frame in _frames(dialect):
        message = _parsed(dialect, frame)
        if isinstance(message, Malformed | Unknown | Flawed):
            yield f"parse() does not understand a frame of {source}: {message}"
        elif message.move not in known:
            yield (
                f"a frame of {source} has the move {message.move!r}, which the "
                "client's part of the table does not have"
            )
    yield from _audio_in_trace(dialect)


def _audio_in_trace(dialect: Dialect) -> Iterator[str]:
    """Yield a problem if a binary audio frame has a different move in a trace.

    In a trace, an audio frame is empty; its record has the range of the samples
    instead.
    """
    caller = dialect.caller(MODEL, {})
    frame = audio_frame(caller, bytes(2))
    if isinstance(frame, str):
        return
    sent = _parsed(dialect, frame)
    span = Span("clip", 0, 1)
    kept = dialect.parse(Record(Sender.CLIENT, 0, data=caller.append(b""), span=span))
    if kept.move != sent.move:
        yield (
            f"a frame of append() has the move {sent.move!r}, but in a trace, where "
            f"the frame is empty, it has the move {kept.move!r}; parse() must treat "
            "each record that has a span as audio"
        )


def _frames(dialect: Dialect) -> Iterator[tuple[str, Frame]]:
    """Yield each frame of the client, with the name of its source.

    The source is a method or a trait of the dialect.
    """
    caller = dialect.caller(MODEL, {})
    for source, frames in (
        ("configure()", caller.configure()),
        ("begin()", caller.begin()),
        ("finish()", caller.finish()),
    ):
        for frame in frames:
            yield source, frame
    yield "append()", audio_frame(caller, bytes(2))
    if dialect.traits.keepalive is not None:
        yield "traits.keepalive", dialect.traits.keepalive.frame


def _parsed(dialect: Dialect, frame: Frame) -> Message:
    return dialect.parse(Record(Sender.CLIENT, 0, *content(frame)))


def _events(dialect: Dialect, session: ExampleSession) -> Iterator[str]:
    """Yield a problem for each event that the table does not have as a move.

    The events are those of the example session and those that the dialect lists in its
    `Reference`. A move is the type of its event, with or without further words. If the
    dialect has a profile, a listed event may also be a move in the table of the dialect
    without the profile.
    """
    yield from _unlisted(dialect, session)
    if not isinstance(dialect, Documented):
        return
    plain, profile, _ = dialect.name.partition(":")
    for sender, kinds in dialect.reference.kinds.items():
        known = _known(dialect, sender)
        known |= _known(load(plain), sender) if profile else set()
        for kind in kinds:
            name = event_name(kind)
            if not any(move == name or move.startswith(f"{name} ") for move in known):
                yield (
                    f"the {sender.value}'s part of the table does not have the event "
                    f"{name!r}"
                )


def _unlisted(dialect: Dialect, session: ExampleSession) -> Iterator[str]:
    """Yield a problem for each event of the server that the table does not have.

    The events are those that the server sends in the example session.
    """
    known = _known(dialect, Sender.SERVER)
    moves = {
        message.move
        for message, record in zip(
            session.recording.messages, session.recording.trace.records, strict=True
        )
        if record.sender is Sender.SERVER
        and not isinstance(message, Malformed | Unknown)
    }
    for move in sorted(moves - known):
        near = difflib.get_close_matches(move, known, n=1)
        hint = f"; the table has {near[0]!r}" if near else ""
        yield (
            "in the example session, the server sends an event with the move "
            f"{move!r}, which the server's part of the table does not have{hint}"
        )


# The requirements


def _required(dialect: Dialect) -> Iterator[str]:
    if not dialect.requirements:
        yield (
            "the dialect has no requirements; shared.requirements(CAPABILITIES) "
            "returns the requirements that fit every protocol"
        )
    yield from selection.unfit_requirements(dialect)


# The capabilities


def _fits(dialect: Dialect, capability: Capability, found: bool, what: str) -> str:
    """Return a problem if a capability is stated wrongly, else an empty text.

    ``found`` says whether the dialect has the capability. ``what`` describes the
    evidence in words.
    """
    if can(dialect, capability) == found:
        return ""
    stated = "stated" if can(dialect, capability) else "not stated"
    return f"Capability.{capability.name} is {stated}, but {what} ({capability.value})"


def _client(dialect: Dialect) -> Iterator[str]:
    caller = dialect.caller(MODEL, {})
    if caller.rate != dialect.rate:
        yield (
            f"Caller.rate is {caller.rate} Hz without options, but the rate of the "
            f"dialect is {dialect.rate} Hz"
        )
    sets_up = bool(caller.configure())
    texts = [frame for _, frame in _frames(dialect) if isinstance(frame, str)]
    asked = (
        (Capability.SET_UP, sets_up, f"configure() sends {_some(sets_up)}"),
        (
            Capability.TEXT_AUDIO,
            not caller.binary,
            f"Caller.binary is {caller.binary}",
        ),
    )
    yield from filter(None, (_fits(dialect, *each) for each in asked))
    if can(dialect, Capability.TYPED_EVENTS):
        if not texts:
            yield (
                "Capability.TYPED_EVENTS is stated, but the client sends no text frame"
            )
        elif not all(map(_has_type, texts)):
            yield (
                "Capability.TYPED_EVENTS is stated, but a text frame of the client is "
                "not a JSON object with a type"
            )


def _some(there: bool) -> str:
    return "frames" if there else "no frame"


def _has_type(frame: str) -> bool:
    try:
        value = json.loads(frame)
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _server(dialect: Dialect, session: ExampleSession, audio: Audio) -> Iterator[str]:
    timeline = session.recording.timeline
    greeting = next(iter(session.recording.trace.records), None)
    greets = greeting is not None and greeting.sender is Sender.SERVER
    counted = timeline.final is not None and timeline.final.usage is not None
    partial = any(isinstance(each, Partial) for each in timeline.item(0).events)
    named = bool(timeline.session)
    several = _has_second_utterance(dialect)
    asked = (
        (Capability.GREETING, greets, f"open() sends {_some(greets)}"),
        (
            Capability.SESSION_IDS,
            named,
            f"the reader found {'an' if named else 'no'} id of the session",
        ),
        (
            Capability.PARTIALS,
            partial,
            f"the reader found {'text' if partial else 'no text'} before the final",
        ),
        (
            Capability.USAGE,
            counted,
            f"the reader found {'a' if counted else 'no'} usage figure in the final",
        ),
        (
            Capability.SEVERAL_UTTERANCES,
            several,
            f"the table allows {'a' if several else 'no'} further utterance after a "
            "final",
        ),
    )
    yield from filter(None, (_fits(dialect, *each) for each in asked))
    if greeting is not None and greets and not dialect.greets(greeting):
        yield "greets() returns false for the first frame that open() sends"
    settled = any(isinstance(each, Settled) for each in timeline.events)
    if can(dialect, Capability.SETTLED) and not settled:
        yield "Capability.SETTLED is stated, but the reader finds no Settled event"
    if several and can(dialect, Capability.SEVERAL_UTTERANCES):
        timeline = play(dialect, audio, utterances=2).recording.timeline
        if timeline.item(0).final is not None and timeline.item(1).final is None:
            yield (
                "Capability.SEVERAL_UTTERANCES is stated, but the reader finds no "
                "Final of the second utterance of a session"
            )
    if can(dialect, Capability.REFUSALS) and not _refuses(dialect):
        yield (
            "Capability.REFUSALS is stated, but the reader finds no error in the "
            "server's answer to an invalid frame"
        )


def _has_second_utterance(dialect: Dialect) -> bool:
    """Return whether the table allows a second utterance after a final."""
    finish = dialect.caller(MODEL, {}).finish()
    finishing = {_parsed(dialect, frame).move for frame in finish}
    client, server = dialect.table[Sender.CLIENT], dialect.table[Sender.SERVER]
    pending = {
        follower
        for state, moves in client.items()
        for move in finishing & moves.keys()
        for follower in moves[move]
        if follower != state
    }
    after = {
        follower
        for state in pending
        for followers in server.get(state, {}).values()
        for follower in followers
    }
    reached = _reached(dialect, after - pending)
    return any(finishing & client.get(state, {}).keys() for state in reached)


def _refuses(dialect: Dialect) -> bool:
    """Return whether the reader finds an error in the answer to an invalid frame."""
    invalid = [frame for misuse in dialect.misuses for frame in misuse.frames]
    server, reader = dialect.server((MODEL,)), dialect.reader()
    tuple(server.open("sess-1", 0))
    for frame in dialect.caller(MODEL, {}).configure():
        server.hear(frame)
    return any(
        isinstance(event, Refusal)
        for reply in server.hear(next(iter(invalid), _UNKNOWN)).replies
        for event in _read_frame(dialect, reader, reply)
    )


def _read_frame(dialect: Dialect, reader: Reader, frame: Frame) -> Sequence[Event]:
    record = Record(Sender.SERVER, 0, *content(frame))
    message = dialect.parse(record)
    if isinstance(message, Flawed):
        message = message.event
    return reader.step(record, message)


# One utterance


def _understood(session: ExampleSession) -> Iterator[str]:
    if session.begun != 1:
        yield (
            "the client sent one utterance, but the server reported the start of "
            f"{session.begun} utterances (Reaction.begin)"
        )
    if session.finished != 1:
        yield (
            "the client sent one utterance, but the server reported the end of "
            f"{session.finished} utterances (Reaction.finish)"
        )
    if session.heard != session.sent:
        yield (
            f"the client sent {session.sent} samples, but the server took "
            f"{session.heard} samples from the frames (Reaction.audio)"
        )


def _read(dialect: Dialect, session: ExampleSession) -> Iterator[str]:
    recording = session.recording
    for message, record in zip(
        recording.messages, recording.trace.records, strict=True
    ):
        if isinstance(message, Malformed | Unknown):
            yield f"parse() does not understand a frame of the {record.sender.value}"
            return
    for flaw in recording.flaws.values():
        yield f"an event of the server has wrong fields: {flaw.reason}"
    whole, timeline = recording.timeline, recording.timeline.item(0)
    for refusal in whole.refusals:
        yield f"the server refused a frame: {refusal}"
    if can(dialect, Capability.GREETING) and whole.ready is None:
        yield "Reader.ready stays None after the greeting"
    heard = timeline.heard[-1].samples if timeline.heard else 0
    tail = dialect.caller(MODEL, {}).tail
    if heard != session.sent and not tail:
        yield (
            f"the last Heard of item 0 has {heard} samples, but the client sent "
            f"{session.sent} samples"
        )
    if timeline.commit is None and not tail:
        yield "no Commit of item 0 was found"
    if timeline.final is None:
        yield "no Final of item 0 was found"
    elif timeline.final.text != TEXT:
        yield f"the Final has the text {timeline.final.text!r}, not {TEXT!r}"


def _order(dialect: Dialect, session: ExampleSession) -> Iterator[str]:
    check = order(dialect.table, start=dialect.start)
    for vantage in Vantage:
        trace = replace(session.recording.trace, vantage=vantage)
        outcome = check(replace(session.recording, trace=trace))
        if isinstance(outcome, Violated):
            yield outcome.message
