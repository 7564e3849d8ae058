"""The wording of the result of a drain, which stops the server during sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_realtime_asr.load.drain import (
    Closing,
    Drain,
    DrainedSession,
    Fault,
    Moment,
)
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import NO_CODE

_SHOWN = 3  # sessions of a fault that are named
_LONGEST_LABEL = 120  # characters of the name of a session


def summary(drain: Drain) -> str:
    """Return one line about the whole result."""
    found = "; ".join(_faults(drain))
    head = f"drain: {found}" if found else "drain"
    return f"{head} ({'; '.join(_values(drain))}); {drain.verdict.value}"


def details(drain: Drain) -> str:
    """Return the summary and, below it, some sessions for each fault."""
    return "\n".join([summary(drain), *_sessions(drain)])


def _faults(drain: Drain) -> Iterator[str]:
    counts: Mapping[Fault, int] = drain.faults
    complete = len(drain.of(Moment.COMPLETE))
    of = f"of {several(len(drain.sessions), 'session')}"
    for fault, count in counts.items():
        match fault:
            case Fault.LOST_FINAL:
                yield (
                    f"{count} of {several(complete, 'utterance')} whose audio was "
                    "complete got no final"
                )
            case Fault.BROKEN:
                yield f"{count} {of} ended without a close frame"
            case Fault.WRONG_CODE:
                yield (
                    f"{count} {of} were closed with a code that is not valid at a stop"
                )
            case Fault.STILL_OPEN:
                grace = f"the grace of {drain.grace:g} s"
                yield f"{count} {of} were still open after {grace}"
            case Fault.NONE_COMPLETE:
                yield (
                    "no utterance was waiting for its final when the server was told "
                    "to stop; give more streams, or repeat the drain"
                )


def _values(drain: Drain) -> Iterator[str]:
    for moment in Moment:
        if sessions := drain.of(moment):
            answered = [each.final for each in sessions if each.final is not None]
            late = f", the last {_seconds(max(answered))}" if answered else ""
            if moment is Moment.ANSWERED:
                yield f"{moment}: {len(sessions)}"
            else:
                yield f"{moment}: {len(answered)} of {len(sessions)} finals{late}"
    codes = ", ".join(
        f"{'no code' if code == NO_CODE else code} x{count}"
        for code, count in drain.codes.items()
    )
    if codes:
        yield f"closed with {codes}"
    if drain.seconds is not None:
        yield f"all sessions closed {_seconds(drain.seconds)}; grace {drain.grace:g} s"
    if drain.stop_seconds is None:
        yield "stop() had not returned"
    if drain.refused_after is None:
        yield f"{several(drain.accepted, 'new connection')} accepted, none refused"
    else:
        yield f"new connections refused {_seconds(drain.refused_after)}"
    if drain.failed:
        lost = several(len(drain.failed), "session")
        yield f"{lost} lost before the stop: {drain.failed[0]}"


def _sessions(drain: Drain) -> Iterator[str]:
    closings = {
        Fault.BROKEN: Closing.BROKEN,
        Fault.WRONG_CODE: Closing.ERROR,
        Fault.STILL_OPEN: Closing.OPEN,
    }
    complete = drain.of(Moment.COMPLETE)
    for fault in drain.faults:
        if fault is Fault.LOST_FINAL:
            named: Iterable[DrainedSession] = (e for e in complete if e.final is None)
        elif fault in closings:
            named = (e for e in drain.sessions if e.closing is closings[fault])
        else:
            continue
        for each in list(named)[:_SHOWN]:
            yield f"  {_session(each)}"


def _session(session: DrainedSession) -> str:
    label = shortened(printable(session.label), _LONGEST_LABEL)
    final = "no final"
    if session.final is not None:
        final = f"final {_seconds(session.final)}"
    end = "not closed"
    if session.closed is not None:
        code = "" if session.code is None else f" with code {session.code}"
        end = f"ended {_seconds(session.closed)}{code}"
    return f"{label} ({session.clip}): {session.moment} at the stop, {final}, {end}"


def _seconds(seconds: float) -> str:
    """Return a time after the stop, such as ``after 1.2 s``."""
    if seconds < 0:
        return f"{-seconds:.2f} s before the stop"
    return f"after {seconds:.2f} s"
