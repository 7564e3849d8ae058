"""Finds out whether a session was lost because no server was there."""

from __future__ import annotations

from pytest_realtime_asr.client.failure_reasons import NO_SERVER
from pytest_realtime_asr.trace.records import Ending, Trace

_GOING_AWAY = (1001, 1012)  # close codes of a server that shuts down or restarts


def absence(message: str) -> str:
    """Return why no server was there, such as "Connection refused".

    ``message`` is the message of an `Unreachable`. Returns "" if a server was there.
    """
    _, found, why = message.partition(f"{NO_SERVER}: ")
    return why.partition(";")[0] if found else ""


def absent(trace: Trace) -> str:
    """Return why no server was there for a session; "" if a server was there."""
    end = trace.end
    if end.how is not Ending.REFUSED or end.code is not None:
        return ""
    return absence(end.reason)


def is_cut_off(trace: Trace) -> bool:
    """Return whether a session ended in a way that is usual when a server stops.

    These ways are: the connection broke, the server closed it with a code for a
    shutdown or a restart, or the server did not accept the connection.
    """
    end = trace.end
    match end.how:
        case Ending.BROKEN:
            return True
        case Ending.CLOSED_BY_PEER:
            return end.code in _GOING_AWAY
        case Ending.REFUSED:
            return end.code is None
        case _:
            return False
