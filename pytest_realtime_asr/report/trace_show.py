"""Shows one trace: what was said and recognised, its frames and its violations.

A drawing of the session over time, the *strip*, is also shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import offline
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.report import alignment, strip
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.session_chart import Mark, SessionChart, chart
from pytest_realtime_asr.report.transcript import transcript
from pytest_realtime_asr.report.utterances import summary
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Trace

_LONGEST = 200  # characters of the target, the session's id, a name and a text


def lines(
    trace: Trace,
    *,
    item: int | None = None,
    whole: bool = False,
    corpus: Corpus | None = None,
    width: int = USUAL,
) -> Iterator[str]:
    """Yield the lines that show a trace.

    ``item`` is the number of the utterance to show, from 0. ``None`` shows the
    utterances that the trace describes, or all if it describes none. With ``whole``,
    all frames are shown. ``corpus`` has the utterances that the trace does not
    describe. Raises ValueError if there is no utterance ``item``. Raises LookupError if
    the dialect is not installed.
    """
    dialect = dialects.load(trace.dialect)
    recording = dialects.recording(dialect, trace)
    shown = items(recording, item)
    yield from head(recording)
    known = _transcriptions(trace, corpus)
    for number in shown:
        yield from _utterance(recording, number, known.get(number), width=width)
    private = offline.is_private(trace)
    broken = () if private else violations(recording, corpus)
    marked = {record for each in broken for record in each.records}
    yield from transcript(trace, marked, whole=whole)
    yield from map(str, broken)
    if private:
        yield (
            "requirements are not checked, since the frames of a private run have no "
            "texts"
        )


def head(recording: Recording) -> Iterator[str]:
    """Yield two lines: the server with its protocol, and the session with its start."""
    trace = recording.trace
    version = f" {trace.version}" if trace.version else ""
    replayed = ", replayed" if trace.replayed else ""
    yield _short(f"{trace.target}, {trace.dialect}{version}{replayed}")
    session = _short(recording.timeline.session) or "?"
    yield f"session {session}, started {trace.started:%Y-%m-%d %H:%M:%S} UTC"


def items(recording: Recording, item: int | None) -> tuple[int, ...]:
    """Return the numbers of the utterances to show, from 0.

    ``item`` is the number of one utterance, from 0. ``None`` selects the utterances
    that the trace describes, or all if it describes none. Raises ValueError if there is
    no utterance ``item``.
    """
    every = recording.items
    if item is None:
        named = {each.asset for each in recording.trace.spoken}
        described = tuple(each for each in every if recording.asset(each) in named)
        return described or every
    if item not in every:
        numbers = ", ".join(str(each + 1) for each in every) or "none"
        raise ValueError(
            f"there is no utterance {item + 1} in the session; it has the utterances: "
            f"{numbers}"
        )
    return (item,)


def violations(
    recording: Recording, corpus: Corpus | None = None
) -> tuple[Violation, ...]:
    """Return the violations of the side that did not record the session.

    A requirement that needs reference transcripts is left out if an utterance is not
    known.
    """
    trace = recording.trace
    required = offline.rules(dialects.load(trace.dialect), trace)
    try:
        spoken = offline.utterances(recording, corpus)
    except offline.OfflineError:
        spoken = {}
    return observe(required, Part("", recording, spoken))


def _transcriptions(trace: Trace, corpus: Corpus | None) -> dict[int, Transcription]:
    """Return a mapping from the number of each utterance to its transcription.

    Utterances are numbered in the session, from 0. The result is empty if they are not
    known.
    """
    try:
        found = offline.transcriptions(trace, corpus=corpus)
    except offline.OfflineError:
        return {}
    return {take.item: take for take in found}


def _utterance(
    recording: Recording, item: int, take: Transcription | None, *, width: int
) -> Iterator[str]:
    """Yield the lines about one utterance.

    ``take`` is its transcription, or ``None`` if the utterance is not known.
    """
    found = chart(recording, item)
    count = len(recording.items)
    several = f" {item + 1} of {count}" if count > 1 else ""
    name = _short(recording.asset(item)) or "?"
    line = f"utterance{several}: {name}, {found.seconds:.1f} s of audio"
    private = offline.is_private(recording.trace)
    if take is None:
        yield f"{line}{_ended(recording, item, found)}"
        if found.text and not private:
            yield f"text: {_short(found.text)!r}"
    else:
        aligned = take.align(None)
        ended = _ended(recording, item, found)
        yield from wrapped(f"{line}{ended}, {summary(take, aligned)}", width)
        if aligned.pairs:
            yield from alignment.lines(aligned, width=width).splitlines()
        if found.spoken is None:
            found = replace(found, spoken=described(take.utterance))
    yield from strip.lines(found, width=width, texts=not private)


def _ended(recording: Recording, item: int, found: SessionChart) -> str:
    """Return when the final came, as part of a line.

    The time is the metric ``final_from_commit``. It counts from when the commit was
    due, which may be before the commit was sent.
    """
    final, commit = found.first(Mark.FINAL), recording.timeline.item(item).commit
    if final is None:
        return ", no final"
    if commit is None:
        return f", final {final.at / 1000:.3f} s after the start of the audio"
    after = final.at - (commit.due - found.zero) / 1e6
    return f", final {after:.0f} ms after the commit was due"


def _short(text: str) -> str:
    return shortened(printable(text), _LONGEST)
