"""The configuration of the conformance suite, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.requirements.requirement import Harm, Level
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits

FUZZ_SEED = 1


@dataclass(frozen=True, slots=True)
class CapacityConfig:
    """The settings of the packaged test that searches for the capacity of a server.

    The capacity is the largest number of streams in ``between`` for which the
    ``limits`` hold. Without limits, the suite does not have this test. Each level lasts
    ``hold`` seconds. The confirmation lasts ``confirm`` seconds. The whole search takes
    at most ``max_time`` seconds.
    """

    limits: RunLimits = NO_LIMITS
    between: tuple[int, int] = (1, 500)
    hold: float = 60.0
    confirm: float = 300.0
    max_time: float = 1800.0


@dataclass(frozen=True, slots=True)
class SuiteConfig:
    """The requirements that the suite judges, and what it may do to a server.

    - Requirements of ``level`` and of stronger levels are judged.
    - If ``strict``, a violated SHOULD fails its test.
    - With ``keep_going``, the suite goes on even if the first utterance fails, or if
      sessions wait for events that do not arrive.
    - ``allow`` are the kinds of harm that the suite may do to a server on another
      machine.
    - ``max_audio`` is the largest length in s of all audio that the suite sends.
      ``None`` means 10 minutes for a server on another machine, and no limit for a
      server on this machine.
    - ``max_streams`` is the largest number of sessions at the same time. ``fuzz`` is
      the number of random sessions. For both, ``None`` chooses a default, which is
      larger for a server on this machine.
    - ``fuzz_seed`` is the seed of the random sessions. If it is ``None``, each run
      draws a new seed.
    - ``limited`` are the metrics of the spoken corpus that have a limit in this run.
      If ``measured`` is true, the spoken corpus is sent even to the target ``fake``.
    - ``capacity`` configures the search for the capacity; ``None`` if there is no
      search. ``soak`` is the duration in s of the soak; ``None`` if there is no soak.
    """

    level: Level = Level.INFO
    strict: bool = False
    keep_going: bool = False
    allow: frozenset[Harm] = frozenset()
    max_audio: float | None = None
    max_streams: int | None = None
    fuzz: int | None = None
    fuzz_seed: int | None = FUZZ_SEED
    limited: frozenset[str] = frozenset()
    measured: bool = False
    capacity: CapacityConfig = CapacityConfig()
    soak: float | None = None
