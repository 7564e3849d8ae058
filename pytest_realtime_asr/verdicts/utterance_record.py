"""The record of one utterance in a report, as far as two runs are compared by it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.metrics.causality import Premature


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of an utterance that its trace does not contain.

    ``corpus`` is the digest of the run's corpus, ``chunk`` is in seconds,
    ``concurrency`` is the number of sessions at a time. ``model`` and ``labels``, which
    only the user knows, are shown and not compared.
    """

    corpus: str = ""
    pace: float = 1.0
    chunk: float = 0.1
    concurrency: int = 1
    model: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UtteranceRecord:
    """The result of one utterance in one run.

    ``audio`` is the digest of its samples. ``lost`` is empty where there is a final.
    ``premature`` gives the metrics that are not measurements, each with the reason.
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

    @property
    def fixed(self) -> dict[str, str | float]:
        """The conditions that must be equal in both runs, by name."""
        return {
            "corpus": self.conditions.corpus,
            "normalizer": self.normalizer,
            "dialect": self.dialect,
            "pace": self.conditions.pace,
            "chunk": self.conditions.chunk,
            "sessions at a time": self.conditions.concurrency,
        }


def shared_test_name(test: str, utterance: str) -> str:
    """Return the name that tests share which differ only in their utterance.

    Such tests are compared as one: ``test_it.py::test_it[go-forward]`` is one of
    ``test_it.py::test_it[*]``. A test whose id does not contain the id of its utterance
    keeps its own name.
    """
    escaped = utterance.encode("unicode_escape").decode("ascii")  # as pytest does
    for id in (utterance, escaped):
        name, found = re.subn(
            rf"(?<=[\[-]){re.escape(id)}(?=[\]-])", "*", test, count=1
        )
        if found:
            return name
    return test
