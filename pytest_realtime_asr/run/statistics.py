"""Statistics of the transcriptions of a test, the same for every report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pytest_realtime_asr import metrics
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics import Better
from pytest_realtime_asr.metrics.accuracy import (
    pooled,
    unspoken_rate,
)
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.metrics.keywords import keyword_recall as pooled_recall
from pytest_realtime_asr.metrics.keywords import recognised
from pytest_realtime_asr.stats import quantile

# Metrics that each test with sessions has, even if every session was lost.
_ALWAYS = ("first_partial_from_speech", "final_from_commit")


def word_errors(takes: Iterable[Transcription]) -> Errors:
    """Return the sum of the errors of all transcriptions that are aligned by words."""
    aligned = (take.alignment for take in takes)
    return pooled(each.errors for each in aligned if each.unit is TextUnit.WORD)


def character_errors(takes: Iterable[Transcription]) -> Errors:
    """Return the sum of the errors of all transcriptions, aligned by characters."""
    return pooled(take.characters.errors for take in takes)


def keyword_recall(
    takes: Iterable[Transcription], entities: Iterable[str]
) -> float | None:
    """Return the share of the spoken entities that were recognised, over all sessions.

    Each entity counts as often as it occurs in a reference. In a lost session, all
    entities count as missed. Return ``None`` if no reference contains an entity. See
    `pytest_realtime_asr.metrics.keywords`.
    """
    wanted = tuple(entities)
    return pooled_recall(
        recognised(
            wanted,
            take.utterance.text,
            take.hypothesis,
            language=take.utterance.language,
        )
        for take in takes
    )


def unspoken(takes: Iterable[Transcription]) -> float | None:
    """Return the words recognised per minute of silence, counted over all sessions."""
    return unspoken_rate((take.alignment, take.counts.seconds) for take in takes)


def all_statistics(takes: Sequence[Transcription]) -> dict[str, dict[str, float]]:
    """Return the `statistics`, with infinite latencies if all sessions were lost.

    `statistics` leaves out a metric without a value. If all sessions were lost, this
    function adds the latencies of the first text and of the final as infinite.
    """
    found = statistics(takes)
    for name in _ALWAYS:
        counted = [take for take in takes if take.counts_for(name)]
        if name not in found and counted and all(take.lost for take in counted):
            never = {key: math.inf for key in ("p50", "p95", "max")}
            found[name] = {**never, "n": len(counted)}
    return found


def statistics(takes: Sequence[Transcription]) -> dict[str, dict[str, float]]:
    """Return ``p50``, ``p95``, the worst value and ``n`` of each metric.

    Values are in the unit of the metric. A metric without a value is left out. The
    worst value is ``max`` if lower values are better, and ``min`` if higher values are
    better. If higher values are better, 95 % of the transcriptions reach ``p95``. A
    lost session counts as infinitely bad in every metric of the server. A premature
    value counts as infinitely bad in its own metric only.
    """
    found: dict[str, dict[str, float]] = {}
    for name, metric in metrics.CATALOGUE.items():
        sign = 1 if metric.better is Better.LOWER else -1
        turned, measured = [], False
        for take in takes:
            value = take.metrics[name]
            if not take.counts_for(name):
                continue
            if take.lost and metric.gated:
                turned.append(math.inf)
            elif value is not None:
                turned.append(math.inf if name in take.premature else sign * value)
                measured = True
        if measured:
            found[name] = {
                "p50": sign * quantile(turned, 0.5),
                "p95": sign * quantile(turned, 0.95),
                "max" if sign > 0 else "min": sign * max(turned),
                "n": len(turned),
            }
    return found
