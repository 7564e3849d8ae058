"""Judges a requirement without the sessions whose losses are due to chance."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.requirements import losses
from pytest_realtime_asr.requirements.checks import no_loss
from pytest_realtime_asr.requirements.checks.losses import described
from pytest_realtime_asr.requirements.checks.refusals import FIRST
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Undecided,
    Violated,
)


def without_losses(
    check: Check, evidence: Evidence, outcome: Violated, whole: Evidence
) -> Outcome:
    """Return the outcome of a check without sessions whose losses are due to chance.

    ``outcome`` is a violation that consists of an utterance without a final. ``whole``
    is the evidence of the whole run. The losses in a role are due to chance if the rate
    at which the server loses plain utterances explains their number. The check then
    judges only the sessions without such losses. The result is a violation if one of
    these sessions violates the requirement, otherwise undecided. A loss of the first
    utterance of the run is always a violation, since all other scenarios depend on this
    utterance.
    """
    role = evidence.parts[outcome.part].role
    if role == FIRST or not isinstance(no_loss(whole), Violated):
        return outcome
    found = losses.by_role(whole)
    own = losses.excessive(found)
    if role in own:
        return outcome

    def kept(part: Part) -> bool:
        return part.role in own or not losses.loses(part)

    parts = tuple(part for part in evidence.parts if kept(part))
    others = check(replace(evidence, parts=parts, findings=()))
    if isinstance(others, Violated):
        part = parts[others.part] if parts else None
        place = 0 if part is None else evidence.index(part)
        return replace(others, part=place)
    rate = described(*losses.rate(found))
    return Undecided(
        "an utterance has no final, but the loss rate of the whole run explains this "
        f"(see no-loss): {rate}"
    )
