"""The results of sessions that were recorded earlier: their traces are judged again."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_realtime_asr.client import offline
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.metrics import LEVELS
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.results import Results, judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.inputs import status
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits

_TOLERANCE = 0.02  # by which a pace may differ from real time


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """A session in the file ``path``: its transcriptions and violations."""

    path: Path
    takes: tuple[Transcription, ...]
    violations: tuple[Violation, ...]


def files(places: Iterable[Path]) -> list[Path]:
    """Return the trace files in ``places``; a folder stands for all traces below it.

    Raises ValueError if a path does not exist, or if a folder has no trace.
    """
    found: list[Path] = []
    for place in places:
        status(place)
        if not place.is_dir():
            found.append(place)
            continue
        inside = sorted(filter(records.is_trace, place.rglob("*.jsonl")))
        if not inside:
            raise ValueError(
                f"{place}: there is no trace in the folder; a run keeps its traces in "
                "the folder that --realtime-traces names"
            )
        found += inside
    return found


def sessions(
    paths: Iterable[Path], *, corpus: Corpus | None = None
) -> list[RecordedSession]:
    """Read and judge the sessions in files; an utterance in two files counts once.

    ``corpus`` has the utterances that a trace does not describe. Raises ValueError if a
    file cannot be judged; its message names the file. Raises LookupError if a dialect
    is not installed.
    """
    found: list[RecordedSession] = []
    seen = set()
    for path in paths:
        trace = records.read(path)
        try:
            takes = offline.transcriptions(trace, corpus=corpus)
        except offline.OfflineError as error:
            raise offline.OfflineError(f"{path}: {error}") from None
        keys = [(trace.started, take.session, take.item) for take in takes]
        pairs = zip(keys, takes, strict=True)
        new = tuple(take for key, take in pairs if key not in seen)
        seen.update(keys)
        if new:
            spoken = {take.item: take.utterance for take in takes}
            part = Part("", takes[0].recording, spoken)
            found.append(RecordedSession(path, new, observe(takes[0].rules, part)))
    return found


def judge(
    sessions: Iterable[RecordedSession], limits: RunLimits = NO_LIMITS
) -> Results:
    """Judge recorded sessions as if one test had sent all of them.

    The test fails if a requirement of the level MUST is violated. Raises ValueError for
    a limit on a metric of a level of load, since a trace has only one session.
    """
    every = list(sessions)
    takes = [take for each in every for take in each.takes]
    for budget in limits.budgets:
        if budget.metric in LEVELS:
            raise ValueError(
                f"{budget.metric} is a metric of a level of load, and a trace has no "
                "levels; give a metric of an utterance"
            )
    terms = Terms(
        dialect=takes[0].dialect.name,
        model="",
        pace=_pace(takes),
        chunk=0.0,
        budgets=limits.budgets,
        thresholds=limits.thresholds,
    )
    return judge_test(
        "",
        takes,
        terms,
        pools={budget: takes for budget in limits.budgets},
        violations=[found for each in every for found in each.violations],
    )


def _pace(takes: Iterable[Transcription]) -> float:
    """Return the pace of the audio, in s of audio per s; 1.0 is real time.

    If sessions have several paces, the pace that differs most from real time counts.
    """
    paces = [take.timeline.pace or 1.0 for take in takes]
    worst = max(paces, key=lambda pace: abs(math.log(pace)))
    return 1.0 if abs(worst - 1.0) <= _TOLERANCE else round(worst, 2)
