"""Properties of a test case in JUnit XML.

Only exact builtin types leave here: anything else, a numpy number or an enum of
strings among them, ends a worker of pytest-xdist.
"""

from __future__ import annotations

import math

from pytest_realtime_asr.ledger import (
    Report,
    character_errors,
    statistics,
    word_errors,
)
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.rules import Level
from pytest_realtime_asr.verdicts import Verdict

PREFIX = "realtime."


def properties(report: Report) -> list[tuple[str, str | float | int]]:
    """Name and value of each property, in a fixed order; numbers are rounded."""
    rows: list[tuple[str, str | float | int]] = []
    if report.takes:
        first = report.takes[0]
        rows += [
            ("target", first.trace.target),
            ("dialect", first.trace.dialect),
            *([("dialect_found", first.found)] if first.found else []),
            ("planned", report.planned),
            ("lost", report.lost),
        ]
    for name, values in statistics(report.takes).items():
        unit = f"_{CATALOGUE[name].unit.value}"
        for key, value in values.items():
            rows.append((f"{name}{unit}.{key}", number(value)))
    for name, errors in (
        ("wer", word_errors(report.takes)),
        ("cer", character_errors(report.takes)),
    ):
        if errors.rate is not None:
            rows += [
                (name, number(errors.rate, 4)),
                (f"{name}.n", errors.reference),
                (f"{name}.substitutions", errors.substitutions),
                (f"{name}.deletions", errors.deletions),
                (f"{name}.insertions", errors.insertions),
            ]
    if report.takes:
        used = {take.alignment.normalizer for take in report.takes}
        spent = [take.counts for take in report.takes]
        tokens = [each.total_tokens for each in spent if each.total_tokens is not None]
        rows += [
            ("normalizer", " ".join(sorted(used))),
            ("audio_seconds", number(math.fsum(each.seconds for each in spent))),
            ("audio_samples", sum(each.samples for each in spent)),
            ("audio_bytes", sum(each.bytes for each in spent)),
        ]
        rows += [("tokens", sum(tokens))] if tokens else []
    if report.verdict is not None:
        rows += [
            ("verdict", str(report.verdict.value)),
            ("proven", "yes" if proven(report) else "no"),
        ]
    if report.violations:
        broken = [violation.requirement for violation, _ in report.violations]
        ids = sorted({each.id for each in broken if each.level is not Level.INFO})
        rows += [("violations", " ".join(ids))] if ids else []
    if report.paths:
        rows.append(("trace", str(report.paths[0])))
    return [(PREFIX + name, value) for name, value in rows]


def proven(report: Report) -> bool:
    """Whether every verdict is a proven one."""
    every = [finding.proven for finding in report.findings]
    return report.verdict is Verdict.PASS and bool(every) and all(every)


def number(value: float, digits: int = 3) -> float | int | str:
    """A finite number rounded, as an exact builtin; ``inf``, ``-inf`` as a text."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if type(value) is int else round(float(value), digits)
