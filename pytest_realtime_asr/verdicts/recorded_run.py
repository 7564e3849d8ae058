"""The results of one earlier run, as its report states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord


@dataclass(frozen=True, slots=True)
class Capacity:
    """The number of streams that a search found, with its confidence interval.

    ``streams`` and ``interval`` are ``None`` if the search found no number. A bound of
    the interval is infinite if the search did not reach it.
    """

    streams: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run, as its report states it.

    ``name`` is the name of the report. ``host`` is the machine that measured, and
    ``versions`` are the versions that the server stated; both may be empty. ``limited``
    are the metrics that had a limit. ``capacities`` has the capacity that each test
    found, by the name of the test. ``interrupted`` is true if the run ended before its
    last test.
    """

    name: str
    started: datetime
    rows: tuple[UtteranceRecord, ...]
    host: str = ""
    versions: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    capacities: Mapping[str, Capacity] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def replayed(self) -> bool:
        """Whether recorded sessions were replayed instead of measuring a server."""
        return any(row.conditions.replayed for row in self.rows)

    @property
    def lost(self) -> int:
        """The number of sessions without a final."""
        return sum(bool(row.lost) for row in self.rows)

    @property
    def context(self) -> dict[str, str]:
        """The values that may explain a difference between two runs, by name.

        Reports show these values; runs with different values are still compared.
        """
        found: dict[str, set[str]] = {"host": {self.host}, "server": {*self.versions}}
        for row in self.rows:
            named = {"model": row.conditions.model, **row.conditions.labels}
            for name, value in named.items():
                found.setdefault(name, set()).add(value)
        return {name: ", ".join(sorted(each - {""})) for name, each in found.items()}
