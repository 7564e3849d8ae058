"""Properties of a test case in JUnit XML.

Only exact builtin types leave here: anything else, a numpy number or an enum of
strings among them, ends a worker of pytest-xdist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.run.ledger import (
    Report,
    character_errors,
    statistics,
    word_errors,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

PREFIX = "realtime."
Properties = list[tuple[str, str | float | int]]


def properties(report: Report) -> Properties:
    """Name and value of each property, in a fixed order; numbers are rounded.

    What cannot be made is left out, and ``failed`` says why.
    """
    parts = Parts(private=report.private)
    rows: Properties = []
    for name, make in _PARTS.items():
        rows += parts(name, partial(make, report), [])
    if parts.failed:
        rows.append(("failed", "; ".join(parts.lines)))
    return [(PREFIX + name, value) for name, value in rows]


def _server(report: Report) -> Properties:
    if not report.takes:
        return []
    first = report.takes[0]
    return [
        ("target", first.trace.target),
        ("dialect", first.trace.dialect),
        *([("dialect_found", first.found)] if first.found else []),
        ("planned", report.planned),
        ("lost", report.lost),
    ]


def _statistics(report: Report) -> Properties:
    return [
        (f"{name}_{CATALOGUE[name].unit.value}.{key}", number(value))
        for name, values in statistics(report.takes).items()
        for key, value in values.items()
    ]


def _rate(name: str, errors: Errors) -> Properties:
    if errors.rate is None:
        return []
    return [
        (name, number(errors.rate, 4)),
        (f"{name}.n", errors.reference),
        (f"{name}.substitutions", errors.substitutions),
        (f"{name}.deletions", errors.deletions),
        (f"{name}.insertions", errors.insertions),
    ]


def _normalizer(report: Report) -> Properties:
    used = {take.alignment.normalizer for take in report.takes}
    return [("normalizer", " ".join(sorted(used)))] if used else []


def _spent(report: Report) -> Properties:
    if not report.takes:
        return []
    spent = [take.counts for take in report.takes]
    tokens = [each.total_tokens for each in spent if each.total_tokens is not None]
    return [
        ("audio_seconds", number(math.fsum(each.seconds for each in spent))),
        ("audio_samples", sum(each.samples for each in spent)),
        ("audio_bytes", sum(each.bytes for each in spent)),
        *([("tokens", sum(tokens))] if tokens else []),
    ]


def _verdict(report: Report) -> Properties:
    rows: Properties = []
    if report.verdict is not None:
        rows += [
            ("verdict", str(report.verdict.value)),
            ("proven", "yes" if proven(report) else "no"),
        ]
    if report.violations:
        broken = [each.requirement for each, _ in report.violations if not each.ours]
        ids = sorted({each.id for each in broken if each.level is not Level.INFO})
        rows += [("violations", " ".join(ids))] if ids else []
    if report.paths:
        rows.append(("trace", str(report.paths[0])))
    return rows


_PARTS: dict[str, Callable[[Report], Properties]] = {
    "server": _server,
    "metrics": _statistics,
    "wer": lambda report: _rate("wer", word_errors(report.takes)),
    "cer": lambda report: _rate("cer", character_errors(report.takes)),
    "normalizer": _normalizer,
    "audio": _spent,
    "verdict": _verdict,
}


def proven(report: Report) -> bool:
    """Whether every verdict is a proven one."""
    every = [finding.proven for finding in report.findings]
    return report.verdict is Verdict.PASS and bool(every) and all(every)


def number(value: float, digits: int = 3) -> float | int | str:
    """A finite number rounded, as an exact builtin; ``inf``, ``-inf`` as a text."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if type(value) is int else round(float(value), digits)
