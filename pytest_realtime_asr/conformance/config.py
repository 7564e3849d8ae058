"""The configuration of the conformance suite, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.requirements.requirement import Harm, Level


@dataclass(frozen=True, slots=True)
class SuiteConfig:
    """Which requirements the suite judges, and what it may do to a server.

    - ``level`` is the weakest level of requirements that is judged.
    - If ``strict``, a violated SHOULD fails its test.
    - ``allow`` names the kinds of harm that a scenario may do to a server elsewhere.
    - ``max_audio`` is the most audio in s that is sent to a server elsewhere.
    - ``max_streams`` is the largest number of sessions at the same time, ``fuzz`` the
      number of random sessions. ``None`` chooses a default, which is larger for a
      server on this machine.
    """

    level: Level = Level.INFO
    strict: bool = False
    allow: frozenset[Harm] = frozenset()
    max_audio: float = 600.0
    max_streams: int | None = None
    fuzz: int | None = None
