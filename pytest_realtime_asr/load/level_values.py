"""Computes the values that the metrics of a level and the limits of a test need."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.outcome import (
    LOST,
    is_late,
    limits_of,
    lost_outcome,
)
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.texts import Clips, errors_of, name
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.metrics.level_values import (
    Answer,
    LevelValues,
    LoadedSession,
    WitnessAnswers,
)
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.client_delay import (
    MIN_DELAY,
    allowed_delay,
    without_delay,
)
from pytest_realtime_asr.verdicts.level_limits import JudgedLevel
from pytest_realtime_asr.verdicts.reasons import ClientDelayed

FINAL = "final_from_commit"


def judged_level(level: Level, budgets: Iterable[Budget], clips: Clips) -> JudgedLevel:
    """Return a level in the form that is compared with the limits of a test.

    ``budgets`` are the budgets of the test. ``clips`` maps the id of each clip to its
    utterance. Sessions that the client cancelled are left out.
    """
    rows = _served(level.steady)
    lost = Counter(
        outcome.value for row in rows if (outcome := lost_outcome(row)) in LOST
    )
    return JudgedLevel(
        streams=level.streams,
        number=level.number,
        values=level_values(level, budgets, clips),
        client=_client([*rows, *level.alone, *_beside(level)]),
        lost=tuple(lost.most_common()),
    )


def level_values(level: Level, budgets: Iterable[Budget], clips: Clips) -> LevelValues:
    """Return the values of a level, from which its metrics are computed.

    ``budgets`` are the budgets of the test. ``clips`` maps the id of each clip to its
    utterance.
    """
    limits = limits_of(budgets)
    alone = _served(level.alone)
    errors: dict[str, list[Errors]] = defaultdict(list)
    for row in alone:
        if (found := errors_of(row, clips)) is not None:
            errors[row.clip].append(found)
    witness = level.witness
    return LevelValues(
        sessions=tuple(_session(row, limits, clips) for row in _served(level.steady)),
        alone=_answers(alone),
        alone_errors=dict(errors),
        witness=WitnessAnswers(
            before=_answers(witness.before),
            through=_answers(witness.through),
            after=_answers(witness.after),
        ),
        end=max((row.planned for row in level.rows), default=0.0),
    )


def _session(row: Row, limits: Mapping[str, float], clips: Clips) -> LoadedSession:
    within = not row.lost and not is_late(row, limits)
    prompt = within or _within_without_delay(row, limits)
    return LoadedSession(
        answer=_answer(row),
        stream=row.stream,
        seconds=row.planned - row.speech,
        lasted=row.ended - row.speech,
        within=within if limits else None,
        prompt_within=prompt if limits else None,
        errors=errors_of(row, clips),
    )


def _within_without_delay(row: Row, limits: Mapping[str, float]) -> bool:
    """Return whether a session would be within all limits without the client's delay.

    ``limits`` are latencies in ms, by metric.
    """
    if row.lost:
        return False
    measured = row.measured
    prompt = {
        metric: None
        if (value := measured.metrics.get(metric)) is None
        else without_delay(
            value, measured.scheduling_delay, measured.client_state, allowed_delay(most)
        )
        for metric, most in limits.items()
    }
    return not is_late(replace(row, measured=replace(measured, metrics=prompt)), limits)


def _answers(rows: Iterable[Row]) -> tuple[Answer, ...]:
    return tuple(map(_answer, _served(rows)))


def _answer(row: Row) -> Answer:
    """Return the latency of the final of a session.

    The latency is infinite if the session was lost, or if its final is premature.
    """
    measured = row.measured
    value = measured.metrics.get(FINAL)
    if row.lost or value is None or FINAL in measured.premature:
        value = math.inf
    prompt = without_delay(
        value, measured.scheduling_delay, measured.client_state, allowed_delay(value)
    )
    return Answer(row.clip, row.planned, value, prompt)


def _served(rows: Iterable[Row]) -> list[Row]:
    """Return the sessions that the client did not cancel."""
    return [row for row in rows if row.lost is not Loss.CANCELLED]


def _beside(level: Level) -> list[Row]:
    witness = level.witness
    return [*witness.before, *witness.through, *witness.after]


def _client(rows: Sequence[Row]) -> ClientDelayed | None:
    """Return how much the client delayed sessions; ``None`` if it delayed none."""
    late = [row for row in rows if row.measured.scheduling_delay > MIN_DELAY]
    busy = [row for row in rows if row.measured.client_state.overloaded]
    if not (late or busy):
        return None
    worst = max(
        (*late, *busy),
        key=lambda row: (row.measured.scheduling_delay, row.measured.client_state.cpu),
    )
    return ClientDelayed(
        late=len(late),
        overloaded=len(busy),
        of=len(rows),
        max_ms=max((row.measured.scheduling_delay for row in late), default=0.0),
        tolerated_ms=MIN_DELAY,
        worst=name(worst),
        state=worst.measured.client_state,
    )
