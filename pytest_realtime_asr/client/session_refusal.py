"""How a server refuses a session because it has too many."""

from __future__ import annotations

STATUSES = (429, 503)  # of HTTP: too many requests, service unavailable
CODES = ("too_many_sessions", "rate_limit_exceeded")  # of errors
TRY_AGAIN_LATER = 1013  # a close code
