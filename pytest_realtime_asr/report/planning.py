"""Shows what a conformance run would do to its server, and the cost of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import target as targets
from pytest_realtime_asr.conformance import clips, first_utterance, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.cost import Cost, cost
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.load.cost import LoadCost, bounded_cost
from pytest_realtime_asr.load.search_plan import BEYOND
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.fakes import is_started
from pytest_realtime_asr.run.forecast import (
    audio_seconds,
    session_seconds,
    shortest,
    warm_ups,
)
from pytest_realtime_asr.text.number_format import about, length, several

SOAK_STREAMS = 8
_UP = 2.0  # s until a server that the plugin starts is up
_HEAD = f"  {'scenario':26} {'harm':10} {'runs':9} {'conn':>4} {'audio':>7}  what"


def plan(
    run: MeasurementConfig,
    suite: SuiteConfig,
    corpus: Corpus,
    scenarios_of: Sequence[Sequence[str]] | None,
    *,
    target: str,
    baseline: str,
    whole: bool,
    speaks: bool,
) -> list[str]:
    """Return the plan of a run in one line, with a table below if ``whole`` is true.

    ``scenarios_of`` lists the scenarios of each requirement; ``None`` means the whole
    suite. ``target`` is empty if a fixture sets the target. ``baseline`` is empty if
    there is no baseline server. ``speaks`` says that the run also sends the spoken
    corpus to the target and to the baseline server. Raises ValueError if the
    configuration is wrong, and LookupError for a dialect that is unknown or has no
    requirements.
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
    here = not target or is_started(target) or _loopback(target, dialect.path)
    limits = selection.bounds(suite, here=here)
    pace = run.session.pace
    # Without limits, the spoken corpus skips the fake server, which has its texts.
    speaks = speaks and (target != "fake" or suite.measured)
    servers = [target, baseline] if baseline and speaks else [target]
    extra = _start(run, corpus, servers)
    found = cost(
        chosen,
        spoken,
        limits,
        pace=pace,
        requirements=dialect.requirements,
        used=extra.audio if run.max_audio is not None else 0.0,
    )
    too_long = ""
    if speaks:
        speech = _speech(corpus, len(servers), pace=pace)
        if _exceeds(run, found.audio + extra.audio + speech.audio):
            too_long = (
                f"; the spoken corpus ({length(speech.audio)} of audio) does not fit "
                f"in --realtime-max-audio={run.max_audio:g}s, so it is not sent"
            )
        else:
            extra += speech
    total = _total(found, extra, len(scenarios_of)) + too_long
    name = run.pinned.name if run.pinned else f"{dialect.name}, newest"
    fixture = (
        ""
        if target
        else " (a fixture sets the target, which is assumed to be on this machine)"
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


def spoken(
    run: MeasurementConfig, corpus: Corpus, *, target: str, baseline: str
) -> str:
    """Return a line about a run that sends only the spoken corpus.

    Raises AudioError if the audio of an utterance cannot be read.
    """
    clips = list(corpus)
    return (
        f"realtime: the spoken corpus has {several(len(clips), 'utterance')}"
        f"{_amount(run, [(e, run.session.pace) for e in clips], target, baseline)}"
    )


def load_costs(suite: SuiteConfig, *, beyond: bool) -> dict[str, LoadCost]:
    """Return the largest cost of each packaged test under load, by the test's name.

    ``beyond`` says that a search may put more load on the server than its capacity.
    """
    costs = {}
    search = suite.capacity
    if search.limits:
        most = search.between[1] * (BEYOND if beyond else 1)
        costs["capacity"] = bounded_cost(math.ceil(most), search.max_time)
    if suite.soak is not None:
        costs["soak"] = bounded_cost(SOAK_STREAMS, suite.soak)
    return costs


def load(suite: SuiteConfig, *, beyond: bool) -> list[str]:
    """Return a line about each packaged test under load; see `load_costs`."""
    search = suite.capacity
    low, high = search.between
    abouts = {
        "capacity": f"from {low} to {several(high, 'stream')}, {length(search.hold)} "
        f"for each level and {length(search.confirm)} for the confirmation; ",
        "soak": "",
    }
    return [
        f"realtime {name}: {abouts[name]}{cost.text}"
        for name, cost in load_costs(suite, beyond=beyond).items()
    ]


@dataclass(frozen=True, slots=True)
class _Extra:
    """The cost of a run without its scenarios; ``audio`` and ``seconds`` are in s."""

    audio: float = 0.0
    seconds: float = 0.0
    connections: int = 0

    def __add__(self, other: _Extra) -> _Extra:
        return _Extra(
            self.audio + other.audio,
            self.seconds + other.seconds,
            self.connections + other.connections,
        )


def _start(
    run: MeasurementConfig, corpus: Iterable[Utterance], servers: Iterable[str]
) -> _Extra:
    """Return the cost of starting and warming up all servers.

    Raises ValueError if the audio of the corpus cannot be read.
    """
    number, found = warm_ups(run.server.warmup), _Extra()
    clip = shortest(corpus) if number else 0.0
    seconds = session_seconds(number * clip, number, pace=run.session.pace)
    for each in servers:
        up = _UP if is_started(each) else 0.0
        found += _Extra(number * clip, up + seconds, number)
    return found


def _speech(corpus: Iterable[Utterance], servers: int, *, pace: float) -> _Extra:
    """Return the cost of a corpus that is sent to a number of servers.

    Raises ValueError if the audio of the corpus cannot be read.
    """
    clips = list(corpus)
    audio, number = servers * audio_seconds(clips), servers * len(clips)
    return _Extra(audio, session_seconds(audio, number, pace=pace), number)


def _exceeds(run: MeasurementConfig, audio: float) -> bool:
    """Return whether ``audio``, in s, is more than the user allows for the run."""
    return run.max_audio is not None and audio > run.max_audio


def own(
    run: MeasurementConfig,
    given: Sequence[tuple[Utterance, float]],
    free: Sequence[float],
    corpus: Corpus | None,
    *,
    target: str,
    baseline: str,
) -> list[str]:
    """Return lines about what tests of the user will send, as far as this is known.

    Some tests get one utterance each; ``given`` has these utterances, each with the
    pace of its test. The other tests choose in their code what they send; ``free`` has
    the pace of each of them. ``corpus`` is the corpus of the run, or ``None`` if the
    other tests do not use it. Raises AudioError if the audio of an utterance cannot be
    read.
    """
    lines = []
    if given:
        tests = several(len(given), "test")
        sent = several(len(given), "utterance")
        amount = _amount(run, given, target, baseline)
        lines.append(f"realtime: {tests} will send {sent}{amount}")
    if free and corpus:
        tests = several(len(free), "test")
        tests += " chooses" if len(free) == 1 else " choose"
        slowest = min(filter(None, free), default=0.0)
        clips = [(each, slowest) for each in corpus]
        lines.append(
            f"realtime: {tests} what to send; the whole corpus has "
            f"{several(len(corpus), 'utterance')}"
            f"{_amount(run, clips, target, baseline)}"
        )
    return lines


def _amount(
    run: MeasurementConfig,
    sent: Sequence[tuple[Utterance, float]],
    target: str,
    baseline: str,
) -> str:
    """Return the length of the audio of clips and the time to send it, as a text.

    ``sent`` has each clip with its pace. With a ``baseline`` server, the clips are sent
    to both servers.
    """
    servers = [target, baseline] if baseline else [target]
    start = _start(run, [clip for clip, _ in sent], servers)
    audio, seconds = 0.0, start.seconds
    for each in {pace for _, pace in sent}:
        its = [clip for clip, pace in sent if pace == each]
        speech = _speech(its, len(servers), pace=each)
        audio, seconds = audio + speech.audio, seconds + speech.seconds
    exceeds = ""
    if _exceeds(run, start.audio + audio):
        exceeds = f"; more than --realtime-max-audio={run.max_audio:g}s allows"
    both = ", each for two servers" if baseline else ""
    return f"{both}: {length(audio)} of audio, {about(seconds)}{exceeds}"


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
