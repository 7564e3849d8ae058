"""The wording of a capacity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_realtime_asr.load.behaviour import Beyond
from pytest_realtime_asr.load.capacity import Capacity, LimitedBy, Setting, Tried
from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.decision import LimitDecision
from pytest_realtime_asr.load.error_budget import ANY_RISK
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.trials import Task, Trial, bounds, bracket
from pytest_realtime_asr.load.work import unequal_work
from pytest_realtime_asr.metrics import DECLARED, Unit
from pytest_realtime_asr.report import level_rows, levels
from pytest_realtime_asr.report.level_rows import LevelRow
from pytest_realtime_asr.text.number_format import length, ms, plain, several, share
from pytest_realtime_asr.verdicts.limits import WER
from pytest_realtime_asr.verdicts.verdict import Verdict

_LIMITS = {
    LimitedBy.SERVER: "limited by the server",
    LimitedBy.LOSSES: "limited by lost sessions, not by slow ones",
    LimitedBy.CLIENT: "limited by the client itself",
    LimitedBy.RANGE: "limited by the largest number of streams that the search may try",
    LimitedBy.TIME: "limited by the time for the search",
    LimitedBy.ENDED: "limited because the search was ended early",
}
_ADVICE = {
    LimitedBy.TIME: "; give the search more time",
    LimitedBy.RANGE: "; try more streams",
    LimitedBy.ENDED: "",
}
NOT_SEARCHED = "no capacity was searched for: call realtime.capacity in the test"


def summary(finding: CapacityFinding) -> str:
    """Return one line about the whole result."""
    wanted = "" if finding.at_least is None else f" >= {finding.at_least}"
    found = finding.capacity
    if found is None:
        return f"capacity{wanted}: {NOT_SEARCHED}"
    return (
        f"capacity{wanted}: {_streams(found)} ({'; '.join(_facts(found, finding))})"
        f"{_advice(finding, found)}"
    )


def details(finding: CapacityFinding) -> str:
    """Return the summary, and below it the levels of the search."""
    found = finding.capacity
    rows = [] if found is None else levels.table(list(_rows(found)))
    return "\n".join([summary(finding), *(f"  {line}" for line in rows)])


def so_far(records: Iterable[LevelRecord]) -> str:
    """Return what the levels of an unfinished search have shown.

    Returns "" if no level belongs to a search.
    """
    trials = [
        Trial(
            Task(each.step, each.decision.streams, each.level.load.hold, ANY_RISK),
            each.decision,
        )
        for each in records
        if each.step is not None and each.decision is not None
    ]
    if not trials:
        return ""
    proven, seen = bounds(trials), bracket(trials)
    known = [
        (proven.low, "proven to hold"),
        (proven.high, "proven not to hold"),
        (seen.low, "the largest level observed within the limits"),
        (seen.high, "the smallest level observed over the limits"),
    ]
    found = [f"{streams} {what}" for streams, what in known if streams]
    return f"the search has not ended; streams so far: {', '.join(found) or 'none'}"


def _rows(found: Capacity) -> Iterator[LevelRow]:
    for each in found.levels:
        if each.level is not None:
            yield level_rows.row(LevelRecord(each.level, each.decision, step=each.step))


def _streams(found: Capacity) -> str:
    """Return the number of streams and its interval."""
    low, high = found.interval
    above = "no upper bound" if high is None else f"below {high}"
    if not low:
        return f"no number of streams is proven to hold, 95% interval from 0, {above}"
    unconfirmed = "" if found.confirmed else ", not confirmed"
    streams = several(found.streams, "stream")
    return f"{streams}, 95% interval from {low}, {above}{unconfirmed}"


def _facts(found: Capacity, finding: CapacityFinding) -> Iterator[str]:
    """Yield the facts that a comparison with another capacity needs."""
    ended = f": {found.ended}" if found.ended else ""
    yield _LIMITS[found.limited_by] + ended
    if found.binding is not None:
        yield _binding(found.binding)
    if (above := _above(found)) is not None:
        edge = "" if found.edge is None else f", a {found.edge}"
        yield f"at {above.streams}: {_tried(above)}{edge}"
    yield from _work(found)
    if found.beyond is not None:
        yield _beyond(found.beyond)
    for failed, held in found.reversals:
        yield f"not monotonic: failed at {failed} streams, but held at {held}"
    yield from _setting(found.setting)
    yield f"keep-up: {' and '.join(_rule(finding))}"
    yield from _witness(found)
    if found.lost:
        yield ", ".join(f"{count} {how}" for how, count in found.lost)


def _setting(setting: Setting) -> Iterator[str]:
    yield f"talk {plain(setting.talk)}"
    yield f"clips of {setting.clip:.1f} s on average, {setting.longest:.1f} s at most"
    yield f"chunk {1000 * setting.chunk:g} ms"
    yield "random phase"
    yield f"hold {plain(setting.hold)} s, confirmed for {plain(setting.confirm)} s"


def _above(found: Capacity) -> Tried | None:
    """Return the level with the fewest streams above the capacity.

    If several levels have this number of streams, return the one with the most
    sessions.
    """
    above = [each for each in found.levels if each.streams > found.streams]
    if not (found.streams and above):
        return None
    return min(above, key=lambda each: (each.streams, -_sessions(each)))


def _sessions(tried: Tried) -> int:
    """Return the number of sessions that decide a level."""
    binding = tried.decision.binding
    return 0 if binding is None else binding.n


def _tried(tried: Tried) -> str:
    decision = tried.decision
    if decision.reason:
        return f"{'aborted' if decision.aborted else 'undecided'}, {decision.reason}"
    if (binding := decision.binding) is None:
        return "not judged"
    return f"{binding.over} of {binding.n} over {binding.name}"


def _work(found: Capacity) -> Iterator[str]:
    """Yield how the server's work differs between the capacity and other levels.

    The level at the capacity is compared with the smallest level and with the next
    level above the capacity. A server that does less work under load may keep its
    latencies low with any number of streams.
    """
    at = [each.level for each in found.levels if each.streams == found.streams]
    held = next((each for each in reversed(at) if each is not None), None)
    least = min(found.levels, key=lambda each: each.streams, default=None)
    if held is None or least is None:
        return
    below = least.level if least.streams < found.streams else None
    above = _above(found)
    pairs = ((below, held), (held, None if above is None else above.level))
    for one, other in pairs:
        if one is None or other is None:
            continue
        if (unequal := unequal_work(one, other)) is not None:
            yield f"unequal work, so latencies cannot be compared: {unequal}"


def _beyond(found: Beyond) -> str:
    does = " and ".join(found.behaviours)
    back = ""
    if found.recovery is not None:
        back = f", recovers in {found.recovery / 1000:.1f} s"
    return f"at {found.streams}: {does}{back}"


def _binding(found: LimitDecision) -> str:
    """Return the limit that decides the capacity (the binding limit), and its value."""
    limit, value = _value(found.name, found.limit), _value(found.name, found.observed)
    return f"{found.name} is the binding limit ({limit}; {value} observed)"


def _witness(found: Capacity) -> Iterator[str]:
    """Yield the latency of the witness alone and at the capacity, if both are known."""
    last = [each for each in _rows(found) if each.streams == found.streams]
    witness = last[-1].witness if last else None
    if witness is None or witness.before is None or witness.through is None:
        return
    alone, through = witness.before.p95, witness.through.p95
    times = [
        f"{ms(each)} ms" if each is not None else "never" for each in (alone, through)
    ]
    streams = several(found.streams, "stream")
    yield f"witness p95 {times[0]} alone, {times[1]} at {streams}"


def _rule(finding: CapacityFinding) -> Iterable[str]:
    """Yield the limits that a stream must meet to count as held."""
    for budget in finding.budgets:
        for limit in budget.limits:
            name = f"{budget.metric} {limit.name}"
            yield f"{name} {limit.side.value} {_value(name, limit.value)}"
    for threshold in finding.thresholds:
        yield f"{WER} <= {share(threshold.limit)}"


def _value(name: str, value: float) -> str:
    """Return a value with its unit; ``name`` begins with the name of the metric."""
    if name == WER:
        return share(value)
    timed = DECLARED[name.partition(" ")[0]].unit is Unit.MS
    return f"{ms(value)} ms" if timed else plain(value)


def _advice(finding: CapacityFinding, found: Capacity) -> str:
    """Return what the user can do to decide an undecided capacity, or ""."""
    if finding.verdict is Verdict.INVALID:
        return (
            "; the result is not attributed to the server; run more worker processes, "
            "or run them on more machines with --realtime-load-executor"
        )
    if finding.verdict is not Verdict.INCONCLUSIVE:
        return ""
    if found.limited_by is LimitedBy.TIME and found.needed is not None:
        streams, seconds = found.needed
        return (
            f"; a confirmation of {several(streams, 'stream')} needs at least "
            f"{length(seconds)}, so increase confirm= and max_time=, "
            "or use shorter clips"
        )
    usual = "; a longer confirmation narrows the interval"
    return _ADVICE.get(found.limited_by, usual)
