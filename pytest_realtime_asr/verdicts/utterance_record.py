"""The record of one utterance in a report, with the values for comparing runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.metrics.causality import Premature


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of an utterance that its trace does not contain.

    ``corpus`` is the digest of the run's corpus. ``chunk`` is in seconds.
    ``concurrency`` is the number of sessions at a time. The user gives ``model`` and
    ``labels``, which are shown but not compared. ``perturbation`` names the
    perturbation of the clip's audio; it is empty if the audio is unchanged.
    ``replayed`` says that the server replayed a recorded session.
    """

    corpus: str = ""
    pace: float = 1.0
    chunk: float = 0.1
    concurrency: int = 1
    model: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    perturbation: str = ""
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class UtteranceRecord:
    """The result of one utterance in one run.

    ``audio`` is the digest of the utterance's samples. ``lost`` says why there is no
    final; it is empty if there is a final. ``premature`` names each metric whose event
    came before its cause, with the reason. ``stated`` is false if the record comes from
    a report that states neither the audio nor the conditions.
    """

    test: str
    started: datetime
    dialect: str
    utterance: str
    audio: str
    language: str
    synthetic: bool
    lost: str
    reference: str
    text: str
    normalizer: str
    unit: TextUnit
    errors: Errors
    metrics: Mapping[str, float | None]
    conditions: Conditions
    premature: Mapping[str, Premature] = field(default_factory=dict)
    stated: bool = True

    @property
    def clip(self) -> str:
        """The id of the utterance before any perturbation."""
        done = self.conditions.perturbation
        return self.utterance.removeprefix(f"{done}+" if done else "")

    @property
    def fixed(self) -> dict[str, str | float]:
        """The conditions that two runs must share to be compared, by name."""
        return {
            "corpus": self.conditions.corpus,
            "normalizer": self.normalizer,
            "dialect": self.dialect,
            "pace": self.conditions.pace,
            "chunk": self.conditions.chunk,
            "sessions at a time": self.conditions.concurrency,
            "perturbation": self.conditions.perturbation or "none",
            "answers": "replayed" if self.conditions.replayed else "live",
        }


def completed(
    records: Iterable[UtteranceRecord], known: Iterable[UtteranceRecord]
) -> list[UtteranceRecord]:
    """Return the records; what a record does not state is taken from ``known`` records.

    A record that states neither its audio nor its conditions gets the audio and the
    conditions of the first known record of the same utterance, except the model and the
    labels.
    """
    like: dict[str, UtteranceRecord] = {}
    for each in known:
        like.setdefault(each.utterance, each)
    found = []
    for row in records:
        other = None if row.stated else like.get(row.utterance)
        if other is not None:
            row = replace(
                row,
                audio=other.audio,
                language=other.language,
                synthetic=other.synthetic,
                conditions=replace(other.conditions, model="", labels={}),
                stated=True,
            )
        found.append(row)
    return found


def shared_test_name(test: str, utterance: str) -> str:
    """Return the common name of tests that differ only in their utterance.

    The name has ``*`` in place of the id of the utterance: the common name of
    ``test_it.py::test_it[go-forward]`` is ``test_it.py::test_it[*]``. Tests with the
    same common name are compared as one test. If the name of a test does not contain
    the id of its utterance, the name is returned unchanged.
    """
    escaped = utterance.encode("unicode_escape").decode("ascii")  # as in pytest
    for id in (utterance, escaped):
        name, found = re.subn(
            rf"(?<=[\[-]){re.escape(id)}(?=[\]-])", "*", test, count=1
        )
        if found:
            return name
    return test
