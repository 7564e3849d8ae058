"""Checks of errors, and of frames that a server must or must not refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from pytest_realtime_asr.dialects.openai.checks.messages import (
    by_hand,
    from_client,
    from_server,
    indexes,
)
from pytest_realtime_asr.dialects.openai.events import (
    BetaUpdated,
    Commit,
    Error,
    SessionUpdated,
)
from pytest_realtime_asr.requirements.checks import cut, finishes, why
from pytest_realtime_asr.requirements.checks.combinators import (
    any_session,
    first_unsatisfied,
    per_session,
    worst_if_any,
)
from pytest_realtime_asr.requirements.checks.refusals import (
    FIRST,
    answers_by_hand,
    beside_plain,
)
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.losses import loses
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Coded,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.trace.recording import Recording

_NO_ERROR = "the server sent no error"


def errors_have_types(recording: Recording) -> Outcome:
    """Check that each error has a type and a message."""
    errors = from_server(recording, Error)
    for index, message in errors:
        for name in ("type", "message"):
            if not getattr(message.error, name):
                return Violated(f"an error has no {name}", (index,))
    return Satisfied() if errors else Undecided(_NO_ERROR)


def _errors_after_hand(part: Part, plain: Sequence[Part]) -> list[tuple[int, Error]]:
    """Return index and message of each error that answers a hand-written frame.

    ``plain`` are sessions without a hand-written frame, for comparison.
    """
    times = {each.at for each in answers_by_hand(part, plain)}
    errors = from_server(part.recording, Error)
    return [each for each in errors if part.trace.records[each[0]].at in times]


def errors_name_event(*roles: str) -> Check:
    """Return a check that an error names the client's event that caused the error."""

    def check(part: Part, plain: Sequence[Part]) -> Outcome | None:
        sent = {_event_id(record.text) for record in part.trace.records if record.raw}

        def outcomes() -> Iterator[Outcome]:
            for index, message in _errors_after_hand(part, plain):
                named = message.error.event_id
                caused = ", ".join(sorted(sent))
                what = f"the error has the event_id {named!r}, but the event that "
                what += f"caused it has {caused}"
                yield Satisfied() if named in sent else Violated(what, (index,))

        return worst_if_any(outcomes())

    return _any_beside_plain(check, *roles)


def _any_beside_plain(
    check: Callable[[Part, Sequence[Part]], Outcome | None], *roles: str
) -> Check:
    """Return a check that applies ``check`` to each session of these roles.

    ``check`` also gets the sessions that have no hand-written frame.
    """

    def check_all(evidence: Evidence) -> Outcome:
        plain = evidence.role(FIRST)
        one = any_session(lambda part: check(part, plain), *roles, nothing=_NO_ERROR)
        return one(evidence)

    return check_all


def _event_id(frame: str | None) -> str:
    return str(msgspec.json.decode(frame or "{}").get("event_id"))


def errors_name_field(role: str, name: str) -> Check:
    """Return a check that the error about an unknown field names the field."""

    def check(part: Part, plain: Sequence[Part]) -> Outcome | None:
        def outcomes() -> Iterator[Outcome]:
            for index, message in _errors_after_hand(part, plain):
                param = message.error.param
                named = name in (param or "")
                yield (
                    Satisfied()
                    if named
                    else Violated(
                        f"the error has the param {param!r}, not the field {name!r}",
                        (index,),
                    )
                )

        return worst_if_any(outcomes())

    return _any_beside_plain(check, role)


def commit_refused(role: str, what: str, *codes: str) -> Check:
    """Return a check that the server refuses a hand-written commit.

    If ``codes`` are given, the error must have one of these codes. The utterances of
    the session must be transcribed in spite of the refusal.
    """

    def check(part: Part, plain: Sequence[Part]) -> Outcome:
        records = part.trace.records
        commits = tuple(
            i for i in from_client(part.recording, Commit) if records[i].raw
        )
        if not commits:
            return Undecided(f"{what} was not sent: {why(part)}")
        errors = _errors_after_hand(part, plain)
        if not errors:
            return Violated(f"{what} was not refused", commits)
        code = errors[0][1].error.code
        if codes and code not in codes:
            shown_code = printable(code) if code else "no code"
            return Violated(
                f"{what} was refused with {shown_code}, not with the code {codes[0]}",
                commits,
            )
        return Satisfied()

    refused = beside_plain(check, role, fold=first_unsatisfied)

    def refused_and_finished(evidence: Evidence) -> Outcome:
        outcome = refused(evidence)
        if isinstance(outcome, Satisfied):
            return finishes(role)(evidence)
        return outcome

    return Coded(refused_and_finished, codes)


def no_error(role: str, what: str) -> Check:
    """Return a check that a hand-written frame causes no error and ends no session.

    A server need not answer a frame that it accepts. If the server does not answer the
    session update either, the check is undecided.
    """

    def check(part: Part, plain: Sequence[Part]) -> Outcome:
        if not by_hand(part.recording):
            return Undecided(f"{what} was not sent: {why(part)}")
        for index, message in _errors_after_hand(part, plain):
            return Violated(f"{what} was refused: {message.error.message}", (index,))
        if not cut(part.recording):
            reason = f"the session ended after {what}: {why(part)}"
            return Violated(reason, (), by_end=True, by_loss=loses(part))
        if not indexes(part.recording, SessionUpdated, BetaUpdated):
            return Undecided("the server did not answer the session update")
        return Satisfied()

    return beside_plain(check, role, fold=first_unsatisfied)


def stays_open(role: str) -> Check:
    """Return a check that no session ends because of a hand-written frame."""

    def check(part: Part) -> Outcome:
        if not by_hand(part.recording):
            return Undecided(f"the hand-written frame was not sent: {why(part)}")
        if cut(part.recording):
            return Satisfied()
        reason = f"a hand-written frame ended the session: {why(part)}"
        return Violated(reason, (), by_end=True, by_loss=loses(part))

    return per_session(check, role, fold=first_unsatisfied)
