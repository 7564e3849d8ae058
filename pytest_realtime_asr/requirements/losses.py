"""The lost utterances of a run: how many, and in which roles there are too many.

If a server loses one utterance in ten by chance, it does so in many scenarios. Such
losses show how often the server loses utterances, but nothing about the subject of a
scenario. So a role has too many losses only if the rate of losses in all other roles
does not explain them. The test is Fisher's exact test, which takes into account that
this rate is only estimated. Holm's method corrects for the number of roles. There is no
correction for the number of requirements, since requirements on the same sessions share
their losses.

- If no other role has a loss, one loss of a role is too many.
- One lost utterance does not show whether its scenario caused the loss, or whether the
  server loses 10 % of all utterances. So if several scenarios have a loss, these
  scenarios are repeated (see `pytest_realtime_asr.conformance.scheduler`).
- If a role has `_ALWAYS` sessions or more, and each of them lost an utterance, the
  losses of this role most likely have their own cause. Such a role does not count in
  the rate for another role, since several such roles would otherwise excuse each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_realtime_asr import stats
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.trace.records import Ending

_LEVEL = 0.05  # of the test, over all roles
_ALWAYS = 3  # sessions
_ENDED_BY_CLIENT = (Ending.CLOSED_BY_US, Ending.CANCELLED)
# The sessions beside and after scenarios that may harm the server.
_AFTER_HARM = ("bystander", "fresh", "last")
# This audio is sent faster than the user asked, so a server may be too slow for it. The
# scenario only gives a long text, and no requirement expects its final in time.
_TOO_FAST = "60s-fast"


@dataclass(frozen=True, slots=True)
class Losses:
    """The utterances of the sessions of one role, and how many of them were lost.

    ``sessions`` is the number of sessions with an utterance. ``losing`` is the number
    of sessions that lost an utterance. ``plain`` is true under three conditions: no
    session has a frame written by hand, no session runs beside or after a scenario that
    may harm the server, and no audio is sent faster than the user asked.
    """

    lost: int
    total: int
    sessions: int
    losing: int
    plain: bool

    @property
    def always(self) -> bool:
        """Whether at least `_ALWAYS` sessions exist, and each lost an utterance."""
        return self.losing == self.sessions >= _ALWAYS


def loses(part: Part) -> bool:
    """Return whether a session lost an utterance."""
    return _count(part)[0] > 0


def by_role(evidence: Evidence) -> dict[str, Losses]:
    """Return the losses of each role that has an utterance."""
    found: dict[str, list[Part]] = defaultdict(list)
    for part in evidence.parts:
        if _count(part)[1]:
            found[part.role].append(part)
    return {role: _losses(role, parts) for role, parts in found.items()}


def excessive(losses: Mapping[str, Losses]) -> frozenset[str]:
    """Return the roles that lose significantly more utterances than the other roles."""
    roles = list(losses)
    if not roles:
        return frozenset()
    corrected = stats.holm([_p_value(role, losses) for role in roles])
    return frozenset(
        role for role, p in zip(roles, corrected, strict=True) if p <= _LEVEL
    )


def scattered(losses: Mapping[str, Losses]) -> dict[str, Losses]:
    """Return the losses of each plain role that has losses, but not too many.

    `excessive` says which roles have too many losses.
    """
    own = excessive(losses)
    return {
        role: each
        for role, each in losses.items()
        if each.plain and each.lost and role not in own
    }


def rate(losses: Mapping[str, Losses]) -> tuple[int, int]:
    """Return how many plain utterances were lost, and how many were sent.

    Roles with too many losses (see `excessive`) are left out.
    """
    own = excessive(losses)
    return _sum(each for role, each in losses.items() if each.plain and role not in own)


def lost_clips(parts: Iterable[Part]) -> list[str]:
    """Return the ids of the utterances that these sessions lost, each once."""
    lost = {utterance.id: None for part in parts for utterance in _lost(part)}
    return list(lost)


def _count(part: Part) -> tuple[int, int]:
    """Return how many utterances of a session were lost, and how many were sent."""
    counted = _counted(part)
    return len(_lost(part)), len(counted)


def _lost(part: Part) -> list[Utterance]:
    """Return the utterances of a session that have no final and are counted."""
    return [
        utterance
        for item, utterance in _counted(part).items()
        if part.timeline.item(item).final is None
    ]


def _counted(part: Part) -> dict[int, Utterance]:
    """Return the utterances of a session that are counted, by item number.

    Two kinds of utterance are not counted: an utterance for whose final the client did
    not wait, and an utterance without audio, which a server may refuse. A counted
    utterance is lost if its final never came, or if an error came instead.
    """
    ended = part.trace.end.how in _ENDED_BY_CLIENT
    found = {}
    for item, utterance in part.spoken.items():
        events = part.timeline.item(item)
        missing = events.final is None
        if not utterance.duration or (missing and ended and not events.refusals):
            continue
        found[item] = utterance
    return found


def _losses(role: str, parts: Iterable[Part]) -> Losses:
    found = list(parts)
    counts = [_count(part) for part in found]
    by_hand = any(record.raw for part in found for record in part.trace.records)
    return Losses(
        lost=sum(lost for lost, _ in counts),
        total=sum(total for _, total in counts),
        sessions=len(found),
        losing=sum(lost > 0 for lost, _ in counts),
        plain=not by_hand and role not in (*_AFTER_HARM, _TOO_FAST),
    )


def _p_value(role: str, losses: Mapping[str, Losses]) -> float:
    """Return the probability that a role has this many losses, or more, by chance.

    The role is assumed to lose utterances at the rate of the other plain roles.
    """
    own = losses[role]
    if not own.lost:
        return 1.0
    lost, total = _sum(
        each
        for other, each in losses.items()
        if other != role and each.plain and not each.always
    )
    if not lost:
        return 0.0
    return stats.larger_share_p_value(own.lost, own.total, lost, total)


def _sum(losses: Iterable[Losses]) -> tuple[int, int]:
    counts = [(each.lost, each.total) for each in losses]
    return sum(lost for lost, _ in counts), sum(total for _, total in counts)
