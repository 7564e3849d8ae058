"""The codes that refuse a session because the server is full or the key is bad."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_realtime_asr.trace.records import End
from pytest_realtime_asr.trace.timeline import Refusal

# Too many requests, and service unavailable: RFC 6585, section 4, and RFC 9110, 15.6.4.
STATUSES = (429, 503)
CODES = ("too_many_sessions", "rate_limit_exceeded")  # of errors
TRY_AGAIN_LATER = 1013  # a close code that is registered for an overloaded server
_UNAUTHORISED = 3000  # a close code that is registered for a refused key
_KEY_CODES = (  # of errors
    "authentication_error",
    "expired_token",
    "invalid_api_key",
    "invalid_token",
    "token_expired",
    "unauthorized",
)


def refuses_key(end: End | None, refusals: Iterable[Refusal]) -> bool:
    """Return whether the end of a session or one of its errors refuses the key."""
    if end is not None and end.code == _UNAUTHORISED:
        return True
    return any(each.code in _KEY_CODES for each in refusals)
