"""Checks that utterances get their finals, even after a harmful scenario."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.checks.combinators import (
    ENDED_BY_CLIENT,
    absent,
    any_session,
    by_hand,
    first_at,
    last,
    per_session,
    why,
    worst,
)
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.records import Ending


def finals(part: Part, *, without: Collection[int] = ()) -> Outcome:
    """Check that each item of a session, except those in ``without``, has a final."""
    spoken = [(i, clip.id) for i, clip in part.spoken.items() if i not in without]
    if not spoken:
        return _loss(part, "no utterance could be started")
    return worst(
        Satisfied()
        if part.text(item) is not None
        else _loss(part, f"no final came for {name}")
        for item, name in spoken
    )


def _loss(part: Part, what: str) -> Outcome:
    """Return a violation if a loss is the fault of the server, otherwise `Undecided`.

    ``what`` says what the session lacks.
    """
    end = part.trace.end
    if part.trace.opened is None:
        return Undecided(f"{what}: the session could not be opened: {why(part)}")
    if end.how not in ENDED_BY_CLIENT:
        return Violated(f"{what}: {why(part)}", last(part), by_end=True, by_loss=True)
    refusals = part.timeline.refusals
    if not refusals or by_hand(part):  # a frame written by hand may be refused
        stated = end.reason or end.how is Ending.CANCELLED
        reason = why(part) if stated else "the client closed the session first"
        return Undecided(f"{what}: {reason}")
    refusal = refusals[0]  # such as that of the set-up; later errors follow from it
    message = f"{what}: the server sent an error: {refusal}"
    return Violated(message, first_at(part, refusal.at), by_loss=True)


def finishes(*roles: str) -> Check:
    """Return a check that each utterance of these sessions gets its final."""
    return per_session(finals, *roles)


def answers(role: str) -> Check:
    """Return a check that an utterance without speech gets a final or an error.

    An utterance with speech must get its final. In a protocol with one utterance in
    each session, this utterance has a session of its own in the same role.
    """

    def check_all(evidence: Evidence) -> Outcome:
        followed = any(
            clip.text for part in evidence.role(role) for clip in _first(part)
        )

        def check(part: Part) -> Outcome | None:
            refused = _refused(part)
            ended = followed or part.trace.end.how in ENDED_BY_CLIENT
            if refused and len(refused) == len(part.spoken) and ended:
                return None
            return finals(part, without=refused)

        nothing = "the first utterance was refused, and no other was sent"
        return any_session(check, role, nothing=nothing)(evidence)

    return check_all


def _first(part: Part) -> Iterator[Utterance]:
    """Yield the first utterance of a session, if there is one."""
    if 0 in part.spoken:
        yield part.spoken[0]


def _refused(part: Part) -> list[int]:
    """Return the items without speech that got an error instead of a final."""
    return [
        item
        for item, clip in part.spoken.items()
        if not clip.text
        and part.text(item) is None
        and part.timeline.item(item).refusals
    ]


def survives(role: str) -> Check:
    """Return a check that the sessions of a role harm no other session.

    The other sessions are a *bystander*, which runs beside them, and a *fresh* session,
    which opens after them.
    """

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        outcome = finishes("bystander", "fresh")(evidence)
        fresh = evidence.role("fresh")
        if any(part.timeline.final is not None for part in fresh):
            return outcome  # the server runs, even if it is too busy to answer HTTP
        if evidence.gauges and (lost := evidence.gauges[-1].lost):
            return Violated(f"the server stopped answering: {lost}", ())
        if isinstance(outcome, Violated):
            return outcome
        if not fresh:
            return Undecided(f"no session was run after the sessions of {role}")
        if fresh[0].trace.opened is not None:
            return outcome
        return Violated(
            f"no session could be opened after the sessions of {role}: {why(fresh[0])}",
            (),
            evidence.index(fresh[0]),
        )

    return check


def random_sessions_pass(role: str) -> Check:
    """Return a check that no random session fails or harms another session."""

    def check(evidence: Evidence) -> Outcome:
        findings = [each for each in evidence.findings if each.role == role]
        for finding, part in zip(findings, evidence.role(role), strict=False):
            if not finding.excused:
                return Violated(
                    f"{finding.what}\n\n{finding.script}",
                    last(part),
                    evidence.index(part),
                    by_loss=finding.flaky,
                )
        return survives(role)(evidence)

    return check
