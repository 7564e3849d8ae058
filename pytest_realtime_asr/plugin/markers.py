"""Parses the markers of a test into the session settings and limits of the test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from pytest_realtime_asr.plugin.parsing import chunk, level, pace
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.inputs import shown
from pytest_realtime_asr.verdicts import budgets
from pytest_realtime_asr.verdicts.budgets import Budget, RecallThreshold, WerThreshold
from pytest_realtime_asr.verdicts.limits import WER, BudgetError, resolve
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits

T = TypeVar("T")
_BUDGETS: Mapping[str, Callable[..., Budget]] = {
    "latency_budget": budgets.latency_budget,
    "budget": budgets.budget,
}
_OF_ONE = {"max", "mean"}  # the statistics that a single session has
_KEYWORDS = ("dialect", "model", "pace", "chunk", "rules")
EXAMPLES = {
    "latency_budget": 'latency_budget("final_from_commit", p95="800ms")',
    "budget": 'budget("normalized_erasure", at_most=0.2)',
    "capacity": "capacity(at_least=40)",
    "keyword_recall": 'keyword_recall(["Anna", "41729"], at_least=0.95)',
    "wer_threshold": "wer_threshold(0.12, normalizer=..., confidence=0.95)",
}
_CONFIDENCE = (
    "the confidence, such as 0.95, with which the sample must prove the limit; "
    "the default is the value of `--realtime-confidence`"
)
_NORMALIZER = (
    "the name of the normalizer that makes the texts comparable, such as `basic`; "
    "the default is the normalizer for the language of the utterance"
)
_OVER = (
    '`"module"`, to judge the sessions of all tests of the module together; by '
    "default, the sessions of each test are judged separately"
)
_METRIC = "the name of the metric"
_STATISTICS = (
    'the limit of each statistic, as a string such as `"800ms"` or a timedelta; at '
    "least one limit is needed; quantiles are computed by the nearest rank"
)
# What the arguments of each marker mean, in Markdown.
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "latency_budget": {
        "metric": _METRIC,
        "p50, p90, p95, p99, max, mean": _STATISTICS,
        "confidence": _CONFIDENCE,
        "over": _OVER,
    },
    "budget": {
        "metric": _METRIC,
        "at_most, at_least": "the upper and the lower limit, in the unit of the "
        "metric; at least one is needed",
        "stat": "the statistic to which the limits apply: `mean`, `max` or a quantile "
        "such as `p95`",
        "confidence": f"{_CONFIDENCE}; only a limit on a quantile can have a "
        "confidence",
        "over": _OVER,
    },
    "wer_threshold": {
        "limit": "the largest word error rate that passes, such as `0.12`",
        "normalizer": _NORMALIZER,
        "confidence": _CONFIDENCE,
    },
    "keyword_recall": {
        "keywords": "the names, numbers and terms to look for, as a list of strings",
        "at_least": "the smallest share of the keywords that must be recognised, from "
        "0 to 1",
        "normalizer": _NORMALIZER,
        "confidence": f"{_CONFIDENCE}; not possible with at_least=1, which no sample "
        "proves",
    },
    "capacity": {
        "at_least": "the number of streams that must be proven, a whole number from 1"
    },
    "realtime_requirement": {
        "id": "the id of the requirement",
        "level": "the level of the requirement: `must`, `should` or `info`",
        "scenario": "the names of the scenarios whose sessions are judged, separated "
        "by blanks",
    },
    "realtime": {
        "dialect": "as the option `--realtime-dialect`",
        "model": "as the option `--realtime-model`",
        "pace": "as the option `--realtime-pace`",
        "chunk": "as the option `--realtime-chunk`",
        "rules": "as the option `--realtime-rules`",
    },
}


class Mark(Protocol):
    """A marker of pytest."""

    @property
    def name(self) -> str: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, Any]: ...


def read(
    marks: Iterable[Mark],
    settings: Settings,
    *,
    parallel: bool,
    fixed: Collection[str] = (),
    one_session: bool = False,
    of_run: RunLimits = NO_LIMITS,
) -> Terms:
    """Return the session settings and limits of a test that has these markers.

    ``marks`` are ordered from the nearest marker to the farthest. Each argument of the
    marker `realtime` has the value of the nearest marker that sets it; an argument in
    ``fixed`` always has the value of the settings. The budgets and thresholds of all
    markers count. If a marker has no confidence, the confidence of the settings is
    used. A named limit such as ``"$name"`` has its value from the settings.
    ``one_session`` says that the test runs a single session; a single session has no
    quantiles to judge. Each limit of the run in ``of_run`` applies if no marker limits
    the same metric. Raises `BudgetError`, whose message says what may be written.
    """
    keywords: dict[str, object] = {}
    found: list[Budget] = []
    thresholds: list[WerThreshold] = []
    recalls: list[RecallThreshold] = []
    capacities: list[int] = []
    for mark in marks:
        try:
            if mark.name in _BUDGETS:
                made = _budget(mark, settings)
                if one_session and made.over is None:
                    _refuse_quantiles(mark.name, made)
                found += reversed(_split(made, settings.limits.confidence))
            elif mark.name == "wer_threshold":
                thresholds.append(_threshold(mark, settings))
            elif mark.name == "keyword_recall":
                recalls.append(_recall(mark, settings))
            elif mark.name == "capacity":
                capacities.append(_capacity(*mark.args, **mark.kwargs))
            elif mark.name == "realtime":
                keywords = {**_keywords(mark), **keywords}
        except TypeError as error:
            raise BudgetError(
                f"{mark.name}: {error}; write the marker as in {EXAMPLES[mark.name]}"
            ) from None
    keywords = {name: value for name, value in keywords.items() if name not in fixed}
    session, limits = settings.run.session, settings.limits
    shared = _shared(of_run, found, thresholds, limits.confidence)
    return Terms(
        dialect=_keyword(keywords, "dialect", _name, session.dialect),
        model=_keyword(keywords, "model", _name, session.model),
        pace=_keyword(keywords, "pace", pace, session.pace),
        chunk=_keyword(keywords, "chunk", chunk, session.chunk),
        budgets=(*reversed(found), *shared.budgets),
        thresholds=(*reversed(thresholds), *shared.thresholds),
        recalls=tuple(reversed(recalls)),
        rules=_keyword(keywords, "rules", level, limits.rules),
        parallel=parallel and settings.run.parallel,
        undecided=limits.undecided,
        private=settings.run.private,
        of_run=shared,
        capacity=max(capacities, default=None),
    )


def _shared(
    of_run: RunLimits,
    own: Iterable[Budget],
    thresholds: Collection[WerThreshold],
    confidence: float | None,
) -> RunLimits:
    """Return the limits of the run, except for metrics that a marker already limits."""
    limited = {each.metric for each in own} | ({WER} if thresholds else set())
    left = of_run.without(limited)
    return RunLimits(
        tuple(part for each in left.budgets for part in _split(each, confidence)),
        tuple(replace(each, confidence=confidence) for each in left.thresholds),
    )


def _budget(mark: Mark, settings: Settings) -> Budget:
    return _BUDGETS[mark.name](*mark.args, **_kwargs(mark, settings))


def _threshold(mark: Mark, settings: Settings) -> WerThreshold:
    named = settings.limits.named
    args: Any = [resolve(value, named) for value in mark.args]
    made = budgets.wer_threshold(*args, **_kwargs(mark, settings))
    if made.confidence is None:
        return replace(made, confidence=settings.limits.confidence)
    return made


def _recall(mark: Mark, settings: Settings) -> RecallThreshold:
    made = budgets.keyword_recall(*mark.args, **_kwargs(mark, settings))
    if made.confidence is None and made.at_least < 1:  # no sample proves a recall of 1
        return replace(made, confidence=settings.limits.confidence)
    return made


def _capacity(*, at_least: object) -> int:
    """Return the number of streams that a marker `capacity` asks for."""
    if type(at_least) is not int or at_least < 1:
        raise BudgetError(
            f"capacity: at_least={shown(at_least)} is not a number of streams; write "
            f"the marker as in {EXAMPLES['capacity']}"
        )
    return at_least


def _kwargs(mark: Mark, settings: Settings) -> dict[str, Any]:
    """Return a marker's keyword arguments, with named limits replaced by values."""
    named = settings.limits.named
    return {name: resolve(value, named) for name, value in mark.kwargs.items()}


