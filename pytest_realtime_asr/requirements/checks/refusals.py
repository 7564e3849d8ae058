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
    """Return a check that each frame by hand is answered by an error, and survived.

    The error has one of ``codes``, or any code if none is given. The utterances of the
    session get their finals.
    """

    def check(part: Part) -> Outcome:
        frames = tuple(i for i, r in enumerate(part.trace.records) if r.raw)
        if not frames:
            return Undecided(f"{what} was not sent: {why(part)}")
        if part.trace.end.how is Ending.CANCELLED:
            return Undecided(why(part))
        if wrong := _wrong(part, len(frames), what, codes):
            return Violated(wrong, frames)
        return finals(part)

    return per_session(check, role)


def _wrong(part: Part, sent: int, what: str, codes: tuple[str, ...]) -> str | None:
    """Return what is wrong with the answers to ``sent`` frames."""
    answers = error_codes(part)
    if len(answers) < sent:
        if part.trace.end.how not in ENDED_BY_CLIENT:
            return f"{what} was answered by no error: {why(part)}"
        known = f"{len(answers)} errors" if answers else "no error"
        count = f"{sent} of them" if sent > 1 else what
        return f"{count} got {known} within the time given"
    others = [code for code in answers[:sent] if codes and code not in codes]
    if not others:
        return None
    known = printable(others[0]) or "no code"
    return f"{what} was answered by {known}, not by {' or '.join(codes)}"


def error_codes(part: Part) -> list[str]:
    """Return the codes of the errors that came after the first frame by hand."""
    left = next(r.woke or 0 for r in part.trace.records if r.raw)
    return [each.code for each in part.timeline.refusals if each.at >= left]


def silent(role: str, what: str) -> Check:
    """Return a check that a frame by hand is not answered (a documented quirk)."""

    def check(part: Part) -> Outcome:
        if not by_hand(part):
            return Undecided(f"{what} was not sent: {why(part)}")
        if codes := error_codes(part):
            return Violated(
                f"{what} was answered by {printable(codes[0]) or 'an error'}", ()
            )
        if not sent_after_hand(part.recording):
            return Undecided(f"the server sent nothing at all after {what}")
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def sent_after_hand(recording: Recording) -> bool:
    """Return whether the server sent anything after the first frame by hand."""
    records = recording.trace.records
    first = next((i for i, record in enumerate(records) if record.raw), len(records))
    return any(record.sender is Sender.SERVER for record in records[first:])


def _error_without_code(part: Part) -> Outcome | None:
    for refusal in part.timeline.refusals:
        if not refusal.code or not refusal.message:
            missing = "message" if refusal.code else "code"
            return Violated(f"an error without a {missing}", first_at(part, refusal.at))
    return Satisfied() if part.timeline.refusals else None


errors_have_codes = any_session(_error_without_code, nothing="no error came")
"""A check that each error has a message and a code."""
