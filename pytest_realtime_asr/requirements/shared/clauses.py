"""The clauses that requirements of several protocols share."""

from __future__ import annotations

HARM = "harm to every client"
READ = "read 2026-11-22"


def bug(*threads: str, read: str = READ) -> str:
    """Return the clause of a requirement that is due to these bug reports."""
    return f"bug reports: {', '.join(threads)} ({read})"
