"""A verdict in one line: the number, the limit, how sure, and who is to blame.

The first line of a failure is all that most dashboards keep, so it holds everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pytest_realtime_asr.metrics import CATALOGUE, Metric
from pytest_realtime_asr.metrics import Unit as Measured
from pytest_realtime_asr.metrics.accuracy import (
    SYNTHETIC,
)
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.report.alignment import lines
from pytest_realtime_asr.text.number_format import ms, plain, several, share
from pytest_realtime_asr.verdicts.budgets import Side, Stat
from pytest_realtime_asr.verdicts.client_delay import allowed_delay
from pytest_realtime_asr.verdicts.finding import Finding
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.verdict import Verdict
from pytest_realtime_asr.verdicts.wer import WerFinding, mistakes

PREMATURE: Mapping[Premature, str] = {
    Premature.TEXT_BEFORE_AUDIO: "text from before the audio",
    Premature.TEXT_BEFORE_SPEECH: "text from before the speech",
    Premature.FINAL_BEFORE_COMMIT: "final from before its commit",
    Premature.FINAL_BEFORE_SPEECH_END: "final from before the end of speech",
    Premature.ENDPOINT_BEFORE_SPEECH_END: "endpoint from before the end of speech",
}
PATH_SHARE = 0.2  # a way to the server that takes more than this of the limit is told


def standing(finding: Finding | WerFinding) -> str:
    """The verdict by its name, and whether n proves it.

    ``PASS (not proven: n=24, needs 59)``
    """
    counts = f"n={finding.n}"
    if finding.proven:
        return f"{finding.verdict.value} ({_proven(finding)}: {counts})"
    hopeful = finding.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    if hopeful and isinstance(finding, Finding) and finding.needed:
        counts += f", needs {finding.needed}"
    return f"{finding.verdict.value} (not proven: {counts})"


def shown(metric: str, value: float) -> str:
    """A value of a metric with its unit, as in a line."""
    if CATALOGUE[metric].unit is Measured.MS:
        return f"{ms(value)} ms"
    return f"{plain(value)}{_unit(CATALOGUE[metric])}"


def outcome(metric: str, sample: Sample) -> str:
    """What one session gave: its value, or why that is over every limit."""
    if sample.lost:
        return sample.lost
    if sample.value is None:
        return "not measured"
    value = shown(metric, sample.value)
    if sample.premature is None:
        return value
    return f"{value}, {PREMATURE[sample.premature]}"


def verdict(finding: Finding | WerFinding) -> str:
    """The verdict by its name, and all of the finding but what that says already."""
    return f"{standing(finding)}: {headline(finding, proof=False)}"


def headline(finding: Finding | WerFinding, *, proof: bool = True) -> str:
    """All of a finding in one line, the first and often the only one that is kept.

    ``proof`` says whether it is told if the sample proves the verdict.
    """
    if isinstance(finding, WerFinding):
        return _wer_line(finding, proof=proof)
    limit, metric = finding.limit, CATALOGUE[finding.metric]
    timed = metric.unit is Measured.MS
    show, unit = (ms if timed else plain), _unit(metric)
    name = f"{finding.metric} {limit.name}"
    if finding.observed is None:
        return f"{name} {limit.side.value} {show(limit.value)}{unit}: {finding.reason}"
    compared = _compared(finding.observed, limit.value, show, unit, limit.side)
    n = f"n={finding.n}" + (" in order" if finding.decided else "")
    n += f" of {several(finding.clips, 'clip')}" if finding.clips else ""
    n += f", {finding.again} run again" if finding.again else ""
    beyond = "over" if limit.side is Side.AT_MOST else "under"
    early = [(f"with {PREMATURE[why]}", count) for why, count in finding.premature]
    parts = [_counted([n, f"{finding.over} {beyond}"], (*finding.lost, *early))]
    if finding.interval is not None:
        shown = _interval(finding.interval, finding.level, show)
        parts.insert(0, f"{shown} by clip" if finding.clips else shown)
    if proof and finding.verdict is not Verdict.INVALID:
        parts += _proof(finding)
    if finding.beside is not None:
        parts.append(f"{metric.beside} {plain(finding.beside)}")
    if timed and finding.path_ms is not None:
        parts.append(f"path {ms(finding.path_ms)} ms")
    tail = _blame(finding) if finding.verdict is Verdict.FAIL and timed else ""
    if finding.verdict is Verdict.FAIL and finding.reason:
        tail = f"; FAIL: {finding.reason}{tail}"
    elif finding.verdict is Verdict.INVALID:
        tail = f"; INVALID, the server is not blamed: {finding.reason}"
    elif finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; INCONCLUSIVE: {finding.reason}"
    return f"{name} = {compared} ({'; '.join(parts)}){tail}"


def _blame(finding: Finding) -> str:
    """Who is to blame for a latency that is over its limit."""
    most = finding.limit.value
    told = [f"late {ms(finding.late_ms)} ms"]
    if finding.excused:
        told.append(f"{finding.excused} more over but late, not counted against it")
    if finding.blocked_ms > allowed_delay(most):
        told.append(f"send_blocked {ms(finding.blocked_ms)} ms: our audio was not read")
    who, path = "server", finding.path_ms
    if path is not None and path > PATH_SHARE * most:
        who = "server or path"
        told.append(f"path {ms(path)} ms, over a fifth of the limit")
    return f"; {who}, not instrument ({'; '.join(told)})"


def details(finding: WerFinding, *, width: int = 80, texts: bool = True) -> str:
    """The worst rows of a threshold with their aligned texts; empty without errors.

    Without ``texts``, there are only the counts of each row.
    """
    blocks = []
    for row, alignment in finding.worst:
        errors = alignment.errors
        head = f"{row.label} {row.utterance}: {mistakes(alignment)} wrong of"
        head += f" {errors.reference}" + (f", {row.lost}" if row.lost else "")
        if alignment.reason:  # what a normaliser says may quote a text
            reason = alignment.reason if texts else alignment.reason.partition(":")[0]
            head += f"; {reason}"
        blocks.append(f"{head}\n{lines(alignment, width=width)}" if texts else head)
    return "\n".join(blocks)


def _wer_line(finding: WerFinding, *, proof: bool) -> str:
    if finding.observed is None or finding.interval is None:
        return f"{finding.name} <= {share(finding.limit)}: {finding.reason}"
    compared = _compared(finding.observed, finding.limit, share)
    errors = finding.errors
    n = f"n={finding.n}"
    n += f" of {several(finding.speakers, 'speaker')}" if finding.speakers else ""
    counts = [n, f"{errors.reference} {_UNITS[finding.name]}"]
    wrong = f"S={errors.substitutions} D={errors.deletions} I={errors.insertions}"
    if errors.unspoken:
        wrong += f", {errors.unspoken} heard where nothing was said"
    parts = [
        _interval(finding.interval, finding.level, share),
        _counted([*counts, wrong], finding.lost),
        "+".join(finding.normalizers),
        *(["proven" if finding.proven else "not proven"] if proof else []),
        *([SYNTHETIC] if finding.synthetic else []),
    ]
    tail = ""
    if finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; INCONCLUSIVE: {finding.reason}"
    return f"{finding.name} = {compared} ({'; '.join(parts)}){tail}"


_UNITS = {"wer": "words", "cer": "characters", "wer+cer": "words and characters"}


def _proof(finding: Finding) -> list[str]:
    if finding.proven:
        return [_proven(finding)]
    if finding.limit.stat is Stat.MEAN:
        return []
    if finding.limit.stat is Stat.MAX:
        return ["not proven: no sample proves a maximum"]
    if finding.verdict is Verdict.FAIL or finding.needed is None:
        return ["not proven"]
    return [f"not proven: needs {finding.needed}"]


def _proven(finding: Finding | WerFinding) -> str:
    """Of what it is a proof."""
    if isinstance(finding, WerFinding) or not finding.clips:
        return "proven"
    # What is over its maximum is over it, whatever was said.
    return "proven" if finding.limit.stat is Stat.MAX else "proven for this corpus"


def _counted(counts: list[str], lost: tuple[tuple[str, int], ...]) -> str:
    return ", ".join([*counts, *(f"{count} {reason}" for reason, count in lost)])


def _interval(
    interval: tuple[float, float], level: float, show: Callable[..., str]
) -> str:
    low, high = interval
    dash = "-" if low >= 0 else " to "
    return f"{level * 100:g}% CI {show(low)}{dash}{show(high)}"


def _compared(
    observed: float,
    limit: float,
    show: Callable[..., str],
    unit: str = "",
    side: Side = Side.AT_MOST,
) -> str:
    """Both numbers, with so many digits that the one over the other looks so."""
    if side is Side.AT_MOST:
        sign = "<=" if observed <= limit else ">"
    else:
        sign = ">=" if observed >= limit else "<"
    left, right, more = show(observed), show(limit), 1
    while left == right and observed != limit and more < 9:
        left, right = show(observed, more=more), show(limit, more=more)
        more += 1
    return f"{left}{unit} {sign} {right}{unit}"


def _unit(metric: Metric) -> str:
    """The unit of a number in a line; a ratio and a count have none."""
    if metric.unit in ("ratio", "count"):
        return ""
    return f" {metric.unit.replace('_', ' ')}"
