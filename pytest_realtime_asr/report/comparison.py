"""The wording of a comparison with another run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_realtime_asr.metrics.accuracy import (
    SYNTHETIC,
    words,
)
from pytest_realtime_asr.metrics.causality import PREMATURE, Premature
from pytest_realtime_asr.report import two_servers
from pytest_realtime_asr.report.alignment import lines
from pytest_realtime_asr.report.changes import interval, shown, value
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.change import (
    LEVEL,
    Change,
    Invalid,
    Outcome,
    milliseconds,
)
from pytest_realtime_asr.verdicts.comparison import Comparison
from pytest_realtime_asr.verdicts.limits import WER
from pytest_realtime_asr.verdicts.pairing import Values
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord


def failures(comparison: Comparison) -> list[str]:
    """Return one message for each reason why the comparison fails the test."""
    if not comparison.gated:
        return []
    found = [_refusal(comparison)] if comparison.refused else []
    for change in comparison.changes:
        if change.failed:
            texts = (change_line(change), details(change))
            found.append("\n".join(text for text in texts if text))
    return _headed(comparison, found)


def warnings(comparison: Comparison) -> list[str]:
    """Return one line for each metric with too few clips.

    One more line names the metrics without any value.
    """
    found = [
        few_clips(change)
        for change in comparison.changes
        if change.gated and change.too_few and change.invalid is None
    ]
    if comparison.pairs and comparison.unmeasured:
        names = ", ".join(comparison.unmeasured)
        found.append(
            f"{names} cannot show a change: no pair of sessions has values to compare"
        )
    return _headed(comparison, found)


def summary(comparison: Comparison) -> list[str]:
    """Return the lines that show the whole comparison."""
    if not (comparison.pairs or comparison.alone_before):
        return _headed(comparison, ["the other run does not have this test"])
    pairs = several(comparison.pairs, "pair")
    context = [_values(each, "-") for each in comparison.context]
    refusal = _refusal(comparison) if comparison.refused else pairs
    found = _headed(comparison, ["; ".join([*context, refusal])])
    if comparison.pairs and comparison.mismatches:
        found.append(f"not paired: {_mismatches(comparison)}")
    if comparison.pairs and (alone := _alone(comparison)):
        found.append(alone)
    if not comparison.this:
        return [*found, *map(change_line, comparison.changes)]
    judged = [change for change in comparison.changes if change.gated]
    return [*found, *two_servers.lines(comparison), *map(change_line, judged)]


def change_line(change: Change) -> str:
    """Return one line about a change: effect, margin, interval and the worst pair."""
    name = f"{change.name} {change.outcome.value}"
    if not change.gated:
        name += ", not judged"
    if change.invalid is not None:
        return f"{name}: {_invalid(change)}"
    scale, (low, high) = change.margin.scale, change.interval
    sign = ">" if change.effect > change.margin.size else "<="
    parts = [
        f"{LEVEL:.0%} CI {interval(low, high, scale)}",
        f"p={change.p:.2g} of {several(change.family, 'comparison')}",
        f"n={several(change.n, 'pair')}",
        f"{value(change, change.before)} -> {value(change, change.now)}",
    ]
    if any(change.lost):
        parts.append(f"lost {change.lost[0]} -> {change.lost[1]}")
    for why, (before, now) in change.premature:
        parts.append(f"{PREMATURE[why]} {before} -> {now}")
    if change.margin.metric == WER and change.worst[1].synthetic:
        parts.append(SYNTHETIC)
    parts += _median_run(change)
    effect = shown(change.effect, scale, "+")
    if change.gated:
        effect += f" {sign} {shown(change.margin.size, scale)}"
    tail = _worst(change)
    if change.within_spread and change.effect:
        tail += "; within the range of the earlier runs"
    if change.too_few and change.outcome is Outcome.UNDECIDED:
        tail += f"; {few_clips(change)}"
    return f"{name}: {effect} ({'; '.join(parts)}){tail}"


def _median_run(change: Change) -> list[str]:
    """Return the name of the median run, and how far the other runs differ from it."""
    if change.runs == 1:
        return []
    found = f"median of {several(change.runs, 'run')}: {change.run}"
    if change.spread is not None:
        low, high = (shown(each, change.margin.scale, "+") for each in change.spread)
        found += f", from which the others differ by {low} to {high}"
    return [found]


def few_clips(change: Change) -> str:
    """Return a sentence about how many clips a change has and how many it needs."""
    needs = "comparison needs" if change.family == 1 else "comparisons need"
    return (
        f"{change.name} cannot show a change: it has {several(change.clips, 'clip')}, "
        f"but {change.family} {needs} at least {change.needed}"
    )


def details(change: Change) -> str | None:
    """Return both texts of the worst pair, each aligned with the reference.

    Returns ``None`` if the change is not a change of the word error rate.
    """
    if change.margin.metric != WER:
        return None
    return "\n".join(
        f"{row.utterance} {when}\n{_aligned(row)}"
        for when, row in zip(("before", "now"), change.worst, strict=True)
    )


def _aligned(row: UtteranceRecord) -> str:
    # Use the normaliser of this version; the report may come from an older version.
    heard = None if row.lost else row.text
    return lines(words(row.reference, heard, language=row.language))


def _invalid(change: Change) -> str:
    if change.invalid is Invalid.NO_RATIO:
        return "a ratio needs values greater than zero; give the margin in ms"
    measured = change.n - sum(count for _, count in change.unmeasured)
    counts = ", ".join(f"{count} {_reason(why)}" for why, count in change.unmeasured)
    return (
        f"the baseline has a value in only {measured} of "
        f"{several(change.n, 'session')} ({counts}), and its missing values could "
        "change the result; repair the baseline server, or record the baseline again"
    )


def _reason(why: str | Premature | None) -> str:
    if isinstance(why, Premature):
        return PREMATURE[why]
    return "without a value" if why is None else why


def _worst(change: Change) -> str:
    """Return the worst pair of a change, or "" if no pair became worse."""
    before, now = change.worst
    if change.margin.metric == WER:
        if now.errors.wrong <= before.errors.wrong:
            return ""
        wrong = f"{before.errors.wrong} -> {now.errors.wrong} wrong"
        return f"; worst {now.utterance}: {wrong} of {now.errors.reference}"
    old, new = (milliseconds(row, change.margin.metric) for row in change.worst)
    if new <= old:
        return ""
    return f"; worst {now.utterance}: {value(change, old)} -> {value(change, new)}"


def _refusal(comparison: Comparison) -> str:
    why = _mismatches(comparison) or _alone(comparison)
    return f"no utterance could be paired: {why}"


def _mismatches(comparison: Comparison) -> str:
    return "; ".join(_values(each) for each in comparison.mismatches)


def _values(values: Values, missing: str = "") -> str:
    old, new = (", ".join(each) or missing for each in (values.before, values.now))
    return f"{values.name} {old}" if old == new else f"{values.name} {old} -> {new}"


def _alone(comparison: Comparison) -> str:
    sides = (("before", comparison.alone_before), ("now", comparison.alone_now))
    return "; ".join(f"only {name}: {_some(ids)}" for name, ids in sides if ids)


def _headed(comparison: Comparison, texts: Iterable[str]) -> list[str]:
    return [f"compared with {comparison.other}: {text}" for text in texts]


def _some(ids: Sequence[str]) -> str:
    every = list(dict.fromkeys(ids))
    return f"{len(ids)} ({first_names(every)})"
