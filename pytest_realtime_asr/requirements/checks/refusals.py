"""Checks of how a server refuses frames: by errors with codes, or without an answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from pytest_realtime_asr.requirements.checks.combinators import (
    ENDED_BY_CLIENT,
    Fold,
    any_session,
    by_hand,
    first_at,
    first_unsatisfied,
    per_session,
    server_sent,
    why,
    worst,
)
from pytest_realtime_asr.requirements.checks.finals import finals
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Coded,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending, Sender
from pytest_realtime_asr.trace.timeline import Final, Refusal

FIRST = "first-utterance"
"""The role of a plain session; its errors are not caused by a frame written by hand."""


def refused(role: str, what: str, *codes: str) -> Check:
    """Return a check that each frame written by hand is refused and does no harm.

    The server must answer each of these frames by an error. If ``codes`` are given, the
    error must have one of these codes. The utterances of the session must still get
    their finals. ``what`` describes a frame in messages.
    """

    def check(part: Part, plain: Sequence[Part]) -> Outcome:
        frames = tuple(i for i, r in enumerate(part.trace.records) if r.raw)
        if not frames:
            return Undecided(f"{what} was not sent: {why(part)}")
        if part.trace.end.how is Ending.CANCELLED:
            return Undecided(why(part))
        answers = [each.code for each in answers_by_hand(part, plain)]
        if wrong := _wrong(part, answers, len(frames), what, codes):
            unanswered = len(answers) < len(frames)
            by_end = unanswered and part.trace.end.how not in ENDED_BY_CLIENT
            return Violated(wrong, frames, by_end=by_end)
        return finals(part)

    return Coded(beside_plain(check, role), codes)


def _wrong(
    part: Part, answers: Sequence[str], sent: int, what: str, codes: tuple[str, ...]
) -> str | None:
    """Return what is wrong with the answers to the frames written by hand, or ``None``.

    ``sent`` is the number of these frames, and ``answers`` are the codes of the errors
    that answer them.
    """
    if len(answers) < sent:
        if part.trace.end.how not in ENDED_BY_CLIENT:
            return f"{what} was not answered by an error: {why(part)}"
        known = f"only {len(answers)} of {sent} errors" if answers else "no error"
        count = f"{sent} frames with {what}" if sent > 1 else what
        others = len(part.timeline.refusals) - len(answers)
        more = f"; {several(others, 'error')} answered other frames" if others else ""
        return f"{count} got {known} within the time given{more}"
    wrong = [code for code in answers[:sent] if codes and code not in codes]
    if not wrong:
        return None
    known = f"the code {printable(wrong[0])}" if wrong[0] else "no code"
    wanted = " or ".join(codes)
    return f"{what} was answered by an error with {known}, not with {wanted}"


def beside_plain(
    check: Callable[[Part, Sequence[Part]], Outcome], role: str, *, fold: Fold = worst
) -> Check:
    """Return a check of the sessions of a role.

    ``check`` is called for each of these sessions. It gets the session, and all
    sessions of the role `FIRST`, which are plain. ``fold`` combines the outcomes.
    """

    def check_all(evidence: Evidence) -> Outcome:
        plain = evidence.role(FIRST)
        return per_session(lambda part: check(part, plain), role, fold=fold)(evidence)

    return check_all


def answers_by_hand(part: Part, plain: Sequence[Part] = ()) -> list[Refusal]:
    """Return the errors that answer the frames written by hand, as they came.

    These errors do not count as answers:

    - an error that came before the first frame written by hand was sent,
    - an error that names another frame of the client as its cause,
    - the first *n* errors with a code, where *n* is the largest number of errors with
      this code in a ``plain`` session, which has no frame written by hand,
    - if an utterance of the session got no final: an error that came after the client
      had sent the frame that follows the last frame written by hand.
    """
    ours = [r for r in part.trace.records if r.sender is Sender.CLIENT]
    raw = [number for number, record in enumerate(ours) if record.raw]
    if not raw:
        return []
    left = ours[raw[0]].times[1]
    unprovoked = _codes(plain)
    unfinished = any(part.text(item) is None for item in part.spoken)
    later = [record.times[1] for record in ours[raw[-1] + 1 :]]
    until = later[0] if later and unfinished else math.inf
    found = []
    for each in part.timeline.refusals:
        if unprovoked[each.code]:
            unprovoked[each.code] -= 1
        elif left <= each.at < until and (each.cause is None or ours[each.cause].raw):
            found.append(each)
    return found


def _codes(plain: Iterable[Part]) -> Counter[str]:
    """Return, for each error code, the largest number of such errors in any session."""
    found: Counter[str] = Counter()
    for part in plain:
        found |= Counter(each.code for each in part.timeline.refusals)
    return found


def silent(role: str, what: str) -> Check:
    """Return a check that the server does not answer a frame written by hand.

    ``what`` describes the frame in messages.
    """

    def check(part: Part, plain: Sequence[Part]) -> Outcome:
        if not by_hand(part):
            return Undecided(f"{what} was not sent: {why(part)}")
        if answers := answers_by_hand(part, plain):
            code = answers[0].code
            known = f"the error {printable(code)}" if code else "an error"
            return Violated(
                f"{what} was answered by {known}, but the documented behaviour is to "
                "send no answer",
                (),
            )
        if not sent_after_hand(part.recording):
            return Undecided(f"the server sent nothing after {what}")
        return Satisfied()

    return beside_plain(check, role, fold=first_unsatisfied)


def sent_after_hand(recording: Recording) -> bool:
    """Return whether the server sent anything after the first frame written by hand.

    Such a frame is given by the scenario, not built by the client.
    """
    records = recording.trace.records
    first = next((i for i, record in enumerate(records) if record.raw), len(records))
    return any(record.sender is Sender.SERVER for record in records[first:])


def utterances_answered(role: str, what: str, *, finals: int) -> Check:
    """Return a check that no utterance of a session is lost without an answer.

    A session of this role has ``finals`` utterances, some of them in frames written by
    hand. The server must send ``finals`` finals, or answer these frames by an error, or
    close the session with a code that gives the reason. ``what`` describes the
    utterance that may be lost.
    """

    def check(part: Part, plain: Sequence[Part]) -> Outcome:
        hand = tuple(i for i, r in enumerate(part.trace.records) if r.raw)
        if not hand:
            return Undecided(f"{what} was not sent: {why(part)}")
        count = sum(isinstance(event, Final) for event in part.timeline.events)
        if count >= finals or answers_by_hand(part, plain):
            return Satisfied()
        if count < finals - 1:
            return Undecided(f"the utterance before {what} got no final: {why(part)}")
        end = part.trace.end
        if end.how is Ending.CANCELLED:
            return Undecided(why(part))
        if end.how is Ending.CLOSED_BY_PEER and end.code not in (1006, 1011):
            if server_sent(part):
                return Satisfied()
            return Undecided(f"there may be another reason why {why(part)}")
        by_end = end.how not in ENDED_BY_CLIENT
        reason = why(part) if by_end else "nothing came within the time given"
        message = f"{what} got no final and no error: {reason}"
        return Violated(message, hand[-1:], by_end=by_end)

    return beside_plain(check, role)


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
    """Return a check that the server accepted the set-up of each session of a role.

    If the server refused a set-up, the check is undecided, not violated.
    """

    def check(part: Part) -> Outcome:
        if part.timeline.refusals:
            return Undecided(f"the set-up was refused: {part.timeline.refusals[0]}")
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)
