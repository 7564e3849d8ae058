"""The configuration of the conformance suite, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.requirements.requirement import Harm, Level


@dataclass(frozen=True, slots=True)
class SuiteConfig:
    """The requirements that the suite judges, and what it may do to a server.

    - Requirements of ``level`` and of stronger levels are judged.
    - If ``strict``, a violated SHOULD fails its test.
    - With ``keep_going``, the suite goes on after the first utterance has failed, and
      after sessions have waited in vain.
    - ``allow`` are the kinds of harm that are allowed on a server elsewhere, that is,
      not on this machine.
    - ``max_audio`` is the largest length in s of the audio for a server elsewhere.
    - ``max_streams`` is the largest number of sessions at the same time, ``fuzz`` the
      number of random sessions. ``None`` chooses a default, which is larger for a
      server on this machine.
    """

    level: Level = Level.INFO
    strict: bool = False
    keep_going: bool = False
    allow: frozenset[Harm] = frozenset()
    max_audio: float = 600.0
    max_streams: int | None = None
    fuzz: int | None = None
