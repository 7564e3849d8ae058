"""The check that a server does not lose utterances at random."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_realtime_asr.requirements import losses
from pytest_realtime_asr.requirements.checks.combinators import last, why
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.stats import share_interval
from pytest_realtime_asr.text.name_list import first_names

_LEAST = 2  # roles with a loss; the losses of a single one have a cause of their own
_NAMED = 4  # roles that a message names
_CLIPS = 5  # clips that a message names


def no_loss(evidence: Evidence) -> Outcome:
    """Check that a server does not lose plain utterances of a run at random.

    A role is left out if its rate of losses is significantly above the rate of all
    other roles together. The requirements that use this role judge such losses.
    """
    found = losses.by_role(evidence)
    plain = {role: each for role, each in found.items() if each.plain}
    if not plain:
        return Undecided("no plain utterance was sent")
    lost = losses.scattered(found)
    if len(lost) >= _LEAST:
        place = next(
            place
            for place, part in enumerate(evidence.parts)
            if part.role in lost and losses.loses(part)
        )
        clips = losses.lost_clips(each for each in evidence.parts if each.role in lost)
        return Violated(
            f"{described(*losses.rate(found))}, in {_listed(lost)}; lost "
            f"{'clip' if len(clips) == 1 else 'clips'}: "
            f"{first_names(clips, most=_CLIPS)}",
            last(evidence.parts[place]),
            place,
        )
    losing = [role for role, each in plain.items() if each.lost]
    if losing:
        first = next(part for part in evidence.role(*losing) if losses.loses(part))
        return Undecided(
            "random losses cannot be shown, since utterances were lost only in "
            f"{_listed(losing)}: {why(first)}"
        )
    return Satisfied()


def _listed(roles: Iterable[str]) -> str:
    return first_names(list(roles), most=_NAMED)


def described(lost: int, total: int) -> str:
    """Return the rate of lost utterances in words, with its confidence interval."""
    low, high = (100 * bound for bound in share_interval(lost, total))
    return (
        f"{lost} of {total} plain utterances have no final: "
        f"{100 * lost / total:.1f} % (95 % confidence interval {low:.1f} to "
        f"{high:.1f} %)"
    )
