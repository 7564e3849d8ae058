"""The properties of a test case, and of a whole run, in JUnit XML.

A value with a limit has further properties. Their names begin with the name of the
value and end as follows. ``.limit`` is the limit, and ``.low`` and ``.high`` are the
bounds of the confidence interval. ``.n`` is the number of samples, ``.over`` is the
number of samples over the limit, and ``.lost`` is the number of lost samples.
``.verdict`` is the verdict, and ``.proven`` says whether it is proven.

Each value is of a builtin type and not of a subclass, since a numpy number or a string
enum would crash a worker of pytest-xdist.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.report.level_rows import LevelRow
from pytest_realtime_asr.report.level_rows import row as level_row
from pytest_realtime_asr.report.parts import Parts
from pytest_realtime_asr.report.verdict_rows import VerdictRow, measured, rows
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.run.identity import PACKAGE, RunIdentity
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.run.statistics import (
    all_statistics,
    character_errors,
    word_errors,
)
from pytest_realtime_asr.verdicts.budgets import Side

PREFIX = "realtime."
_LEAN = {"target", "model", "lost", "verdict", "proven", "failed", "wer", "violations"}
_LEAN |= {"final_from_commit_ms.p95"}
_OF_LIMIT = ("limit", "side", "low", "high", "n", "over", "lost", "verdict", "proven")
Value = str | float | int
Properties = list[tuple[str, Value]]


class Detail(enum.StrEnum):
    """The amount of detail in a file of JUnit XML.

    A `LEAN` file contains what was judged, and a `FULL` file contains every
    measurement. A `STRICT` file contains the same as a `FULL` one, but as JSON in
    ``system-out``, since the schema of xunit2 allows no properties of a test.
    """

    LEAN = "lean"
    FULL = "full"
    STRICT = "strict"


def properties(results: Results, *, detail: Detail = Detail.FULL) -> Properties:
    """Return the name and the value of each property, in a fixed order.

    Numbers are rounded. A property that cannot be computed is left out, and the
    property ``failed`` contains the error.
    """
    parts = Parts(private=results.private)
    found: dict[str, Value] = {}
    nothing: Properties = []
    for name, make in _PARTS.items():
        found.update(parts(name, partial(make, results), nothing))
    none: dict[str, dict[str, Value]] = {}
    limits = parts("limits", lambda: _limits(rows(results)), none)
    found |= {name: value for of in limits.values() for name, value in of.items()}
    if parts.failed:
        found["failed"] = "; ".join(parts.lines)
    if detail is Detail.LEAN:
        judged = {name for of in limits.values() for name in of}
        judged |= {"keyword_recall.n", *(f"{name}.n" for name in limits)}
        found = {
            name: value
            for name, value in found.items()
            if name in _LEAN | judged or name.startswith("label.")
        }
    return [(PREFIX + name, value) for name, value in found.items()]


def suite_properties(
    run: RunIdentity,
    *,
    versions: Iterable[str],
    models: Iterable[str],
    interrupted: bool = False,
) -> list[tuple[str, str]]:
    """Return the properties of a whole run.

    ``versions`` and ``models`` are the versions and the models of the servers.
    ``interrupted`` says that the run was interrupted, so that tests are missing. A
    property that is not known is left out.
    """
    commit = run.commit.id + ("-dirty" if run.commit.dirty else "")
    found = {
        "run": run.id,
        "interrupted": "yes" if interrupted else "",
        "replayed": "yes" if run.replayed else "",
        "started": f"{run.started:%Y-%m-%dT%H:%M:%SZ}",
        "version": run.versions[PACKAGE],
        **{f"version.{n}": text for n, text in run.versions.items() if n != PACKAGE},
        "commit": commit,
        "host": str(run.host["name"]),
        "target": run.target,
        "model": _distinct(models),
        "server_version": _distinct(versions),
        **{f"label.{name}": text for name, text in run.labels.items()},
        "calibration": run.calibration,
    }
    return [(PREFIX + name, text) for name, text in found.items() if text]


def _limits(judged: Iterable[VerdictRow]) -> dict[str, dict[str, Value]]:
    """Return the properties of each limit, by the name of the property that it limits.

    If several limits limit the same property, a number is added to the later names.
    """
    found: dict[str, dict[str, Value]] = {}
    every = [(name, row) for row in judged if (name := _limited(row))]
    often = Counter(name for name, _ in every)
    for name, row in every:
        place, unique = 1, name
        if often[name] > 1 and row.subject == "recall":
            unique = f"{name}.1"  # as in the part of the recall itself
        while unique in found:
            place += 1
            unique = f"{name}.{place}"
        value = _value(row)
        values = {} if value is None else {unique: value}
        of = {key: _of_limit(row, key) for key in _OF_LIMIT}
        values |= {
            f"{unique}.{key}": each for key, each in of.items() if each is not None
        }
        found[unique] = values
    return found


def _limited(row: VerdictRow) -> str:
    """Return the name of the JUnit property whose limit a row judges, or ""."""
    match row.subject:
        case "budget":
            pool = ".module" if row.pooled else ""
            return f"{row.metric}_{row.unit}.{row.statistic}{pool}"
        case "error rate":
            return row.metric.replace("+", "_")
        case "recall":
            return row.metric
        case "change" if row.metric:
            return f"change.{row.metric}"
        case "parity":
            return f"parity.{row.metric}"
        case "capacity" | "cross-talk":
            return row.metric
        case "drain":
            return row.metric
        case "soak":
            return f"soak.{row.metric}"
        case _:
            return ""


def _value(row: VerdictRow) -> Value | None:
    value = measured(row)
    return None if value is None else number(value, 4 if row.unit == "ratio" else 3)


def _of_limit(row: VerdictRow, key: str) -> Value | None:
    """Return the property ``key`` of a limit; ``None`` if there is no such property."""
    digits = 4 if row.unit == "ratio" else 3
    low, high = row.interval or (None, None)
    match key:
        case "limit":
            return None if row.limit is None else number(row.limit, digits)
        case "side":
            return row.side if row.side != Side.AT_MOST.value else None
        case "low" if row.interval is not None:
            above = row.beyond and row.side == Side.AT_MOST.value
            return _infinite(above) if low is None else number(low, digits)
        case "high" if row.interval is not None:
            below = row.beyond and row.side != Side.AT_MOST.value
            return _infinite(not below) if high is None else number(high, digits)
        case "n" | "lost":
            return int(getattr(row, key))
        case "over":
            return row.over
        case "verdict":
            return row.verdict or "not judged"
        case "proven":
            return "yes" if row.proven else "no"
    return None


def _infinite(positive: bool) -> str:
    return "inf" if positive else "-inf"


def _distinct(values: Iterable[object]) -> str:
    """Return the different values, separated by spaces, without empty ones."""
    return " ".join(filter(None, dict.fromkeys(map(str, values))))


def _server(results: Results) -> Properties:
    if not results.takes:
        return []
    first = results.takes[0]
    return [
        ("target", first.trace.target),
        ("dialect", first.trace.dialect),
        *([("dialect_found", first.found)] if first.found else []),
        *_stated("server_version", [take.trace.version for take in results.takes]),
        ("planned", results.planned),
        ("lost", results.lost),
        *([("replayed", "yes")] if results.replayed else []),
    ]


def _conditions(results: Results) -> Properties:
    """Return properties for the model, the labels and the way the audio was sent."""
    found = [take.conditions for take in results.takes]
    labels = {name: text for each in found for name, text in each.labels.items()}
    return [
        *_stated("model", [each.model for each in found]),
        *((f"label.{name}", text) for name, text in labels.items()),
        *_stated("pace", [f"{each.pace:g}" for each in found]),
        *_stated("chunk_ms", [f"{1000 * each.chunk:g}" for each in found]),
        *_stated("concurrency", [each.concurrency for each in found]),
        *_stated("corpus", [each.corpus for each in found]),
    ]


def _stated(name: str, values: Iterable[object]) -> Properties:
    text = _distinct(values)
    return [(name, text)] if text else []


def _statistics(results: Results) -> Properties:
    found = all_statistics(results.takes)
    return [
        (f"{name}_{CATALOGUE[name].unit.value}.{key}", number(value))
        for name, values in found.items()
        for key, value in values.items()
    ]


def _wer(results: Results) -> Properties:
    aligned = [each.alignment.unit is TextUnit.WORD for each in results.takes]
    return _rate("wer", word_errors(results.takes), n=sum(aligned), unit="words")


def _cer(results: Results) -> Properties:
    errors, n = character_errors(results.takes), len(results.takes)
    return _rate("cer", errors, n=n, unit="characters")


def _rate(name: str, errors: Errors, *, n: int, unit: str) -> Properties:
    """Return the properties of an error rate of ``n`` utterances.

    They are the rate, the number of words or characters (``unit``), and the errors.
    """
    if errors.rate is None:
        return []
    return [
        (name, number(errors.rate, 4)),
        (f"{name}.n", n),
        (f"{name}.{unit}", errors.reference),
        (f"{name}.substitutions", errors.substitutions),
        (f"{name}.deletions", errors.deletions),
        (f"{name}.insertions", errors.insertions),
    ]


def _recall(results: Results) -> Properties:
    """Return the recall and the number of spoken keywords of each keyword marker."""
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


def _levels(results: Results) -> Properties:
    """Return the figures of each level of load, named by the number of the level."""
    return [
        (f"level.{row.number}.{name}", value)
        for row in map(level_row, results.levels)
        for name, value in _of_level(row)
    ]


def _of_level(row: LevelRow) -> Properties:
    found: list[tuple[str, float | str | None]] = [
        ("streams", row.streams),
        ("sessions", row.sessions[Phase.STEADY]),
        ("lost", row.lost),
        ("not_begun", sum(row.not_begun.values())),
        ("client_late_ms", row.client.late_ms),
        ("decision", row.decision),
        ("binding", None if row.binding is None else row.binding.name),
        ("aborted", row.aborted and "yes"),
    ]
    times = {f"{row.metric}_ms": row.finals, "witness_ms": row.witness.through}
    for name, figures in times.items():
        if figures is not None:
            p95 = math.inf if figures.p95 is None else figures.p95
            found.append((f"{name}.p95", p95))
    return [
        (name, value if isinstance(value, str) else number(value))
        for name, value in found
        if value not in (None, "")
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
    "conditions": _conditions,
    "metrics": _statistics,
    "wer": _wer,
    "cer": _cer,
    "keyword_recall": _recall,
    "normalizer": _normalizer,
    "perturbation": _perturbation,
    "audio": _spent,
    "levels": _levels,
    "verdict": _verdict,
}


def number(value: float, digits: int = 3) -> float | int | str:
    """Return a rounded number of builtin type; infinity is ``"inf"`` or ``"-inf"``."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if type(value) is int else round(float(value), digits)
