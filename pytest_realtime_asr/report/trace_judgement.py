"""The text about traces that are judged again: metrics, violations and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics import CATALOGUE, Better, Group
from pytest_realtime_asr.report import jsonl, messages
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.utterances import summary
from pytest_realtime_asr.run.identity import RunIdentity
from pytest_realtime_asr.run.recorded_results import RecordedSession
from pytest_realtime_asr.run.results import BrokenRule, Results, cause_verdict
from pytest_realtime_asr.run.statistics import statistics
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.verdict import Verdict

_NAME = 32  # columns for the name of a metric
_COLUMN = 14  # columns for a number
_LONGEST = 120  # characters of a name
# The fields of a line of a report that are computed from the session.
_COMPUTED = (
    *("lost", "text", "reference", "language", "normalizer", "unit", "errors", "wer"),
    *("cer", "raw_errors", "raw_wer", "head_deletions", "tail_deletions", "repeated"),
    *("metrics", "premature", "counts", "usage", "violations", "end"),
)
# Those of them that are about the whole session.
_OF_SESSION = frozenset(
    [
        *("end", "violations"),
        *(each.name for each in CATALOGUE.values() if each.group is Group.CLIENT),
    ]
)
Line = Mapping[str, Any]
_Key = tuple[datetime, str, str]


def lines(
    sessions: Sequence[RecordedSession], results: Results, *, width: int = USUAL
) -> Iterator[str]:
    """Yield the lines about recorded sessions and their results.

    A single utterance gets a line for each metric. Several utterances get a table of
    statistics. If there are several sessions, those without an error or a violation are
    only counted.
    """
    right = 0
    for session in sessions:
        if len(sessions) > 1 and _is_right(session):
            right += 1
            continue
        for take in session.takes:
            errors = summary(take, take.align(None))
            text = f"{session.path}: {_label(take)}, {errors}"
            yield from wrapped(text, width, then="  ")
        for violation in session.violations:
            text = printable(str(violation))
            yield from wrapped(text, width, first="  ", then="    ")
    if right:
        yield f"{several(right, 'session')} without an error or a violation"
    takes = [take for session in sessions for take in session.takes]
    yield ""
    yield from _metrics(takes[0]) if len(takes) == 1 else _statistics(takes)
    yield from _verdicts(sessions, results, width=width)


def _is_right(session: RecordedSession) -> bool:
    """Return whether a session has no loss, no word error and no violation."""
    errors = [take.align(None).errors for take in session.takes]
    wrong = any(each.wrong or each.unspoken for each in errors)
    lost = any(take.lost for take in session.takes)
    return not (wrong or lost or session.violations)


def _verdicts(
    sessions: Sequence[RecordedSession], results: Results, *, width: int
) -> Iterator[str]:
    """Yield the verdicts on limits and on lost utterances; failures come last."""
    judged: list[messages.Judged] = [*results.findings, *results.wer]
    passing = [each for each in judged if each not in results.failing]
    # The violations stand with their sessions.
    causes = [each for each in results.failing if not isinstance(each, BrokenRule)]
    if passing or causes:
        yield ""
    takes = [take for each in sessions for take in each.takes]
    mark = "replayed: " if any(take.trace.replayed for take in takes) else ""
    for each in passing:
        yield from wrapped(f"{mark}{messages.verdict(each)}", width, then="  ")
    paths = {take.label: str(each.path) for each in sessions for take in each.takes}
    shown = replace(results, failing=tuple(causes), paths=paths)
    texts = messages.failures(shown, width=width)
    for cause, text in zip(causes, texts, strict=False):
        verdict = cause_verdict(cause)
        first, *others = text.splitlines()
        name = "FAIL: " if verdict is Verdict.FAIL else ""
        yield from wrapped(f"{mark}{name}{first}", width, then="  ")
        yield from others


def differences(sessions: Sequence[RecordedSession], report: Path) -> Iterator[str]:
    """Yield a line for each value of a JSON Lines report that is now different.

    An utterance that is not in the report gets a line too. Raises ValueError if the
    report cannot be read.
    """
    known = _recorded(report)
    run = RunIdentity("")
    for session in sessions:
        for take in session.takes:
            now = msgspec.json.decode(jsonl.line("", take, run), type=dict[str, Any])
            name = f"{session.path}: {_label(take)}"
            found = known.get(_key(now))
            if found is None:
                yield f"{name}: is not in {report}"
                continue
            for field, before, after in _changed(found, now):
                yield f"{name}: {field} is {after}, but the report has {before}"


def _recorded(report: Path) -> dict[_Key, Line]:
    """Return the utterance lines of a report, by session and utterance."""
    found: dict[_Key, Line] = {}
    for number, each in enumerate(report.read_bytes().splitlines(), 1):
        try:
            line = msgspec.json.decode(each, type=dict[str, Any])
            if line.get("kind") == "utterance":
                found[_key(line)] = line
        except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as error:
            raise ValueError(f"{report}:{number}: {error}") from None
    if not found:
        raise ValueError(
            f"{report}: has no line about an utterance; give the JSON Lines report "
            "(--realtime-report=out.jsonl) of the run that kept the traces"
        )
    return found


def _key(line: Line) -> _Key:
    started = msgspec.convert(line["started"], datetime)
    return started, line.get("session") or "", line.get("utterance") or ""


def _changed(before: Line, after: Line) -> Iterator[tuple[str, str, str]]:
    """Yield the name and both values of each field that differs.

    The entries of a mapping are compared one by one. If the session went on after the
    line of the utterance was written, the values that are about the whole session are
    not compared.
    """
    went_on = before["end"] != after["end"]
    for field in _COMPUTED:
        if field not in before or (went_on and field in _OF_SESSION):
            continue
        one, other = before[field], after[field]
        if isinstance(one, dict) and isinstance(other, dict):
            for name in one:
                if went_on and name in _OF_SESSION:
                    continue
                if one[name] != other.get(name):
                    yield f"{field}.{name}", _shown(one[name]), _shown(other.get(name))
        elif one != other:
            yield field, _shown(one), _shown(other)


def _shown(value: object) -> str:
    return shortened(printable(msgspec.json.encode(value).decode()), _LONGEST)


def _metrics(take: Transcription) -> Iterator[str]:
    """Yield the lines with the metrics of an utterance, in groups."""
    missing = []
    for group in Group:
        rows = [name for name, metric in CATALOGUE.items() if metric.group is group]
        values = {name: take.metrics[name] for name in rows}
        if any(value is not None for value in values.values()):
            yield f"{group.value}"
        for name, value in values.items():
            if value is None:
                missing.append(name)
                continue
            early = "  before its cause" if name in take.premature else ""
            yield f"  {name:{_NAME}}{messages.shown(name, value):>{_COLUMN}}{early}"
    if missing:
        yield from wrapped(f"not measured: {', '.join(missing)}", USUAL, then="  ")


def _statistics(takes: Sequence[Transcription]) -> Iterator[str]:
    """Yield a table with the statistics of each metric over several utterances."""
    lost = sum(bool(take.lost) for take in takes)
    yield f"{several(len(takes), 'utterance')}, {lost} lost"
    heads = "".join(f"{name:>{_COLUMN}}" for name in ("p50", "p95", "worst"))
    yield f"  {'':{_NAME}}{heads}"
    for name, found in statistics(takes).items():
        worst = found["max" if CATALOGUE[name].better is Better.LOWER else "min"]
        values = (found["p50"], found["p95"], worst)
        cells = "".join(f"{messages.shown(name, each):>{_COLUMN}}" for each in values)
        yield f"  {name:{_NAME}}{cells}"


def _label(take: Transcription) -> str:
    name = shortened(printable(take.utterance.id), _LONGEST)
    return f"{name} (utterance {take.item + 1})" if take.item else name
