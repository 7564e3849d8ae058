"""What configures the packaged suite, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.requirements.requirement import Harm, Level


@dataclass(frozen=True, slots=True)
class SuiteConfig:
    """Which requirements the suite judges, and what it may do to a server.

    ``level`` is the weakest that is judged; ``strict`` lets a violated SHOULD fail its
    test. ``max_audio`` is in seconds. ``max_streams`` and the number of random sessions
    ``fuzz`` are ``None`` where they depend on whether the server is on this machine.
    """

    level: Level = Level.INFO
    strict: bool = False
    allow: frozenset[Harm] = frozenset()
    max_audio: float = 600.0
    max_streams: int | None = None
    fuzz: int | None = None
