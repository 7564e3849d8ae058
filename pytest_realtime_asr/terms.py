"""By what a test is judged and how its sessions are held: its markers, read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pytest_realtime_asr.budgets import (
    Budget,
    BudgetError,
    WerThreshold,
    budget,
    wer_threshold,
)
from pytest_realtime_asr.rules import Level
from pytest_realtime_asr.settings import Settings, chunk, level, pace

T = TypeVar("T")
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

    ``dialect`` is ``auto`` where it is the one that the server shows. ``rules`` is the
    weakest level that fails it, ``None`` for none; ``chunk`` is in seconds;
    ``parallel`` says that other workers measure at the same time.
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
    alone: bool = False,
) -> Terms:
    """The terms of a test with these markers, the nearest first.

    The nearest `realtime` marker wins for each of its keywords, but for those that are
    ``fixed`` to what the settings say; the other two add up. ``alone`` says that the
    test has a single session, of which only a maximum can be judged.
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
    if alone:
        _refuse_quantiles(budgets)
    held = {name: value for name, value in held.items() if name not in fixed}
    return Terms(
        dialect=str(held.get("dialect", settings.dialect)),
        model=str(held.get("model", settings.model)),
        pace=_held(held, "pace", pace, settings.pace),
        chunk=_held(held, "chunk", chunk, settings.chunk),
        budgets=tuple(reversed(budgets)),
        thresholds=tuple(reversed(thresholds)),
        rules=_held(held, "rules", level, settings.rules),
        parallel=parallel and settings.parallel,
    )


def _refuse_quantiles(budgets: Iterable[Budget]) -> None:
    for each in budgets:
        stats = [limit.stat for limit in each.limits if limit.stat != "max"]
        if stats and each.over is None:
            raise BudgetError(
                f"latency_budget: {each.metric} {stats[0]}: with the fixture utterance "
                "a test has one session, so that only max= can be judged; "
                'over="module" pools the sessions of the module'
            )


def _keywords(mark: Mark) -> Mapping[str, object]:
    unknown = [name for name in mark.kwargs if name not in _KEYWORDS]
    if unknown or mark.args:
        wrong = ", ".join(unknown) or "positional argument"
        raise BudgetError(f"realtime: no {wrong}; there are {', '.join(_KEYWORDS)}")
    return mark.kwargs


def _held(
    held: Mapping[str, object], name: str, read: Callable[[Any], T], default: T
) -> T:
    """A keyword of the marker as the settings would read it."""
    if name not in held:
        return default
    try:
        return read(held[name])
    except ValueError as error:
        raise BudgetError(f"realtime: {name}: {error}") from None
