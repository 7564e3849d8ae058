"""Describes the missing and wrong fields of several sessions, each field only once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.recording import Flaw

_NAMED = 5  # fields that a description names


def distinct(flaws: Iterable[Flaw]) -> tuple[Flaw, ...]:
    """Return the first flaw of each field."""
    first: dict[str, Flaw] = {}
    for flaw in flaws:
        first.setdefault(flaw.subject, flaw)
    return tuple(first.values())


def described(sessions: Sequence[Sequence[Flaw]]) -> str:
    """Return a text that describes each distinct flaw of these sessions once.

    ``sessions`` has the distinct flaws of each session. If there are several sessions,
    the text says how many of them have each flaw.
    """
    every = [flaw for flaws in sessions for flaw in flaws]
    counts = Counter(flaw.subject for flaw in every)
    found = distinct(every)
    lines = []
    for flaw in found[:_NAMED]:
        text = f"{flaw.subject} {flaw.fault}".rstrip()
        if len(sessions) > 1:
            text += f" in {several(counts[flaw.subject], 'session')}"
        lines.append(f"{text}; it must be {flaw.wanted}" if flaw.wanted else text)
    if len(found) > _NAMED:
        lines.append(f"and {len(found) - _NAMED} more wrong fields or frames")
    return "; ".join(lines)
