"""By what a test is judged and how its sessions are held: its markers, read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from pytest_realtime_asr.plugin.settings import Settings, chunk, level, pace
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.text.inputs import shown
from pytest_realtime_asr.verdicts.budgets import (
    Budget,
    WerThreshold,
    budget,
    latency_budget,
    wer_threshold,
)
from pytest_realtime_asr.verdicts.limits import BudgetError, resolve
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy

T = TypeVar("T")
_BUDGETS: Mapping[str, Callable[..., Budget]] = {
    "latency_budget": latency_budget,
    "budget": budget,
}
_WHOLE = {"max", "mean"}  # of one session, both are its value
_KEYWORDS = ("dialect", "model", "pace", "chunk", "rules")
_FORMS = {
    "latency_budget": 'latency_budget("final_from_commit", p95="800ms")',
    "budget": 'budget("normalized_erasure", at_most=0.2)',
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
    ``parallel`` says that other workers measure at the same time. Of ``budgets``, each
    has limits that a sample can prove, or such that it cannot, and never both. With
    ``private``, no message quotes a text.
    """

    dialect: str
    model: str
    pace: float
    chunk: float
    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()
    rules: Level | None = Level.MUST
    parallel: bool = False
    undecided: UndecidedPolicy = UndecidedPolicy.FAIL
    private: bool = False


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
    ``fixed`` to what the settings say; the others add up. A confidence that a marker
    leaves out is that of the settings, as far as there is a proof, and ``"$name"`` is
    the limit of this name in their table. ``alone`` says that the test has a single
    session, of which no quantile can be judged. Raises `BudgetError`, which names what
    may be written.
    """
    held: dict[str, object] = {}
    budgets: list[Budget] = []
    thresholds: list[WerThreshold] = []
    for mark in marks:
        try:
            if mark.name in _BUDGETS:
                made = _BUDGETS[mark.name](*mark.args, **_looked_up(mark, settings))
                if alone and made.over is None:
                    _refuse_quantiles(mark.name, made)
                budgets += reversed(_split(made, settings.confidence))
            elif mark.name == "wer_threshold":
                args: Any = [resolve(value, settings.limits) for value in mark.args]
                threshold = wer_threshold(*args, **_looked_up(mark, settings))
                if threshold.confidence is None:
                    threshold = replace(threshold, confidence=settings.confidence)
                thresholds.append(threshold)
            elif mark.name == "realtime":
                held = {**_keywords(mark), **held}
        except TypeError as error:
            raise BudgetError(
                f"{mark.name}: {error}; it should look like {_FORMS[mark.name]}"
            ) from None
    held = {name: value for name, value in held.items() if name not in fixed}
    return Terms(
        dialect=_held(held, "dialect", _name, settings.dialect),
        model=_held(held, "model", _name, settings.model),
        pace=_held(held, "pace", pace, settings.pace),
        chunk=_held(held, "chunk", chunk, settings.chunk),
        budgets=tuple(reversed(budgets)),
        thresholds=tuple(reversed(thresholds)),
        rules=_held(held, "rules", level, settings.rules),
        parallel=parallel and settings.parallel,
        undecided=settings.undecided,
        private=settings.private,
    )


def _split(made: Budget, confidence: float | None) -> list[Budget]:
    """A budget as one of limits that can be proven, and one of those that cannot."""
    parts = []
    for proof in (True, False):
        found = tuple(
            limit for limit in made.limits if (limit.stat.provable is not None) is proof
        )
        if found:
            sure = made.confidence or (confidence if proof else None)
            parts.append(replace(made, limits=found, confidence=sure))
    return parts


def _looked_up(mark: Mark, settings: Settings) -> dict[str, Any]:
    """The keywords of a marker, with the limits that it names."""
    return {
        name: resolve(value, settings.limits) for name, value in mark.kwargs.items()
    }


def _refuse_quantiles(name: str, made: Budget) -> None:
    """Refuse what one session cannot have; its own value is what no time may be."""
    whole, form = ({"max"}, "max=") if name == "latency_budget" else (_WHOLE, "a mean")
    stats = [limit.stat for limit in made.limits if limit.stat not in whole]
    if stats:
        raise BudgetError(
            f"{name}: {made.metric} {stats[0]}: with the fixture utterance a test has "
            f"one session, so that only {form} can be judged; "
            'over="module" pools the sessions of the module'
        )


def _keywords(mark: Mark) -> Mapping[str, object]:
    unknown = [name for name in mark.kwargs if name not in _KEYWORDS]
    if unknown or mark.args:
        wrong = ", ".join(unknown) or "positional argument"
        raise BudgetError(f"realtime: no {wrong}; there are {', '.join(_KEYWORDS)}")
    return mark.kwargs


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BudgetError(f"{shown(value)} is not a name")
    return value


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
