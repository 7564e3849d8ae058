"""Latencies of a session, each named after the instant from which it is counted.

Published measurements of the "time to first token" count from at least seven different
instants, such as the start of the connection, the first audio, the start of speech or
the end of speech. Here the start instant is in the name of the metric. The instant of a
position in the audio is the time at which its frame was *due*, never the time at which
the frame was sent. So if the server does not read the client's audio, the delay counts
as latency, although the frame is sent later (no coordinated omission).

Values are signed, and a negative value is reported. A value counts as over every limit
if the event came before its cause (`pytest_realtime_asr.metrics.causality`). A value
that cannot be measured is ``None``, never zero.
"""

from __future__ import annotations

from itertools import pairwise

from pytest_realtime_asr.metrics import causality
from pytest_realtime_asr.metrics.declaration import Group, Instant, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.trace.timeline import Timeline

_NS_PER_MS = 1_000_000


def has_words(text: str) -> bool:
    """Return whether a text contains a letter or a digit of any alphabet."""
    return any(map(str.isalnum, text))


@metric(group=Group.START, unit=Unit.MS, needs="an established connection")
def connect(item: Emissions) -> float | None:
    """Measure the time to establish the connection (DNS, TCP, TLS and upgrade).

    Formula: opened - begun
    Unit: ms
    Start: the instant at which the client began to connect
    End: the completed WebSocket handshake
    Better: lower
    Source: a metric of its own, so that name look-up, TLS and handshake are not part of
        the latency of the first text
    """
    return _between(0, item.timeline.opened)


@metric(
    group=Group.START,
    unit=Unit.MS,
    needs="a server that announces that the session is ready",
)
def session_ready(item: Emissions) -> float | None:
    """Measure the time from the open connection until the session is ready.

    Formula: ready - opened
    Unit: ms
    Start: the completed WebSocket handshake
    End: the event that announces the session (such as ``session.created``); in a
        protocol without such an event, there is no value
    Better: lower
    Source: the first session also waits until the model is loaded and compiled; report
        the first session separately
    """
    opened, ready = item.timeline.opened, item.timeline.ready
    return None if opened == ready else _between(opened, ready)


@metric(
    group=Group.START,
    unit=Unit.MS,
    needs="audio and a hypothesis with a letter or digit",
    no_budget="it includes the silence before the speech, and rewards text that was "
    "made up before the speech",
    causality=causality.text_after_audio,
)
def first_partial_from_audio(item: Emissions) -> float | None:
    """Measure the time from the first audio frame to the first text.

    This is a weak measure: it includes the silence before the speech, and the best
    value goes to a server that makes up text before anything was said. For a server
    that sends only the final, the first text is the final.

    Formula: first hypothesis with a letter or digit - due time of the first audio frame
    Unit: ms
    Start: the instant at which the first audio frame was due
    End: the arrival of the first hypothesis with a letter or digit
    Better: lower
    Source: Coval's benchmark counts from the first chunk of a paced session that is
        already set up
    """
    return _between(_first_due(item.timeline), _first_text(item.timeline))


@metric(
    group=Group.START,
    unit=Unit.MS,
    needs="the start of speech, known from word times, and a hypothesis with a letter "
    "or digit",
    causality=causality.text_after_speech,
    start=Instant.SPEECH_START,
)
def first_partial_from_speech(item: Emissions) -> float | None:
    """Measure the time from the start of speech to the first text.

    The value is signed. If the text came before the start of speech by more than the
    uncertainty of that instant, the server made up the text, and the value counts as
    over every limit.

    Formula: first hypothesis with a letter or digit - due(start of speech)
    Unit: ms
    Start: the instant at which the audio at the start of speech was due
    End: the arrival of the first hypothesis with a letter or digit
    Better: lower
    Source: LiveKit's users ask for this start instant, and for a first text that is not
        empty
    """
    return _between(item.speech_start, _first_text(item.timeline))


