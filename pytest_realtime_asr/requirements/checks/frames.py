"""Checks of the frames of one session: the first event, the fields and the types."""

from __future__ import annotations

from collections.abc import Callable

from pytest_realtime_asr.requirements import flaws
from pytest_realtime_asr.requirements.checks.combinators import ENDED_BY_CLIENT
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Flaw, Message, Recording
from pytest_realtime_asr.trace.records import Sender


def records(recording: Recording, kind: type, sender: Sender) -> list[int]:
    """Return the indexes of the records of ``sender`` whose message is of this kind."""
    return [
        index
        for index, (record, message) in enumerate(
            zip(recording.trace.records, recording.messages, strict=True)
        )
        if record.sender is sender and isinstance(message, kind)
    ]


def cut(recording: Recording) -> bool:
    """Return whether the client ended the session."""
    return recording.trace.end.how in ENDED_BY_CLIENT


def ended(recording: Recording) -> str:
    """Return why the session ended."""
    end = recording.trace.end
    return printable(end.reason) or end.how.value


def named(message: Message) -> str:
    """Return the event type of a message, or a text that says what is wrong with it."""
    match message:
        case Unknown(type=kind):
            return f"of unknown type {kind!r}"
        case Malformed(reason=reason):
            return reason
    return message.move


def first_event(identity: Callable[[Message], str | None]) -> SessionCheck:
    """Return a check that the server's first event opens a session and has an id.

    ``identity`` returns the id in a message that opens a session, and ``None`` for any
    other message.
    """

    def check(recording: Recording) -> Outcome:
        frames = recording.trace.records
        first = next(
            (i for i, r in enumerate(frames) if r.sender is Sender.SERVER), None
        )
        if first is None:
            if recording.trace.opened is None or cut(recording):
                return Undecided("the session ended before the server sent anything")
            reason = f"the server sent no event: {ended(recording)}"
            return Violated(reason, (), by_end=True)
        message = recording.messages[first]
        name = identity(message)
        if name is None:
            return Violated(
                f"the first event was {named(message)}; it must open a session",
                (first,),
            )
        if not name:
            return Violated(
                f"{message.move} has an empty id; each session must have an id",
                (first,),
            )
        return Satisfied()

    return check


def well_formed(sender: Sender) -> SessionCheck:
    """Return a check that each frame from ``sender`` is an event with valid fields."""

    def check(recording: Recording) -> Outcome:
        frames = recording.trace.records
        flawed = (at for at in recording.flaws if frames[at].sender is sender)
        wrong = sorted({*flawed, *records(recording, Malformed, sender)})
        if wrong:
            every = (flaw for index in wrong for flaw in _flaws(recording, index))
            found = flaws.distinct(every)
            return Violated(flaws.described([found]), tuple(wrong), flaws=found)
        return _sent(recording, sender)

    return check


def _flaws(recording: Recording, index: int) -> tuple[Flaw, ...]:
    """Return what is wrong with a frame that is not an event or has wrong fields."""
    flawed = recording.flaws.get(index)
    if flawed is None:
        return (Flaw(named(recording.messages[index])),)
    return flawed.flaws or (Flaw(flawed.reason),)


def known_events(sender: Sender, own: tuple[str, ...]) -> SessionCheck:
    """Return a check that ``sender`` sends only events of the protocol.

    ``own`` are the prefixes of the protocol's event types. A server may also send
    extensions: events whose type has another prefix.
    """

    def is_own(message: Message) -> bool:
        assert isinstance(message, Unknown)
        return message.type is None or message.type.startswith(own)

    def check(recording: Recording) -> Outcome:
        wrong = [
            index
            for index in records(recording, Unknown, sender)
            if sender is Sender.CLIENT or is_own(recording.messages[index])
        ]
        if wrong:
            name = named(recording.messages[wrong[0]])
            return Violated(f"the {sender.value} sent an event {name}", tuple(wrong))
        return _sent(recording, sender)

    return check


def _sent(recording: Recording, sender: Sender) -> Outcome:
    """Return the outcome: satisfied if ``sender`` sent a frame, else undecided."""
    if any(record.sender is sender for record in recording.trace.records):
        return Satisfied()
    return Undecided(f"the {sender.value} sent nothing")