def _split(made: Budget, confidence: float | None) -> list[Budget]:
    """Split a budget into two: the limits on quantiles, and all other limits.

    A sample can prove a limit on a quantile, but no limit on a maximum or a mean. If
    one of the two budgets has no limits, it is left out.
    """
    parts = []
    for proof in (True, False):
        limits = tuple(
            limit for limit in made.limits if (limit.stat.provable is not None) is proof
        )
        if limits:
            sure = made.confidence or (confidence if proof else None)
            parts.append(replace(made, limits=limits, confidence=sure))
    return parts


def _refuse_quantiles(name: str, made: Budget) -> None:
    """Raise `BudgetError` for a statistic that a single session does not have."""
    if name == "latency_budget":
        allowed, form = {"max"}, "max="
    else:
        allowed, form = _OF_ONE, "a mean"
    stats = [limit.stat for limit in made.limits if limit.stat not in allowed]
    if stats:
        raise BudgetError(
            f"{name}: {made.metric} {stats[0]}: a test with the fixture utterance has "
            f"one session, so only {form} can be judged; "
            'add over="module" to judge all sessions of the module together'
        )


def _keywords(mark: Mark) -> Mapping[str, object]:
    unknown = [name for name in mark.kwargs if name not in _KEYWORDS]
    if unknown or mark.args:
        wrong = ", ".join(unknown) or "positional argument"
        raise BudgetError(
            f"realtime: the marker takes no {wrong}; choose from {', '.join(_KEYWORDS)}"
        )
    return mark.kwargs


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BudgetError(
            f"{shown(value)} is not a name; give a string that is not empty"
        )
    return value


def _keyword(
    keywords: Mapping[str, object], name: str, parse: Callable[[Any], T], default: T
) -> T:
    """Return the parsed value of one argument of the marker `realtime`.

    ``default`` is returned if no marker sets the argument. Raises `BudgetError`.
    """
    if name not in keywords:
        return default
    try:
        return parse(keywords[name])
    except ValueError as error:
        raise BudgetError(f"realtime: {name}: {error}") from None
