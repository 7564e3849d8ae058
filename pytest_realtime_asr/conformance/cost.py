"""The cost of a run of the suite: connections, streams, audio and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.conformance.audio_choice import affordable, beyond
from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import BYSTANDER_PACE
from pytest_realtime_asr.conformance.scenarios.utterances import REPEATS
from pytest_realtime_asr.conformance.scheduler import Bounds
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.run.forecast import BESIDE_AUDIO


@dataclass(frozen=True, slots=True)
class Cost:
    """The largest cost that a run can have.

    - ``scenarios`` is the number of scenarios that run. ``not_run`` maps the name of
      each other scenario to the reason why that scenario does not run.
    - ``audio`` is the length of all audio in s.
    - ``seconds`` is the estimated duration of the run in s. The estimate assumes that
      the server is not slow, and that no CONFIRMATION scenario is needed.
    - ``durations`` maps the name of each scenario that runs to its duration in s.
    - ``connections`` is the number of connections in the whole run. ``streams`` is the
      largest number of connections at the same time.
    """

    scenarios: int
    not_run: Mapping[str, str]
    audio: float
    connections: int
    streams: int
    seconds: float
    durations: Mapping[str, float]


def cost(
    scenarios: Sequence[Scenario],
    clips: Clips,
    bounds: Bounds,
    *,
    pace: float,
    requirements: Sequence[Requirement] = (),
    used: float = 0.0,
) -> Cost:
    """Return the largest cost that a run of these scenarios can have.

    ``bounds`` are the limits of the run. ``requirements`` are the requirements of the
    dialect. If the audio of the run is limited, the scenarios are chosen so that as
    many of these requirements as possible are judged. ``used`` is the length in s of
    the audio that the run has already sent.
    """
    reasons = {each.name: bounds.why_not(each) for each in scenarios}
    not_run = {name: reason for name, reason in reasons.items() if reason}
    allowed = [each for each in scenarios if each.name not in not_run]
    chosen = affordable(allowed, clips, requirements, bounds.audio - used)
    enough = used + sum(each.audio(clips) for each in allowed)
    not_run |= {
        each.name: beyond(bounds.audio, enough)
        for each in allowed
        if each.name not in chosen
    }
    run = [each for each in allowed if each.name in chosen]
    audio = sum(each.audio(clips) for each in run)
    durations = {each.name: _duration(each, clips, pace) for each in run}
    return Cost(
        scenarios=len(run),
        not_run=not_run,
        audio=audio,
        connections=sum(each.sessions for each in run),
        streams=_streams(run, bounds.streams),
        seconds=total(run, durations, bounds.streams),
        durations=durations,
    )


def total(
    run: Iterable[Scenario], durations: Mapping[str, float], streams: int
) -> float:
    """Return the estimated duration in s of a run of these scenarios.

    ``durations`` maps the name of a scenario to its duration in s. Scenarios overlap as
    far as the scheduler allows. A scenario without a duration does not run.
    """
    by: dict[Concurrency, list[float]] = {each: [] for each in Concurrency}
    for each in run:
        if each.name in durations:
            by[each.concurrency].append(durations[each.name])
    parallel = by[Concurrency.PARALLEL]
    beside = max([*parallel, sum(parallel) / streams], default=0.0)
    beside += sum(by[Concurrency.EXCLUSIVE])
    alone = (Concurrency.GATE, Concurrency.FIRST, Concurrency.LAST)
    before_and_after = sum(sum(by[each]) for each in alone)
    return before_and_after + max([beside, *by[Concurrency.LONG_RUNNING]])


def _duration(scenario: Scenario, clips: Clips, pace: float) -> float:
    """Return the estimated duration in s of a scenario if the server is not slow."""
    clip = clips.seconds / pace if pace else 0.0
    match scenario.concurrency:
        case Concurrency.FIRST:  # usually the first two clips are recognised
            return (REPEATS + 1) * (clip + BESIDE_AUDIO)
        case Concurrency.EXCLUSIVE:  # the bystander session, then a fresh one
            return clip / BYSTANDER_PACE + 2 * BESIDE_AUDIO
        case Concurrency.LAST:
            return BESIDE_AUDIO
    audio = scenario.audio(clips) / pace if pace else 0.0
    return audio + BESIDE_AUDIO * scenario.sessions


def _streams(run: Iterable[Scenario], most: int) -> int:
    """Return the largest number of connections that are open at the same time."""
    shared, exclusive = 0, [0]
    for each in run:
        if each.concurrency is Concurrency.EXCLUSIVE:
            exclusive.append(each.streams)
        else:
            shared += each.streams
    return max(min(most, shared), *exclusive)
