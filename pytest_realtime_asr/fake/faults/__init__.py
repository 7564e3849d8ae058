"""Faults of the fake server, grouped by what they act on.

Importing this package declares all faults.
"""

from pytest_realtime_asr.fake.faults import (
    audio,
    errors,
    http,
    items,
    losses,
    misreading,
    network,
    session,
    texts,
)
from pytest_realtime_asr.fake.faults.registry import FAULTS, Fault, Faults

__all__ = [
    "FAULTS",
    "Fault",
    "Faults",
    "audio",
    "errors",
    "http",
    "items",
    "losses",
    "misreading",
    "network",
    "session",
    "texts",
]
