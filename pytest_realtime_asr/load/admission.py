"""Finds an admission limit: a server or its proxy accepts few sessions at a time.

A limit per address, key or proxy cannot be seen before a load. During a load, sessions
are refused although few sessions are open. This is easily mistaken for the server's
capacity.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from pytest_realtime_asr.client.session_refusal import (
    CODES,
    STATUSES,
    TRY_AGAIN_LATER,
)
from pytest_realtime_asr.load.preflight import Finding, Subject
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Ending

FEW = 16  # sessions; a server that accepts more is limited by more than admission
LEAST = 3  # refusals
# The client and the server see a session begin and end at different times.
_UNCERTAIN = 2  # sessions
_BETWEEN = 0.1  # s


def admission(rows: Sequence[Row]) -> Finding | None:
    """Return a finding if the server seems to limit the number of sessions.

    ``rows`` are all sessions of this client, including the witnesses. Three conditions
    must be met:

    - at least `LEAST` sessions were refused;
    - the largest number of sessions that were open at the same time is at most `FEW`;
    - at every refusal, about this number of sessions was open.
    """
    refused = [row for row in rows if _is_refused(row)]
    accepted = [
        row for row in rows if row.opened.opened is not None and not _is_refused(row)
    ]
    if len(refused) < LEAST or not accepted:
        return None
    around = _Spans(accepted)
    least = min(around.at(row.ended) for row in refused)
    largest = _Spans(accepted, less=_BETWEEN).most
    if largest > FEW or least < largest - _UNCERTAIN:
        return None
    return Finding(
        Subject.ADMISSION,
        f"the server refused {len(refused)} of {several(len(rows), 'session')} "
        f"({_how(refused[0])}) while {least} or more were open, and never held more "
        f"than {largest} at the same time",
        "a load needs a server that accepts every session",
        "the server or its proxy may limit the sessions of one address or API key; "
        "raise this limit, or accept it as the capacity",
    )


class _Spans:
    """The times of open sessions, each shortened by ``less`` seconds at both ends."""

    def __init__(self, rows: Sequence[Row], *, less: float = 0.0) -> None:
        long = [row for row in rows if row.ended - row.began > 2 * less]
        self._began = sorted(row.began + less for row in long)
        self._ended = sorted(row.ended - less for row in long)

    def at(self, time: float) -> int:
        """Return how many sessions were open at ``time``, in s."""
        return bisect_right(self._began, time) - bisect_right(self._ended, time)

    @property
    def most(self) -> int:
        """The largest number of sessions that were open at the same time."""
        return max(map(self.at, self._began), default=0)


def _is_refused(row: Row) -> bool:
    """Return whether a session was refused because too many sessions were open."""
    end = row.opened.end
    if end.how is Ending.REFUSED:
        return end.code in STATUSES
    if not row.lost:
        return False
    return end.code == TRY_AGAIN_LATER or row.refusal in CODES


def _how(row: Row) -> str:
    """Return how a session was refused."""
    end = row.opened.end
    if end.how is Ending.REFUSED:
        return f"HTTP {end.code}"
    if end.code == TRY_AGAIN_LATER:
        return f"close code {end.code}"
    return f"the error {row.refusal}"
