"""Records of utterances in a run that is compared with another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import TextUnit
from pytest_realtime_asr.verdicts.utterance_record import Conditions, UtteranceRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXT = "the road to the mountains is closed because of the snow"
Way = Callable[[float, int], float]
Rows = list[UtteranceRecord]


def row(number: int, final: float | None, **changes: Any) -> UtteranceRecord:
    """Return the record of an utterance whose final came after ``final`` ms."""
    text = changes.pop("text", TEXT)
    metrics = {"final_from_commit": final, **changes.pop("metrics", {})}
    conditions = Conditions("c0ffee", model="voxtral", labels={"gpu": "H100"})
    given = UtteranceRecord(
        test="test_it.py::test_it",
        started=START + timedelta(seconds=number),
        dialect="vllm",
        utterance=f"clip-{number:02}",
        audio=f"{number:016x}",
        language="en",
        synthetic=False,
        lost="",
        reference=TEXT,
        text=text,
        normalizer="whisper-english/1",
        unit=TextUnit.WORD,
        errors=words(TEXT, text, language="en").errors,
        metrics=metrics,
        conditions=replace(conditions, **changes.pop("conditions", {})),
    )
    return replace(given, **changes)


def lost(number: int) -> UtteranceRecord:
    """Return the record of an utterance without a final."""
    errors = words(TEXT, None, language="en").errors
    return row(number, None, lost="hung", text="", errors=errors)


def run(n: int = 24, *, seed: int = 1, way: Way = lambda ms, number: ms) -> Rows:
    """Return a run whose finals take 300 to 900 ms, by clip, with a noise of 2 %."""
    clips, noise = Random(0), Random(seed)
    return [
        row(number, way(clips.uniform(300, 900) * noise.gauss(1, 0.02), number))
        for number in range(n)
    ]


def slower(share: float) -> Way:
    """Return a function that makes a time longer by a share."""
    return lambda ms, number: ms * (1 + share)
