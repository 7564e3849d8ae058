"""Whether a session was lost because no server was there."""

from __future__ import annotations

from pytest_realtime_asr.client.transport import NO_SERVER
from pytest_realtime_asr.trace.records import Ending, Trace


def absence(message: str) -> str:
    """Return why no server was there, such as "Connection refused".

    ``message`` is that of `Unreachable`. Returns "" if there was a server.
    """
    _, found, why = message.partition(f"{NO_SERVER}: ")
    return why.partition(";")[0] if found else ""


def absent(trace: Trace) -> str:
    """Return why no server was there when a session should open, "" if there was."""
    end = trace.end
    if end.how is not Ending.REFUSED or end.code is not None:
        return ""
    return absence(end.reason)


def is_cut_off(trace: Trace) -> bool:
    """Return whether a session has ended as it does if the server is killed."""
    return trace.end.how is Ending.BROKEN or bool(absent(trace))
