"""States shared requirements with a dialect's own clause, check, level or proof."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pytest_realtime_asr.requirements.requirement import (
    Check,
    Level,
    Proof,
    Requirement,
)
from pytest_realtime_asr.requirements.shared.connections import HANDSHAKES, LIFE, MANY
from pytest_realtime_asr.requirements.shared.events import DISCLOSURE, EVENTS
from pytest_realtime_asr.requirements.shared.keeping_up import KEEPING_UP
from pytest_realtime_asr.requirements.shared.lost_words import LOST_WORDS
from pytest_realtime_asr.requirements.shared.quiet_noise import QUIET_NOISE
from pytest_realtime_asr.requirements.shared.robustness import AMID_SPEECH, JSON, SIZES
from pytest_realtime_asr.requirements.shared.set_ups import SET_UPS
from pytest_realtime_asr.requirements.shared.settled_text import SETTLED_TEXT
from pytest_realtime_asr.requirements.shared.usage import USAGE
from pytest_realtime_asr.requirements.shared.utterances import (
    EMPTY,
    LENGTHS,
    NEIGHBOURS,
    NO_LOSS,
    PAUSES,
    SAME_TEXT,
    TEXTS,
)

SHARED: Mapping[str, Requirement] = {
    each.id: each
    for group in (
        *(EVENTS, DISCLOSURE, JSON, AMID_SPEECH, SIZES, TEXTS, LENGTHS, EMPTY, PAUSES),
        *((NO_LOSS,), NEIGHBOURS, LIFE, HANDSHAKES, MANY, SAME_TEXT, LOST_WORDS),
        *(USAGE, QUIET_NOISE, KEEPING_UP, SET_UPS, (SETTLED_TEXT,)),
    )
    for each in group
}
"""All shared requirements by their ids."""


def stated(
    id: str,
    clause: str | None = None,
    check: Check | None = None,
    *,
    level: Level | None = None,
    proof: Proof | None = None,
) -> Requirement:
    """Return the shared requirement of this id, changed for one protocol.

    Each argument that is ``None`` keeps the value of the shared requirement.
    """
    found = SHARED[id]
    return replace(
        found,
        clause=clause or found.clause,
        check=check or found.check,
        level=level or found.level,
        proof=proof or found.proof,
    )


def restated(
    group: Iterable[Requirement], *changed: Requirement
) -> tuple[Requirement, ...]:
    """Return the group; a changed requirement replaces the one that has the same id."""
    own = {each.id: each for each in changed}
    return tuple(own.pop(each.id, each) for each in group)
