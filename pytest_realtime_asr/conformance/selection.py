"""Selects the requirements of a run, and limits what the run may do to its server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance import first_utterance
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.scenario import Scenario
from pytest_realtime_asr.conformance.scenario_run import FUZZ
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import Bounds
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import (
    Harm,
    Level,
    Requirement,
    Undecided,
)
from pytest_realtime_asr.requirements.shared.events import protocol_check
from pytest_realtime_asr.trace.records import Sender

STREAMS_HERE, STREAMS_ELSEWHERE = 16, 2
AUDIO_ELSEWHERE = 600.0  # s
_STRENGTH = list(Level)  # the strongest first


UNKNOWN = Requirement(
    id="dialect",
    title="the first event of the server belongs to an installed dialect",
    level=Level.MUST,
    clause="the requirements depend on the dialect of the server",
    check=lambda evidence: Undecided("the server was not contacted"),
)
"""The only requirement for a server whose dialect could not be detected."""


def requirements(
    dialect: str, *, level: Level = Level.INFO, pinned: PinnedSuite | None = None
) -> tuple[Requirement, ...]:
    """Return the requirements of a run of the suite, in the order of judging.

    The first utterance comes first, then the passive requirements, which apply to every
    session. The other requirements follow. They are sorted by the harm of their
    scenarios, then by the `Concurrency` of the scenarios, then from simple to complex.
    The requirements on the whole run come last.

    Raises LookupError if the dialect is unknown or lacks a scenario. Raises ValueError
    if the pinned suite belongs to another dialect.
    """
    if dialect == AUTO:
        return (UNKNOWN,)
    loaded = dialects.load(dialect)
    found = loaded.requirements
    if pinned is not None:
        if pinned.dialect != loaded.name.partition(":")[0]:
            raise ValueError(
                f"the pinned suite {pinned.name} is for {pinned.dialect}, but the "
                f"dialect is {loaded.name}; choose a suite of that dialect"
            )
        found = pinned.select(found)
    allowed = _STRENGTH[: _STRENGTH.index(level) + 1]
    kept = [
        each for each in found if each.binds is Sender.SERVER and each.level in allowed
    ]
    known = checked_scenarios(loaded)
    harms, places = list(Harm), {name: place for place, name in enumerate(known)}

    def hardness(each: Requirement) -> tuple[bool, bool, bool, int, int]:
        """Return the sort key of a requirement.

        The first utterance comes first. Then come the passive requirements, then the
        other requirements, and finally the requirements on the whole run. Within each
        of these groups, the hardest scenario of a requirement decides: first its harm,
        then its position in the dialect's list of scenarios.
        """
        steps = [known[name] for name in each.scenarios]
        return (
            each.id != first_utterance.NAME,
            each.whole_run,
            not each.passive,
            max((harms.index(step.harm) for step in steps), default=0),
            max((places[step.name] for step in steps), default=0),
        )

    return tuple(sorted(kept, key=hardness))


def judged(
    dialect: str, *, level: Level = Level.INFO, pinned: PinnedSuite | None = None
) -> tuple[Requirement, ...]:
    """Return the requirements of a run.

    Raises LookupError if there are none, and the errors of `requirements`.
    """
    found = requirements(dialect, level=level, pinned=pinned)
    if not found:
        which = "requirements" if level is Level.INFO else f"{level.name} requirements"
        raise LookupError(
            f"the dialect {dialect} has no {which}, so the suite would judge nothing; "
            "add a group of requirements that fits every protocol, from "
            "pytest_realtime_asr.requirements.shared"
        )
    return found


def checked_scenarios(dialect: Dialect) -> Mapping[str, Scenario]:
    """Return the scenarios of a dialect.

    Raises LookupError if a requirement of the dialect has no check, or needs a scenario
    that is missing or that does not fit the protocol.
    """
    for problem in unfit_requirements(dialect):
        raise LookupError(problem)
    return scenarios(dialect)


def unfit_requirements(dialect: Dialect) -> Iterator[str]:
    """Yield a sentence for each requirement by which the dialect cannot be judged."""
    known = scenarios(dialect)
    for each in dialect.requirements:
        if reason := _unfit(each, dialect, known):
            yield (
                f"the requirement {each.id} of the dialect {dialect.name} {reason}, or "
                "leave the requirement out"
            )


def _unfit(
    requirement: Requirement, dialect: Dialect, known: Mapping[str, Scenario]
) -> str | None:
    """Return why a dialect cannot be judged by a requirement, and what to change.

    Return ``None`` if it can be judged.
    """
    if requirement.check is protocol_check:
        return (
            "has no check; state it with a check of the dialect's events: "
            f'shared.stated("{requirement.id}", CLAUSE, CHECK)'
        )
    for name in requirement.scenarios:
        if name not in known:
            return (
                f"needs the scenario {name}, which the dialect does not have; add a "
                "misuse or an exercise of this name to the dialect"
            )
        for lacking in known[name].fits - dialect.traits.capabilities:
            return (
                f"needs the scenario {name}, which only fits a protocol in which "
                f"{lacking.value}; add Capability.{lacking.name} to the traits of the "
                "dialect if this is true"
            )
    return None


def bounds(config: SuiteConfig, *, here: bool) -> Bounds:
    """Return the limits of what a run may do to its server.

    If ``here`` is true, the server is on this machine, and every harm is allowed.
    """
    audio = math.inf if here else AUDIO_ELSEWHERE
    if config.max_audio is not None:
        audio = config.max_audio
    if here:
        streams = config.max_streams or STREAMS_HERE
        return Bounds(frozenset(Harm), streams, audio)
    streams = config.max_streams or STREAMS_ELSEWHERE
    harms = frozenset({Harm.SAFE, *config.allow})
    return Bounds(harms, streams, audio)


def fuzz(config: SuiteConfig, *, here: bool) -> int:
    """Return the number of random sessions.

    If no option sets the number, it is 0 for a server on another machine.
    """
    if config.fuzz is not None:
        return config.fuzz
    return FUZZ if here else 0
