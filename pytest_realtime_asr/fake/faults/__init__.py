"""Faults of the fake server, grouped by what they act on.

Importing this package declares all faults.
"""

from pytest_realtime_asr.fake.faults import (
    answers,
    audio,
    counts,
    drain,
    errors,
    http,
    items,
    lateness,
    limits,
    losses,
    markup,
    memory,
    misreading,
    network,
    results,
    segments,
    session,
    settled_text,
    texts,
    word_times,
)
from pytest_realtime_asr.fake.faults.registry import (
    FAULTS,
    Fault,
    Faults,
    having,
    lacking,
)

__all__ = [
    "FAULTS",
    "Fault",
    "Faults",
    "answers",
    "audio",
    "counts",
    "drain",
    "errors",
    "having",
    "http",
    "items",
    "lacking",
    "lateness",
    "limits",
    "losses",
    "markup",
    "memory",
    "misreading",
    "network",
    "results",
    "segments",
    "session",
    "settled_text",
    "texts",
    "word_times",
]
