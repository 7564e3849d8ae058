"""The properties of a test case in JUnit XML.

Each value has exactly a builtin type, since a value of any other type, such as a numpy
number or a string enum, would crash a worker of pytest-xdist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.run.statistics import character_errors, statistics, word_errors

PREFIX = "realtime."
Properties = list[tuple[str, str | float | int]]


def properties(results: Results) -> Properties:
    """Return name and value of each property, in a fixed order; numbers are rounded.

    A property that cannot be computed is left out, and the property ``failed`` has the
    error.
    """
    parts = Parts(private=results.private)
    rows: Properties = []
    for name, make in _PARTS.items():
        rows += parts(name, partial(make, results), [])
    if parts.failed:
        rows.append(("failed", "; ".join(parts.lines)))
    return [(PREFIX + name, value) for name, value in rows]


def _server(results: Results) -> Properties:
    if not results.takes:
        return []
    first = results.takes[0]
    return [
        ("target", first.trace.target),
        ("dialect", first.trace.dialect),
        *([("dialect_found", first.found)] if first.found else []),
        ("planned", results.planned),
        ("lost", results.lost),
    ]


def _statistics(results: Results) -> Properties:
    return [
        (f"{name}_{CATALOGUE[name].unit.value}.{key}", number(value))
        for name, values in statistics(results.takes).items()
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


def _recall(results: Results) -> Properties:
    """Return, for each marker, the recall and the number of the spoken keywords."""
    rows: Properties = []
    for place, found in enumerate(results.recall):
        name = "keyword_recall" + (f".{place + 1}" if len(results.recall) > 1 else "")
        if found.observed is not None:
            rows += [(name, number(found.observed, 4)), (f"{name}.n", found.n)]
    return rows


def _normalizer(results: Results) -> Properties:
    used = {take.alignment.normalizer for take in results.takes}
    return [("normalizer", " ".join(sorted(used)))] if used else []


def _perturbation(results: Results) -> Properties:
    found = {take.utterance.perturbation for take in results.takes} - {""}
    return [("perturbation", " ".join(sorted(found)))] if found else []


def _spent(results: Results) -> Properties:
    if not results.takes:
        return []
    spent = [take.counts for take in results.takes]
    tokens = [each.total_tokens for each in spent if each.total_tokens is not None]
    return [
        ("audio_seconds", number(math.fsum(each.seconds for each in spent))),
        ("audio_samples", sum(each.samples for each in spent)),
        ("audio_bytes", sum(each.bytes for each in spent)),
        *([("tokens", sum(tokens))] if tokens else []),
    ]


def _verdict(results: Results) -> Properties:
    rows: Properties = []
    if results.verdict is not None:
        rows += [
            ("verdict", str(results.verdict.value)),
            ("proven", "yes" if results.proven else "no"),
        ]
    broken = [each.requirement for each in results.violations if not each.ours]
    ids = sorted({each.id for each in broken if each.level is not Level.INFO})
    rows += [("violations", " ".join(ids))] if ids else []
    rows += [("trace", str(path)) for path in list(results.paths.values())[:1]]
    return rows


_PARTS: dict[str, Callable[[Results], Properties]] = {
    "server": _server,
    "metrics": _statistics,
    "wer": lambda results: _rate("wer", word_errors(results.takes)),
    "cer": lambda results: _rate("cer", character_errors(results.takes)),
    "keyword_recall": _recall,
    "normalizer": _normalizer,
    "perturbation": _perturbation,
    "audio": _spent,
    "verdict": _verdict,
}


def number(value: float, digits: int = 3) -> float | int | str:
    """Return a rounded number of builtin type; infinity is ``"inf"`` or ``"-inf"``."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if type(value) is int else round(float(value), digits)
