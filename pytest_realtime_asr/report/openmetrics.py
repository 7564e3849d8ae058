"""The values of a run in OpenMetrics text format 1.0, for Prometheus and Grafana.

Names have the prefix ``realtime_asr_`` and end with their base unit, as OpenMetrics
requires: a time is in seconds. If many sessions of a test were lost, a statistic can be
infinite; it is written as ``+Inf``. Each sample of a test has the labels ``test``,
``target`` and ``model``. If recorded sessions were replayed, the sample also has the
label ``replayed``.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pytest_realtime_asr.metrics import DECLARED
from pytest_realtime_asr.report.messages import REPLAYED
from pytest_realtime_asr.report.run_summary import RunSummary
from pytest_realtime_asr.report.terminal import Row
from pytest_realtime_asr.report.verdict_rows import VerdictRow, measured
from pytest_realtime_asr.run.identity import PACKAGE
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.verdicts.budgets import Side
from pytest_realtime_asr.verdicts.verdict import Verdict

_PREFIX = "realtime_asr_"
# The unit of a value, the unit of its sample, and the divisor between them.
_UNITS = {
    "ms": ("seconds", 1000.0),
    "ratio": ("ratio", 1.0),
    "bytes": ("bytes", 1.0),
    "per_minute": ("per_minute", 1.0),
    "ms_per_minute": ("ratio", 60_000.0),
}
_STATES = (*(each.value for each in Verdict), "not judged")
_STATE = f"{_PREFIX}verdict"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    """A metric family: what it means, and its samples by their labels."""

    text: str
    type: str = "gauge"
    unit: str = ""
    suffix: str = ""
    samples: dict[Labels, float] = field(default_factory=dict)


class _Families:
    """The metric families of a run by name, in the order of their first samples.

    If a test has several limits of one statistic, the samples of the later limits have
    the label ``number``, since two samples of a family must differ in their labels.
    """

    def __init__(self) -> None:
        self.found: dict[str, _Family] = {}

    def add(
        self,
        name: str,
        text: str,
        labels: Mapping[str, str],
        value: float,
        *,
        unit: str = "",
    ) -> None:
        """Add a sample; a second sample with the same labels is left out."""
        base, divisor = _UNITS.get(unit, ("", 1.0))
        name = _PREFIX + _safe(name) + (f"_{base}" if base else "")
        family = self.found.setdefault(name, _Family(text, unit=base))
        family.samples.setdefault(tuple(labels.items()), value / divisor)


def dumps(found: RunSummary) -> bytes:
    """Return the values of a run as OpenMetrics text, encoded in UTF-8."""
    families = _Families()
    _add_run(families, found)
    for row in found.rows:
        labels = {"test": row.test, "target": row.target, "model": row.model}
        labels |= _marked(row.replayed)
        _add_test(families, row, labels)
        seen: Counter[tuple[str, ...]] = Counter()
        for each in row.verdicts:
            what = (each.subject, each.metric, each.statistic, each.against)
            seen[what] += 1
            number = {"number": str(seen[what])} if seen[what] > 1 else {}
            _add_verdict(families, each, labels | number)
        _add_statistics(families, row, labels)
    if found.conformance is not None:
        text = "Requirements of the conformance suite by their status."
        server = found.conformance.server
        for status, count in found.conformance.counts.items():
            of = {"target": server.target, "model": server.model}
            of |= _marked(server.replayed)
            of["status"] = status.value
            families.add("requirements", text, of, count)
    lines = [line for item in families.found.items() for line in _lines(*item)]
    return "\n".join([*lines, "# EOF", ""]).encode()


def _marked(replayed: bool) -> dict[str, str]:
    """Return the label ``replayed`` if ``replayed`` is true, and else no label."""
    return {REPLAYED: "yes"} if replayed else {}


def _add_run(families: _Families, found: RunSummary) -> None:
    run = found.run
    labels = {"run": run.id, "version": run.versions[PACKAGE], "commit": run.commit.id}
    labels["host"] = str(run.host["name"])
    labels |= _marked(found.replayed)
    labels |= {f"label_{_safe(name)}": text for name, text in run.labels.items()}
    text = "The run: its id, the version of the plugin, the commit and the machine."
    families.found[f"{_PREFIX}run"] = _Family(
        text, "info", suffix="_info", samples={tuple(labels.items()): 1}
    )
    families.add("failed_tests", "Tests that failed.", {}, len(found.failed))
    families.add(
        "interrupted", "1 if the run was interrupted.", {}, int(found.interrupted)
    )


def _add_test(families: _Families, row: Row, labels: Mapping[str, str]) -> None:
    families.add("utterances", "Utterances that a test sent.", labels, row.planned)
    families.add("lost_utterances", "Utterances without a final.", labels, row.lost)
    if row.verdict:
        text = "The worst verdict of a test."
        family = families.found.setdefault(_STATE, _Family(text, "stateset"))
        for state in _STATES:
            of = (*labels.items(), (_STATE, state))
            family.samples[of] = int(state == row.verdict)


def _add_verdict(
    families: _Families, row: VerdictRow, labels: Mapping[str, str]
) -> None:
    """Add a measured value, its limit, the bounds of its interval and its verdict."""
    if row.subject == "requirement":
        text = "Sessions that violated a requirement."
        of = {**labels, "requirement": row.metric}
        families.add("violating_sessions", text, of, row.value or 0)
        return
    if not row.metric or row.subject == "lost sessions":
        return
    of = {**labels, "statistic": row.statistic}
    if row.pooled:
        of["scope"] = "module"
    if row.against:
        of["against"] = row.against
    name, text = _metric(row)
    if (value := measured(row)) is not None:
        families.add(name, text, of, value, unit=row.unit)
    if row.limit is not None:
        limited = {**of, "side": row.side}
        what = f"The limit of {name}."
        families.add(f"{name}_limit", what, limited, row.limit, unit=row.unit)
    for bound, value in _bounds(row):
        what = f"A bound of the confidence interval of {name}."
        families.add(
            f"{name}_interval", what, {**of, "bound": bound}, value, unit=row.unit
        )
    if row.verdict is not None:
        what = f"1 if {name} is within its limit, 0 otherwise."
        passed = int(row.verdict == Verdict.PASS.value)
        families.add(f"{name}_passed", what, of, passed)


def _metric(row: VerdictRow) -> tuple[str, str]:
    """Return the name and the description of the metric family of a judged value."""
    declared = DECLARED.get(row.metric)
    text = "" if declared is None else declared.summary or ""
    if row.subject in ("budget", "error rate", "recall"):
        return row.metric, text or f"The {row.metric} of a test."
    subject = "" if row.subject == row.metric else f"{row.subject}_"
    name = f"{subject}{row.metric}"
    return name, f"The {row.subject} of a test: {row.statistic}."


def _add_statistics(families: _Families, row: Row, labels: Mapping[str, str]) -> None:
    """Add the statistics of each metric and the error rate.

    A value that `_add_verdict` has already added is left out.
    """
    if row.wer is not None:
        of = {**labels, "statistic": "rate"}
        families.add("wer", "The wer of a test.", of, row.wer, unit="ratio")
    for metric, values in row.statistics.items():
        declared = DECLARED[metric]
        text = declared.summary or f"The {metric} of a test."
        for statistic, value in values.items():
            of = {**labels, "statistic": statistic}
            if statistic == "n":
                name = f"{metric}_samples"
                families.add(name, f"Samples of {metric}.", labels, value)
            else:
                families.add(metric, text, of, value, unit=declared.unit.value)


def _bounds(row: VerdictRow) -> Iterator[tuple[str, float]]:
    """Yield the name and value of each bound of an interval.

    A missing bound is infinite.
    """
    if row.interval is None:
        return
    low, high = row.interval
    above = row.side == Side.AT_MOST.value
    beyond = math.inf if above else -math.inf
    yield "low", low if low is not None else beyond if row.beyond else -math.inf
    yield "high", high if high is not None else beyond if row.beyond else math.inf


def _lines(name: str, family: _Family) -> Iterator[str]:
    yield f"# HELP {name} {_escaped(family.text)}"
    yield f"# TYPE {name} {family.type}"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    for labels, value in family.samples.items():
        yield f"{name}{family.suffix}{_braces(labels)} {_number(value)}"


def _braces(labels: Iterable[tuple[str, str]]) -> str:
    shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
    return f"{{{shown}}}" if shown else ""


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.12g}"  # a division by 1000 leaves no digits of its own


def _escaped(text: str) -> str:
    return printable(text).translate(_ESCAPES)


def _safe(name: str) -> str:
    """Return a name in which ``_`` replaces characters that OpenMetrics forbids."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII)
