"""By what a test is judged and how its sessions are held: its markers, read."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_realtime_asr.budgets import (
    Budget,
    BudgetError,
    WerThreshold,
    budget,
    parse_duration,
    wer_threshold,
)
from pytest_realtime_asr.rules import Level
from pytest_realtime_asr.settings import Settings

MARKERS = ("latency_budget", "wer_threshold", "realtime")
JUDGING = MARKERS[:2]
_KEYWORDS = ("dialect", "model", "pace", "chunk", "rules")
_FORMS = {
    "latency_budget": 'latency_budget("final_from_commit", p95="800ms")',
    "wer_threshold": "wer_threshold(0.12, normalizer=..., confidence=0.95)",
}


class Mark(Protocol):
    """A marker as pytest has it."""

    @property
    def name(self) -> str: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one test.

    ``rules`` is the weakest level that fails it, ``None`` for none; ``chunk`` is in
    seconds; ``parallel`` says that other workers measure at the same time.
    """

    dialect: str
    model: str
    pace: float
    chunk: float
    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()
    rules: Level | None = Level.MUST
    parallel: bool = False


def read(
    marks: Iterable[Mark],
    settings: Settings,
    *,
    parallel: bool,
    fixed: Collection[str] = (),
) -> Terms:
    """The terms of a test with these markers, the nearest first.

    The nearest `realtime` marker wins for each of its keywords, but for those that are
    ``fixed`` to what the settings say; the other two add up.
    Raises `BudgetError`, which names what may be written.
    """
    held: dict[str, object] = {}
    budgets: list[Budget] = []
    thresholds: list[WerThreshold] = []
    for mark in marks:
        try:
            if mark.name == "latency_budget":
                budgets.append(budget(*mark.args, **mark.kwargs))
            elif mark.name == "wer_threshold":
                thresholds.append(wer_threshold(*mark.args, **mark.kwargs))
            elif mark.name == "realtime":
                held = {**_keywords(mark), **held}
        except TypeError as error:
            raise BudgetError(
                f"{mark.name}: {error}; it should look like {_FORMS[mark.name]}"
            ) from None
    held = {name: value for name, value in held.items() if name not in fixed}
    return Terms(
        dialect=str(held.get("dialect", settings.dialect)),
        model=str(held.get("model", settings.model)),
        pace=_pace(held["pace"]) if "pace" in held else settings.pace,
        chunk=_chunk(held["chunk"]) if "chunk" in held else settings.chunk,
        budgets=tuple(reversed(budgets)),
        thresholds=tuple(reversed(thresholds)),
        rules=_level(held["rules"]) if "rules" in held else settings.rules,
        parallel=parallel and settings.parallel,
    )


def one_session(terms: Terms) -> str:
    """What of the terms cannot be judged over a single session, else empty."""
    for each in terms.budgets:
        stats = [limit.stat for limit in each.limits if limit.stat != "max"]
        if stats and each.over is None:
            return (
                f"latency_budget: {each.metric} {stats[0]}: with the fixture utterance "
                "a test has one session, so that only max= can be judged; "
                'over="module" pools the sessions of the module'
            )
    return ""


def _keywords(mark: Mark) -> Mapping[str, object]:
    unknown = [name for name in mark.kwargs if name not in _KEYWORDS]
    if unknown or mark.args:
        wrong = ", ".join(unknown) or "positional argument"
        raise BudgetError(f"realtime: no {wrong}; there are {', '.join(_KEYWORDS)}")
    return mark.kwargs


def _pace(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        pace = float(value)
        if 0 <= pace < math.inf:
            return pace
    raise BudgetError(f"realtime: pace={value!r}; 1.0 is real time, 0 is unpaced")


def _chunk(value: object) -> float:
    seconds = parse_duration(value) / 1e3  # type: ignore[arg-type]
    if not 0.001 <= seconds <= 60:
        raise BudgetError(f"realtime: chunk={value!r} is not between 1ms and 60s")
    return seconds


def _level(value: object) -> Level | None:
    if value == "off":
        return None
    if value not in [level.value for level in Level]:
        raise BudgetError(f"realtime: rules={value!r}; there are must, should and off")
    return Level(value)
