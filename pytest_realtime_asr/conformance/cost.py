"""The cost of a run of the suite: connections, streams, audio and time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import BYSTANDER_PACE
from pytest_realtime_asr.conformance.scenarios.utterances import REPEATS
from pytest_realtime_asr.conformance.scheduler import Bounds

# s that a session takes in addition to its audio, measured on two cores
_BESIDE_AUDIO = 0.35


@dataclass(frozen=True, slots=True)
class Cost:
    """The largest cost that a run can have.

    - ``scenarios`` is the number of scenarios that run. ``not_run`` maps the name of
      each other scenario to the reason why that scenario does not run.
    - ``audio`` is the length of all audio in s.
    - ``seconds`` is the estimated duration of the run in s, if the server is not slow
      and no scenario is needed that only confirms a fault.
    - ``connections`` is the number of connections in the whole run, ``streams`` the
      largest number at the same time.
    """

    scenarios: int
    not_run: Mapping[str, str]
    audio: float
    connections: int
    streams: int
    seconds: float


def cost(
    scenarios: Sequence[Scenario], clips: Clips, bounds: Bounds, *, pace: float
) -> Cost:
    """Return the largest cost of these scenarios within the bounds."""
    not_run: dict[str, str] = {}
    run: list[Scenario] = []
    audio = 0.0
    for each in scenarios:
        if reason := bounds.why_not(each):
            not_run[each.name] = reason
        elif audio + each.audio(clips) > bounds.audio:
            not_run[each.name] = (
                "the scenario's audio would exceed --realtime-max-audio; raise this "
                "limit to run the scenario"
            )
        else:
            audio += each.audio(clips)
            run.append(each)
    return Cost(
        scenarios=len(run),
        not_run=not_run,
        audio=audio,
        connections=sum(each.sessions for each in run),
        streams=_streams(run, bounds.streams),
        seconds=_total(run, clips, bounds.streams, pace),
    )


def _total(run: Sequence[Scenario], clips: Clips, streams: int, pace: float) -> float:
    """Return the duration in s of these scenarios as the scheduler runs them."""

    def of(*kinds: Concurrency) -> list[float]:
        return [_duration(e, clips, pace) for e in run if e.concurrency in kinds]

    parallel = of(Concurrency.PARALLEL)
    beside = max([*parallel, sum(parallel) / streams], default=0.0)
    beside += sum(of(Concurrency.EXCLUSIVE))
    alone = sum(of(Concurrency.FIRST, Concurrency.LAST))
    return alone + max([beside, *of(Concurrency.LONG_RUNNING)])


def _duration(scenario: Scenario, clips: Clips, pace: float) -> float:
    """Return the estimated duration of a scenario in s if the server is not slow."""
    clip = clips.seconds / pace if pace else 0.0
    match scenario.concurrency:
        case Concurrency.FIRST:  # usually the first two clips are recognised
            return (REPEATS + 1) * (clip + _BESIDE_AUDIO)
        case Concurrency.EXCLUSIVE:  # the bystander session, then a fresh one
            return clip / BYSTANDER_PACE + 2 * _BESIDE_AUDIO
        case Concurrency.LAST:
            return _BESIDE_AUDIO
    audio = scenario.audio(clips) / pace if pace else 0.0
    return audio + _BESIDE_AUDIO * scenario.sessions


def _streams(run: Iterable[Scenario], most: int) -> int:
    """Return the largest number of connections at the same time."""
    shared, exclusive = 0, [0]
    for each in run:
        if each.concurrency is Concurrency.EXCLUSIVE:
            exclusive.append(each.streams)
        else:
            shared += each.streams
    return max(min(most, shared), *exclusive)
