"""Shows what a conformance run would do to its server, and the cost of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import target as targets
from pytest_realtime_asr.conformance import clips, first_utterance, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.cost import Cost, cost
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.fakes import FAKES
from pytest_realtime_asr.run.forecast import (
    audio_seconds,
    session_seconds,
    shortest,
    warm_ups,
)
from pytest_realtime_asr.text.number_format import about, length, several

_START = 2.0  # s until a server that the plugin starts is up
_LOOKED_AT = 1000  # clips of which the shortest is taken
_HEAD = f"  {'scenario':26} {'harm':10} {'runs':9} {'conn':>4} {'audio':>7}  what"


def plan(
    run: MeasurementConfig,
    suite: SuiteConfig,
    corpus: Corpus,
    scenarios_of: Sequence[Sequence[str]] | None,
    *,
    target: str,
    whole: bool,
    speaks: bool,
) -> list[str]:
    """Return the plan of a run in one line, with a table below if ``whole`` is true.

    ``scenarios_of`` lists the scenarios of each requirement, ``None`` for the whole
    suite. ``target`` is empty if a fixture sets the target. ``speaks`` says that the
    run also sends the spoken corpus. Raises ValueError if the configuration is wrong,
    and LookupError for a dialect that is unknown or has no requirements.
    """
    dialect = dialects.load(run.session.dialect)
    if scenarios_of is None:
        selected = selection.judged(
            run.session.dialect, level=suite.level, pinned=run.pinned
        )
        scenarios_of = [each.scenarios for each in selected]
    asked = {first_utterance.NAME, *(name for names in scenarios_of for name in names)}
    chosen = [each for name, each in scenarios(dialect).items() if name in asked]
    spoken = clips.choose(corpus)
    here = not target or target in FAKES or _loopback(target, dialect.path)
    limits = selection.bounds(suite, here=here)
    pace = run.session.pace
    found = cost(chosen, spoken, limits, pace=pace)
    # Without limits, the spoken corpus skips the fake server, which has its texts.
    speaks = speaks and (target != "fake" or suite.measured)
    extra = _beside(run, corpus, target=target, speaks=speaks)
    total = _total(found, extra, len(scenarios_of))
    name = run.pinned.name if run.pinned else f"{dialect.name}, newest"
    fixture = (
        "" if target else " (a fixture sets the target: assumed to be on this machine)"
    )
    lines = [f"realtime conformance: {name}: {total}{fixture}"]
    if not whole:
        return lines
    lines.append(_HEAD)
    for each in chosen:
        kept = found.not_run.get(each.name)
        lines.append(
            f"  {each.name:26} {each.harm.value:10} {each.concurrency.value:9} "
            f"{each.sessions:4} {each.audio(spoken):5.1f} s  "
            + (f"NOT RUN: {kept}" if kept else each.about)
        )
    return lines


def spoken(run: MeasurementConfig, corpus: Corpus, *, target: str) -> str:
    """Return a line about a run that sends only the spoken corpus.

    Raises AudioError if the audio of an utterance cannot be read.
    """
    clips = list(corpus)
    start = _START if target in FAKES else 0.0
    return (
        f"realtime: the spoken corpus has {several(len(clips), 'utterance')}: "
        f"{_amount(run, [(each, run.session.pace) for each in corpus], start)}"
    )


@dataclass(frozen=True, slots=True)
class _Extra:
    """What a run costs beside its scenarios: audio and time in s, and connections."""

    audio: float = 0.0
    seconds: float = 0.0
    connections: int = 0

    def __add__(self, other: _Extra) -> _Extra:
        return _Extra(
            self.audio + other.audio,
            self.seconds + other.seconds,
            self.connections + other.connections,
        )


def _beside(
    run: MeasurementConfig, corpus: Corpus, *, target: str, speaks: bool
) -> _Extra:
    """Return the cost of the start, of the warm-up and of the spoken corpus.

    Raises ValueError if the audio of the corpus cannot be read.
    """
    pace = run.session.pace
    found = _Extra(seconds=_START if target in FAKES else 0.0)
    number = warm_ups(run.server.warmup)
    if number:
        clip = shortest(corpus)
        seconds = session_seconds(number * clip, number, pace=pace)
        found += _Extra(number * clip, seconds, number)
    if speaks:
        audio, number = audio_seconds(list(corpus)), len(corpus)
        seconds = session_seconds(audio, number, pace=pace)
        found += _Extra(audio, seconds, number)
    return found


def own(
    run: MeasurementConfig,
    given: Sequence[tuple[Utterance, float]],
    free: Sequence[float],
    corpus: Corpus | None,
    *,
    target: str,
) -> list[str]:
    """Return lines about what tests of the user will send, as far as this is known.

    ``given`` are the utterances of the tests that get one each, with the pace of the
    test. ``free`` are the paces of the tests whose code chooses what they send;
    ``corpus`` is the corpus of the run if they use it. Raises AudioError if the audio
    of an utterance cannot be read.
    """
    lines = []
    start = _START if target in FAKES else 0.0
    if given:
        tests = several(len(given), "test")
        sent = several(len(given), "utterance")
        lines.append(
            f"realtime: {tests} will send {sent}: {_amount(run, given, start)}"
        )
    if free and corpus:
        tests = several(len(free), "test")
        tests += " chooses" if len(free) == 1 else " choose"
        slowest = min(filter(None, free), default=0.0)
        clips = [(each, slowest) for each in corpus]
        lines.append(
            f"realtime: {tests} what to send; the whole corpus has "
            f"{several(len(corpus), 'utterance')}: {_amount(run, clips, start)}"
        )
    return lines


def _amount(
    run: MeasurementConfig, sent: Sequence[tuple[Utterance, float]], start: float
) -> str:
    """Return the length of the audio of clips, and the time of a run that sends it.

    ``sent`` has each clip with its pace. ``start`` is the time in s until the server is
    up.
    """
    audio, seconds, pace = 0.0, start, run.session.pace
    for each in {pace for _, pace in sent}:
        its = [clip for clip, pace in sent if pace == each]
        audio += (its_audio := audio_seconds(its))
        seconds += session_seconds(its_audio, len(its), pace=each)
    clips = [clip for clip, _ in sent]
    if number := warm_ups(run.server.warmup):
        warm = number * min((each.duration for each in clips[:_LOOKED_AT]), default=0.0)
        seconds += session_seconds(warm, number, pace=pace)
    return f"{length(audio)} of audio, {about(seconds)}"


def _total(cost: Cost, extra: _Extra, requirements: int) -> str:
    """Return one line about the cost of a run."""
    not_run = f" ({len(cost.not_run)} not run)" if cost.not_run else ""
    return (
        f"{several(requirements, 'requirement')}, "
        f"{several(cost.scenarios, 'scenario')}{not_run}, "
        f"at most {(cost.audio + extra.audio) / 60:.1f} min of audio, "
        f"{several(cost.connections + extra.connections, 'connection')}, "
        f"{cost.streams} at a time, {about(cost.seconds + extra.seconds)}"
    )


def _loopback(text: str, path: str) -> bool:
    return targets.parse(text, path=path).loopback
