"""Which requirements and scenarios a run is about, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import BYSTANDER_PACE, FUZZ
from pytest_realtime_asr.conformance.scenarios.utterances import REPEATS
from pytest_realtime_asr.conformance.scheduler import Bounds
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import (
    Harm,
    Level,
    Requirement,
    Undecided,
)
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Sender

STREAMS_HERE, STREAMS_ELSEWHERE = 16, 2
_STRENGTH = list(Level)  # the strongest first
_ONE_MORE = 0.35  # s that a session takes beside its audio, on a machine such as ours


UNKNOWN = Requirement(
    id="dialect",
    title="The server says first what a server of an installed dialect says.",
    level=Level.MUST,
    clause="without a dialect there are no requirements",
    check=lambda evidence: Undecided("nothing was asked"),
)
"""What stands for all requirements of a server whose dialect could not be found."""


def requirements(
    dialect: str, *, level: Level = Level.INFO, pinned: PinnedSuite | None = None
) -> tuple[Requirement, ...]:
    """Return the requirements of a run of the suite, in the order of judging.

    Requirements that hold for every session come last, so that they see most. Raises
    LookupError for an unknown dialect, and ValueError for a suite of another one.
    """
    if dialect == AUTO:
        return (UNKNOWN,)
    loaded = dialects.load(dialect)
    found = loaded.requirements
    if pinned is not None:
        if pinned.dialect != loaded.name.partition(":")[0]:
            raise ValueError(
                f"the suite {pinned.name} is for {pinned.dialect}, and the dialect is "
                f"{loaded.name}"
            )
        found = pinned.select(found)
    allowed = _STRENGTH[: _STRENGTH.index(level) + 1]
    kept = [
        each for each in found if each.binds is Sender.SERVER and each.level in allowed
    ]
    return tuple(sorted(kept, key=lambda each: each.passive))


def bounds(config: SuiteConfig, *, here: bool) -> Bounds:
    """Return what a run may do to its server.

    ``here`` says that the server is on this machine, where any harm is allowed.
    """
    if here:
        streams = config.max_streams or STREAMS_HERE
        return Bounds(frozenset(Harm), streams, float("inf"))
    streams = config.max_streams or STREAMS_ELSEWHERE
    harms = frozenset({Harm.SAFE, *config.allow})
    return Bounds(harms, streams, config.max_audio)


def fuzz(config: SuiteConfig, *, here: bool) -> int:
    """Return the number of random sessions."""
    if config.fuzz is not None:
        return config.fuzz
    return FUZZ if here else 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run would do; ``audio`` and ``seconds`` are in s, at the given pace."""

    requirements: int
    scenarios: int
    held_back: Mapping[str, str]
    audio: float
    sessions: int
    peak: int
    seconds: float

    def __str__(self) -> str:
        back = f" ({len(self.held_back)} held back)" if self.held_back else ""
        return (
            f"{several(self.requirements, 'requirement')}, "
            f"{several(self.scenarios, 'scenario')}{back}, "
            f"at most {self.audio / 60:.1f} min of audio, "
            f"{several(self.sessions, 'connection')}, "
            f"{self.peak} at a time, about {self.seconds:.0f} s"
        )


def cost(
    scenarios: Sequence[Scenario],
    asked: int,
    spoken: Clips,
    limits: Bounds,
    *,
    pace: float,
) -> Cost:
    """What the scenarios of so many requirements cost within these bounds, at most."""
    back = {each.name: limits.why_not(each) for each in scenarios}
    held: list[Scenario] = []
    audio = 0.0
    for each in scenarios:
        if back[each.name]:
            continue
        if audio + each.audio(spoken) > limits.audio:
            back[each.name] = "its audio is beyond --realtime-max-audio"
            continue
        audio += each.audio(spoken)
        held.append(each)

    def lasting(*concurrency: Concurrency) -> list[float]:
        return [
            _lasting(each, spoken, pace)
            for each in held
            if each.concurrency in concurrency
        ]

    together = lasting(Concurrency.PARALLEL)
    beside = max([*together, sum(together) / limits.streams], default=0.0)
    beside += sum(lasting(Concurrency.EXCLUSIVE))
    seconds = sum(lasting(Concurrency.FIRST, Concurrency.LAST))
    seconds += max([beside, *lasting(Concurrency.LONG_RUNNING)])
    return Cost(
        requirements=asked,
        scenarios=len(held),
        held_back={name: reason for name, reason in back.items() if reason},
        audio=audio,
        sessions=sum(each.sessions for each in held),
        peak=_peak(held, limits.streams),
        seconds=seconds,
    )


def _lasting(scenario: Scenario, spoken: Clips, pace: float) -> float:
    """About how long a scenario takes, in s, with a server that is not slow."""
    clip = spoken.seconds / pace if pace else 0.0
    match scenario.concurrency:
        case Concurrency.FIRST:  # mostly, the first two clips are of use
            return (REPEATS + 1) * (clip + _ONE_MORE)
        case Concurrency.EXCLUSIVE:  # as long as its bystander, and a fresh session
            return clip / BYSTANDER_PACE + 2 * _ONE_MORE
        case Concurrency.LAST:
            return _ONE_MORE
    audio = scenario.audio(spoken) / pace if pace else 0.0
    return audio + _ONE_MORE * scenario.sessions


def _peak(held: Iterable[Scenario], streams: int) -> int:
    together = sum(
        each.streams for each in held if each.concurrency is not Concurrency.EXCLUSIVE
    )
    apart = [each.streams for each in held if each.concurrency is Concurrency.EXCLUSIVE]
    return max([min(streams, together), *apart], default=0)