@metric(
    group=Group.END,
    unit=Unit.MS,
    needs="a commit and a final",
    causality=causality.final,
    start=Instant.COMMIT,
)
def final_from_commit(item: Emissions) -> float | None:
    """Measure the time from the commit to the final.

    This is the least ambiguous latency and needs no word times, so it is the first
    choice for a budget. The value is negative if the final came before the commit. Such
    a final is allowed only if the server ended the turn by itself and the final came
    after the end of speech. Otherwise, it is premature and counts as over every limit.

    Formula: final - due time of the commit
    Unit: ms
    Start: the instant at which the commit was due
    End: the arrival of the final
    Better: lower
    Source: some benchmarks (such as Coval's) compare how fast a server finalises, and
        not how long it waits in silence; so they send an event that ends the utterance,
        and count from that instant
    """
    commit, final = item.timeline.commit, item.timeline.final
    if commit is None or final is None:
        return None
    return _between(commit.due, final.at)


@metric(
    group=Group.END,
    unit=Unit.MS,
    needs="the end of speech, known from word times, and a final",
    causality=causality.final,
    start=Instant.SPEECH_END,
)
def final_from_speech_end(item: Emissions) -> float | None:
    """Measure the time from the end of speech to the final.

    The time includes the wait of the server for more speech, or the wait of the client
    before its commit. The value is negative if the final came before the end of speech.
    A premature final (see `final_from_commit`) counts as over every limit.

    Formula: final - due(end of speech)
    Unit: ms
    Start: the instant at which the audio at the end of speech was due
    End: the arrival of the final
    Better: lower
    Source: pipecat's TTFS, with the end of speech from the word times of the reference
        instead of a live voice activity detector, whose decision varies between runs
    """
    final = item.timeline.final
    return None if final is None else _between(item.speech_end, final.at)


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs="at least two audio frames, and a session that lasts beyond the start of "
    "speech",
    no_budget="it includes the speaker's pauses, and it is the length of the speech "
    "for a server that sends only the final",
)
def longest_stall(item: Emissions) -> float | None:
    """Measure the longest time without new text while speech was being sent.

    This metric finds sessions that stopped while their socket stayed open. It is a weak
    measure. For a server that sends only the final, it is the length of the speech. A
    pause of the speaker counts like a stall. A hang near the end of speech is counted
    only up to the end of speech. New text is a hypothesis that is not blank and differs
    from the previous hypothesis.

    Formula: longest time between two successive instants. The instants are start, stop
        and each arrival of new text between these two. start is due(start of speech),
        or the due time of the first audio frame if the start of speech is not known.
        stop is due(end of speech), or the due time of the last audio frame if the end
        of speech is not known
    Unit: ms
    Start: the arrival of the new text before the gap, or the start
    End: the arrival of the next new text, or the stop
    Better: lower
    Source: vLLM's realtime endpoint was seen to go silent from the third concurrent
        session on, with the socket open
    """
    start, script = item.speech_start, item.script
    if start is None and script is not None and script.speech_start is not None:
        return None  # the session ended before the speech
    return longest_gap(item.timeline, start, item.speech_end)


def longest_gap(
    timeline: Timeline, start: int | None = None, stop: int | None = None
) -> float | None:
    """Return the longest time without new text between two instants, in ms.

    ``start`` and ``stop`` are in ns; without them, the first and the last audio frame
    are used. Returns ``None`` if ``start`` is not before ``stop``.
    """
    heard = timeline.heard
    if start is None:
        start = _first_due(timeline)
    if stop is None:
        stop = heard[-1].due if heard else None
    if start is None or stop is None or start >= stop:
        return None
    marks = [start]
    for edit in timeline.edits:
        new = (edit.removed or edit.added) and not edit.blank
        if new and start < edit.at < stop:
            marks.append(edit.at)
    marks.append(stop)
    gaps = (after - before for before, after in pairwise(marks))
    return max(gaps) / _NS_PER_MS


def _first_due(timeline: Timeline) -> int | None:
    heard = timeline.heard
    return heard[0].due if heard else None


def _first_text(timeline: Timeline) -> int | None:
    # Before the first edit that adds a word, the text contains no word.
    return next((edit.at for edit in timeline.edits if has_words(edit.added)), None)


def _between(start: int | None, end: int | None) -> float | None:
    if start is None or end is None:
        return None
    return (end - start) / _NS_PER_MS
