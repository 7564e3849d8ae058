"""Checks of the session object: how it is opened, updated and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from pytest_realtime_asr.dialects.openai.checks.messages import (
    from_client,
    from_server,
    indexes,
)
from pytest_realtime_asr.dialects.openai.events import (
    BetaUpdate,
    BetaUpdated,
    Error,
    Identity,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
)
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.requirements.checks import sent_after_hand
from pytest_realtime_asr.requirements.checks.combinators import (
    any_session,
    first_unsatisfied,
    per_session,
    shown,
)
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Sender

_DAY = 24 * 3600  # s
_CONFIGURED = (
    "audio",
    "turn_detection",
    "input_audio_format",
    "input_audio_transcription",
)


def identity(profile: Profile) -> Callable[[Message], str | None]:
    """Return a function that finds the session id in the first event of a server.

    The function returns ``None`` for any other message.
    """

    def found(message: Message) -> str | None:
        session = getattr(message, "identity", None)
        if session is None or message.move != profile.greeting:
            return None
        return str(session.id)

    return found


def is_transcription(recording: Recording) -> Outcome:
    """Check that ``session.created`` opens a transcription session."""
    for index, message in from_server(recording, SessionCreated):
        if message.session.type != "transcription":
            kind = message.session.type
            what = f"the session has the type {kind!r}, not 'transcription'"
            return Violated(what, (index,))
        return Satisfied()
    return Undecided("the server sent no session.created")


def expires_later(recording: Recording) -> Outcome:
    """Check that a session with ``expires_at`` expires after its start."""
    if recording.trace.replayed:
        return Undecided(
            "the session was replayed, so expires_at is as old as the recording"
        )
    for index, message in enumerate(recording.messages):
        session = getattr(message, "identity", None)
        if session is None or session.expires_at is None:
            continue
        if session.expires_at <= recording.trace.started.timestamp():
            what = f"expires_at is {session.expires_at:.0f}, not after the start"
            return Violated(what, (index,))
        return Satisfied()
    return Undecided("no event says when the session expires")


def expires_within_a_day(recording: Recording) -> Outcome:
    """Check that ``expires_at`` is at most a day after the start of the session.

    `expires_later` checks that the session does not expire before its start.
    """
    if recording.trace.replayed:
        return Undecided(
            "the session was replayed, so expires_at is as old as the recording"
        )
    for index, message in enumerate(recording.messages):
        session = getattr(message, "identity", None)
        if session is None or session.expires_at is None:
            continue
        started = recording.trace.started.timestamp()
        ahead = session.expires_at - started
        if ahead <= _DAY:
            return Satisfied()
        what = f"expires_at is {session.expires_at:.0f}, {ahead / _DAY:,.0f} days ahead"
        if 0 < session.expires_at / 1000 - started <= _DAY:
            what += "; the server sent milliseconds, but the field is in seconds"
        return Violated(what, (index,))
    return Undecided("no event says when the session expires")


def event_ids(recording: Recording) -> Outcome:
    """Check that each event of the server has an id that no other event has."""
    seen: dict[str, int] = {}
    for index, message in enumerate(recording.messages):
        if recording.trace.records[index].sender is not Sender.SERVER:
            continue
        name = getattr(message, "event_id", None)
        if name is None:
            continue  # the message is no event of the protocol
        if not name:
            return Violated(f"{message.move} has no event_id", (index,))
        if name in seen:
            what = f"two events have the event_id {name!r}"
            return Violated(what, (seen[name], index))
        seen[name] = index
    return Satisfied() if seen else Undecided("the server sent no event")


def shows_what_was_asked(recording: Recording) -> Outcome:
    """Check that the answer to an accepted update shows the values of the update.

    The check ends at the first hand-written update. It also ends at the first error,
    since this error may refuse an update. An answer without ``include`` is no violation
    here, since another requirement is about the log probabilities.
    """
    sent = from_client(recording, SessionUpdate, BetaUpdate)
    answers = indexes(recording, SessionUpdated, BetaUpdated)
    errors = indexes(recording, Error)

    def outcomes() -> Iterator[Outcome]:
        for index, answer in zip(sent, answers, strict=False):
            by_hand = recording.trace.records[index].raw
            if by_hand or (errors and errors[0] < answer):
                return
            wanted, actual = (_session(recording.messages[i]) for i in (index, answer))
            if actual.get("include") is None:
                wanted = {k: v for k, v in wanted.items() if k != "include"}
            difference = next(_differences(wanted, actual, "session"), None)
            yield Violated(difference, (answer,)) if difference else Satisfied()

    return shown(outcomes(), nothing="no update was accepted")


def keeps_the_rest(role: str) -> Check:
    """Return a check that an update of one field does not change other fields."""

    def check(part: Part) -> Outcome:
        recording = part.recording
        answers = indexes(recording, SessionUpdated, BetaUpdated)
        if len(answers) < 2:
            return Undecided("fewer than two events contain the session object")
        before, after = (
            _session(recording.messages[i]) for i in (answers[0], answers[-1])
        )
        kept = {name: v for name, v in before.items() if name in _CONFIGURED}
        if not kept:
            return Undecided("the session shows none of the fields that were set")
        if difference := next(_differences(kept, after, "session"), None):
            return Violated(difference.replace(" was set to ", " was "), (answers[-1],))
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def _identity(message: Message) -> Identity | None:
    """Return the session object of a message that opens a session, else ``None``."""
    found: Identity | None = getattr(message, "identity", None)
    return found


def opens_alike(*roles: str) -> Check:
    """Return a check that sessions of these roles open with the same settings.

    Only the ids and the time at which a session expires may differ.
    """

    def check(evidence: Evidence) -> Outcome:
        first: Identity | None = None
        for part in evidence.role(*roles):
            opened = next(filter(None, map(_identity, part.recording.messages)), None)
            if opened is None:
                continue
            shown = msgspec.structs.replace(opened, id="", expires_at=None)
            if first is not None and shown != first:
                return Violated(
                    f"a session opened with the settings {shown}, but an earlier "
                    f"session opened with the settings {first}",
                    (),
                    evidence.index(part),
                )
            first = shown
        return Satisfied()

    return check


def _session(message: Message) -> dict[str, Any]:
    assert isinstance(
        message, SessionUpdate | BetaUpdate | SessionUpdated | BetaUpdated
    )
    return message.session


def _differences(wanted: Any, actual: Any, where: str) -> Iterator[str]:
    """Yield a sentence for each field of ``wanted`` that is missing or differs."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            inner = actual.get(name) if isinstance(actual, dict) else None
            yield from _differences(value, inner, f"{where}.{name}")
    elif wanted != actual:
        yield f"{where} was set to {wanted!r}, but is shown as {actual!r}"


