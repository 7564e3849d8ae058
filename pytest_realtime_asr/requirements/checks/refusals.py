"""Checks of how a server refuses: its errors, their codes, and what it ignores."""

from __future__ import annotations

from pytest_realtime_asr.requirements.checks.combinators import (
    ENDED_BY_CLIENT,
    any_session,
    by_hand,
    first_at,
    first_unsatisfied,
    per_session,
    why,
)
from pytest_realtime_asr.requirements.checks.finals import finals
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending, Sender


def refused(role: str, what: str, *codes: str) -> Check:
    """Return a check that each frame written by hand is refused and does no harm.

    The server answers each of these frames by an error with one of ``codes``, or with
    any code if none is given. The utterances of the session still get their finals.
    ``what`` describes a frame in messages.
    """

    def check(part: Part) -> Outcome:
        frames = tuple(i for i, r in enumerate(part.trace.records) if r.raw)
        if not frames:
            return Undecided(f"{what} was not sent: {why(part)}")
        if part.trace.end.how is Ending.CANCELLED:
            return Undecided(why(part))
        if wrong := _wrong(part, len(frames), what, codes):
            unanswered = len(error_codes(part)) < len(frames)
            by_end = unanswered and part.trace.end.how not in ENDED_BY_CLIENT
            return Violated(wrong, frames, by_end=by_end)
        return finals(part)

    return per_session(check, role)


def _wrong(part: Part, sent: int, what: str, codes: tuple[str, ...]) -> str | None:
    """Return what is wrong with the answers to ``sent`` frames, or ``None``."""
    answers = error_codes(part)
    if len(answers) < sent:
        if part.trace.end.how not in ENDED_BY_CLIENT:
            return f"{what} was not answered by an error: {why(part)}"
        known = f"only {len(answers)} of {sent} errors" if answers else "no error"
        count = f"{sent} frames with {what}" if sent > 1 else what
        return f"{count} got {known} within the time given"
    others = [code for code in answers[:sent] if codes and code not in codes]
    if not others:
        return None
    known = f"the code {printable(others[0])}" if others[0] else "no code"
    wanted = " or ".join(codes)
    return f"{what} was answered by an error with {known}, not with {wanted}"


def error_codes(part: Part) -> list[str]:
    """Return the codes of the errors after the first frame written by hand."""
    left = next(r.woke or 0 for r in part.trace.records if r.raw)
    return [each.code for each in part.timeline.refusals if each.at >= left]


def silent(role: str, what: str) -> Check:
    """Return a check that a frame written by hand is not answered.

    ``what`` describes the frame in messages.
    """

    def check(part: Part) -> Outcome:
        if not by_hand(part):
            return Undecided(f"{what} was not sent: {why(part)}")
        if codes := error_codes(part):
            known = f"the error {printable(codes[0])}" if codes[0] else "an error"
            return Violated(
                f"{what} was answered by {known}; documented behaviour is to send "
                "no answer",
                (),
            )
        if not sent_after_hand(part.recording):
            return Undecided(f"the server sent nothing after {what}")
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def sent_after_hand(recording: Recording) -> bool:
    """Return whether the server sent anything after the first frame by hand.

    By hand means that the scenario wrote the frame, not the client.
    """
    records = recording.trace.records
    first = next((i for i, record in enumerate(records) if record.raw), len(records))
    return any(record.sender is Sender.SERVER for record in records[first:])


def _error_without_code(part: Part) -> Outcome | None:
    for refusal in part.timeline.refusals:
        if not refusal.code or not refusal.message:
            missing = "message" if refusal.code else "code"
            message = f"the server sent an error without a {missing}"
            return Violated(message, first_at(part, refusal.at))
    return Satisfied() if part.timeline.refusals else None


errors_have_codes = any_session(_error_without_code, nothing="no error came")
"""A check that each error has a message and a code."""


def set_up_accepted(role: str) -> Check:
    """Return a check that is undecided if the server refused the set-up of a session.

    It is never violated.
    """

    def check(part: Part) -> Outcome:
        if part.timeline.refusals:
            return Undecided(f"the set-up was refused: {part.timeline.refusals[0]}")
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)
