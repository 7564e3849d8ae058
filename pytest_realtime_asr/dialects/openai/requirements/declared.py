"""Helpers that declare the source of a requirement and the profiles that have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.requirement import Requirement

READ = "read 2026-11-24"
TYPES = "openai-python 3.57.0, types/realtime"
GUIDE = "OpenAI, guide to realtime transcription"

Declared = Requirement | Callable[[Profile], Iterable[Requirement]]
"""A requirement of every profile, or a function from a profile to its requirements."""


def clause(event: str, sentence: str) -> str:
    """Return the clause that quotes a sentence from the description of an event."""
    return f"{TYPES}/{event}.py: {sentence} ({READ})"


def bug(*threads: str) -> str:
    """Return the clause that cites the bug reports in these threads."""
    return shared.bug(*threads, read=READ)


def where(
    condition: Callable[[Profile], bool], requirement: Requirement
) -> Callable[[Profile], Iterable[Requirement]]:
    """Return a function that limits a requirement to profiles that meet ``condition``.

    The function returns the requirement for such a profile, and nothing for any other.
    """
    return lambda profile: (requirement,) if condition(profile) else ()