def _accepts_refused(part: Part) -> Outcome:
    """Check that the server does not both refuse and accept an update."""
    recording = part.recording
    sent = len(from_client(recording, SessionUpdate, BetaUpdate))
    refused = indexes(recording, Error)
    accepted = indexes(recording, SessionUpdated, BetaUpdated)
    if not refused:
        return Undecided("the update was not refused")
    if not accepted:
        return Undecided("no update was accepted")
    if len(refused) + len(accepted) > sent:
        return Violated(
            f"the answers to {sent} updates are {len(refused)} refusals and "
            f"{len(accepted)} acceptances, so an update was both refused and accepted",
            tuple(accepted),
        )
    return Satisfied()


refused_not_accepted = per_session(
    _accepts_refused, "refused-update", fold=first_unsatisfied
)


def refused_not_shown(role: str, value: str, what: str) -> Check:
    """Return a check that no event shows ``value``, which the server must refuse.

    The sessions of ``role`` send this value in an update. ``what`` describes the value
    in messages.
    """

    def check(part: Part) -> Outcome | None:
        if not sent_after_hand(part.recording):
            return None
        answers = indexes(part.recording, SessionUpdated, BetaUpdated)
        for index in answers:
            if value in (part.trace.records[index].text or ""):
                how = "was refused" if part.timeline.refusals else "does not exist"
                return Violated(f"the session shows {what} that {how}", (index,))
        return Satisfied() if answers else None

    return any_session(
        check, role, nothing="no event contains the session object after the refusal"
    )
