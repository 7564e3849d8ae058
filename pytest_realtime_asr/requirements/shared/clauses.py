"""The clauses that requirements of several protocols share."""

from __future__ import annotations

HARM = "harm to every client"
READ = "read 2026-11-22"


def bug(*threads: str, read: str = READ) -> str:
    """Return a clause that cites these bug reports as the source of a requirement."""
    return f"bug reports: {', '.join(threads)} ({read})"
