"""The ways in which a server refuses a session when it has too many sessions."""

from __future__ import annotations

# Too many requests, and service unavailable: RFC 6585, section 4, and RFC 9110, 15.6.4.
STATUSES = (429, 503)
CODES = ("too_many_sessions", "rate_limit_exceeded")  # of errors
TRY_AGAIN_LATER = 1013  # a close code that is registered for an overloaded server
