"""A level that has ended, with what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_realtime_asr.load.decision import Decision
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.outcome import Outcome
from pytest_realtime_asr.load.texts import CrossTalk
from pytest_realtime_asr.load.trials import Step


@dataclass(frozen=True, slots=True)
class LevelRecord:
    """A level of a test.

    ``decision`` is the decision on the limits of the test; it is ``None`` if the test
    has no limit that a level can decide. ``outcomes`` counts the sessions of the steady
    part by their outcome. ``cross_talk`` are the sessions that contain the words of
    another session. ``step`` is the step of the search for the capacity; it is ``None``
    for a level that the test itself asked for.
    """

    level: Level
    decision: Decision | None = None
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    cross_talk: tuple[CrossTalk, ...] = ()
    step: Step | None = None
