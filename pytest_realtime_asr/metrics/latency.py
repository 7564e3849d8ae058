"""How long a server takes, each name carrying its zero.

A bare "time to first token" has been counted from at least seven different instants:
before the connection, from the first audio, from the onset of speech, from its end.
Here the zero is in the name. A position in the audio becomes an instant through the
time at which its frame was *due*, never the time at which it was sent: where the
server does not take our audio, that shows as latency and is not hidden by the late
start of the count.

Values are signed. A negative one is shown as it is, and counts as no good one where the
event came before what it answers (`pytest_realtime_asr.metrics.causality`).

Each metric takes the timeline of one item and what is known of the speech in it, and
gives milliseconds, or ``None`` where what it needs is not there; never zero for that.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

from pytest_realtime_asr.trace.timeline import Timeline

_NS_PER_MS = 1_000_000


class Spoken(Protocol):
    """Where the speech of an utterance begins and ends, in seconds, where known."""

    @property
    def speech_start(self) -> float | None: ...

    @property
    def speech_end(self) -> float | None: ...

    @property
    def speech_by(self) -> str: ...


_UNCERTAIN = {"words": 100 * _NS_PER_MS}
_DETECTED = 300 * _NS_PER_MS  # of speech that was found by its energy


def uncertainty(spoken: Spoken | None) -> int:
    """How far in ns the start and the end of speech may be off."""
    by = "" if spoken is None else spoken.speech_by
    return _UNCERTAIN.get(by, _DETECTED)


def has_words(text: str) -> bool:
    """Whether a text holds a letter or a digit, of any script."""
    return any(map(str.isalnum, text))


def connect(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How long the connection took to stand.

    Formula: opened - begun
    Unit: ms
    Zero: the instant at which the connection was begun
    Needs: a connection that stood
    Better: down
    Source: kept apart from all other latencies, since tools that count the first text
        from before the connection report name look-up, TLS and handshake as speed
    """
    return _between(0, timeline.opened)


def session_ready(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How long the server took from the connection to a session that may begin.

    Formula: ready - opened
    Unit: ms
    Zero: the instant at which the connection stood
    Needs: a server that says that the session may begin
    Better: down
    Source: the first session also pays for loading and compiling; report it apart
    """
    return _between(timeline.opened, timeline.ready)


def first_partial_from_audio(
    timeline: Timeline, spoken: Spoken | None = None
) -> float | None:
    """How long after the first audio the first text came.

    Weak as a budget: it holds the silence before the speech, and a server that sends
    text before anything was said wins it. A server that sends nothing but the final
    has its first text there.

    Formula: first hypothesis with a letter or digit - due time of the first audio frame
    Unit: ms
    Zero: the instant at which the first audio frame was due
    Needs: audio and a hypothesis with a letter or digit
    Better: down
    Source: Coval's benchmark counts so, from the first chunk of a paced session that
        is already set up
    """
    return _between(_first_due(timeline), _first_text(timeline))


def first_partial_from_speech(
    timeline: Timeline, spoken: Spoken | None = None
) -> float | None:
    """How long after the onset of speech the first text came.

    Signed. Text from before the speech, beyond the uncertainty of its start, is made
    up: it is not a measurement, and is over every limit.

    Formula: first hypothesis with a letter or digit - due(start of speech)
    Unit: ms
    Zero: the instant at which the audio of the start of speech was due
    Needs: the start of speech (word times) and a hypothesis with a letter or digit
    Better: down
    Source: the zero that LiveKit's users ask for, the onset of speech, and with it
        the rule that the first text must not be empty
    """
    if spoken is None or spoken.speech_start is None:
        return None
    return _between(timeline.due(spoken.speech_start), _first_text(timeline))


def final_from_commit(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How long after the commit the final came.

    The least ambiguous of all, and so the first choice for a budget: its zero needs no
    word times. Signed: a server that ends the turn by itself may be before the commit.
    Any other final from before its commit is not a measurement, and is over every
    limit; so is a final with which the server ended the turn before the end of speech.

    Formula: final - due time of the commit
    Unit: ms
    Zero: the instant at which the commit was due
    Needs: a commit and a final
    Better: down
    Source: benchmarks that compare finalization and not silence policies send an
        explicit end and count from there (Coval)
    """
    commit, final = timeline.commit, timeline.final
    if commit is None or final is None:
        return None
    return _between(commit.due, final.at)


def final_from_speech_end(
    timeline: Timeline, spoken: Spoken | None = None
) -> float | None:
    """How long after the end of speech the final came.

    It holds the server's wait for more speech, or ours before the commit. Signed and
    not clamped. A final that nothing asked for, as for `final_from_commit`, is not a
    measurement, and is over every limit.

    Formula: final - due(end of speech)
    Unit: ms
    Zero: the instant at which the audio of the end of speech was due
    Needs: the end of speech (word times) and a final
    Better: down
    Source: pipecat's TTFS, with the end of speech from the word times of the reference
        in the place of a live voice detector, whose zero moves from run to run
    """
    final = timeline.final
    if spoken is None or spoken.speech_end is None or final is None:
        return None
    return _between(timeline.due(spoken.speech_end), final.at)


def longest_stall(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """The longest time without new text while speech was being handed over.

    Weak as a budget: a server that sends nothing but the final stalls for as long as
    the speaker speaks, a pause of the speaker counts too, and a hang that begins near
    the end of speech is cut off there. It finds the session that stopped while its
    socket stayed open. New text is a hypothesis that is not blank and differs from
    the one before it.

    Formula: longest gap between neighbours in: start, each new text between start and
        stop, stop; start is due(start of speech), else of the first audio frame; stop
        is due(end of speech), else of the last audio frame
    Unit: ms
    Zero: the new text before the gap, or the start
    Needs: two audio frames or more, with speech among them
    Better: down
    Source: vLLM's realtime endpoint was seen to go silent from the third concurrent
        session on, with the socket open
    """
    heard = timeline.heard
    start, stop = _first_due(timeline), heard[-1].due if heard else None
    if spoken is not None and spoken.speech_start is not None:
        start = timeline.due(spoken.speech_start)
    if spoken is not None and spoken.speech_end is not None:
        stop = _first_of(timeline.due(spoken.speech_end), stop)
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
    # Before the first text with words, no edit has left any.
    return next((it.at for it in timeline.edits if has_words(it.added)), None)


def _first_of(known: int | None, otherwise: int | None) -> int | None:
    return otherwise if known is None else known


def _between(zero: int | None, stop: int | None) -> float | None:
    if zero is None or stop is None:
        return None
    return (stop - zero) / _NS_PER_MS
