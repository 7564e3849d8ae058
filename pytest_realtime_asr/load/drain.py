"""A drain: what becomes of open sessions when the server is shut down.

An utterance whose audio was complete before the shutdown must get its final. Every
connection must be closed with a close frame. Utterances that were still being spoken
are reported, but not judged, since a server may drop them.

Source of the close codes: RFC 6455, section 7.4.1, and the IANA registry that this RFC
creates (1012, "service restart", and 1013, "try again later").
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_realtime_asr.trace.records import NO_CODE, End, Ending
from pytest_realtime_asr.trace.timeline import Timeline
from pytest_realtime_asr.verdicts.verdict import Verdict

LAWFUL = frozenset({1000, 1001, 1012, 1013, NO_CODE})
"""The close codes with which a server may end a session when it stops."""


class Moment(enum.StrEnum):
    """The state of an utterance when the shutdown of the server began.

    `SPEAKING`: its audio was being sent. `COMPLETE`: its audio was complete, and its
    final had not come. `ANSWERED`: its final had come.
    """

    SPEAKING = "speaking"
    COMPLETE = "complete"
    ANSWERED = "answered"


class Closing(enum.StrEnum):
    """How a session ended after the shutdown of the server had begun.

    `LAWFUL`: the server closed it with one of the codes that are valid at a stop.
    `ERROR`: the server closed it with another code. `BROKEN`: the connection broke
    without a close frame. `OPEN`: the server had not closed it when the grace was over.
    """

    LAWFUL = "lawful"
    ERROR = "error"
    BROKEN = "broken"
    OPEN = "open"


class Fault(enum.Enum):
    """Why a drain fails, or why it is undecided."""

    LOST_FINAL = enum.auto()  # of an utterance that was complete at the stop
    BROKEN = enum.auto()  # a connection ended without a close frame
    WRONG_CODE = enum.auto()
    STILL_OPEN = enum.auto()  # the grace is over
    NONE_COMPLETE = enum.auto()  # no utterance was waiting for its final


@dataclass(frozen=True, slots=True)
class DrainedSession:
    """A session that was open when the shutdown of the server began.

    ``label`` names the session in reports, and ``clip`` is the id of its utterance.
    ``final`` is the time in s from the start of the shutdown to the final. It is
    negative if the final came before the shutdown, and ``None`` if no final came.
    ``closed`` is the time in s from the start of the shutdown to the end of the
    session; ``None`` if the session did not end. ``code`` is the close code of the
    server; ``None`` if the server did not close the session.
    """

    label: str
    clip: str
    moment: Moment
    closing: Closing
    final: float | None = None
    closed: float | None = None
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Drain:
    """The result of a drain; all times are in seconds.

    ``sessions`` has the sessions that were open at the stop of the server. ``grace`` is
    the time within which the server must close them. ``stop_seconds`` is how long the
    call that stops the server took; ``None`` if this call had not returned at the end
    of the grace. ``accepted`` is the number of new connections that the server accepted
    after the stop. ``refused_after`` is the time from the stop to the first refused
    connection; ``None`` if none was refused. ``failed`` says, for each session that was
    lost before the stop, why it was lost; these sessions are not judged here.
    """

    sessions: tuple[DrainedSession, ...] = field(repr=False)
    grace: float
    stop_seconds: float | None
    accepted: int = 0
    refused_after: float | None = None
    failed: tuple[str, ...] = ()

    def of(self, moment: Moment) -> tuple[DrainedSession, ...]:
        """Return the sessions whose utterance was in state ``moment`` at the stop."""
        return tuple(each for each in self.sessions if each.moment is moment)

    @property
    def codes(self) -> Mapping[int | None, int]:
        """The number of sessions that the server closed, by close code."""
        closed = (Closing.LAWFUL, Closing.ERROR)
        return Counter(each.code for each in self.sessions if each.closing in closed)

    @property
    def seconds(self) -> float | None:
        """The time in s from the stop of the server to the end of the last session.

        ``None`` if a session was still open at the end of the grace.
        """
        ends = [each.closed for each in self.sessions]
        known = [each for each in ends if each is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def faults(self) -> Mapping[Fault, int]:
        """The number of sessions by fault; empty if the drain passes."""
        complete = self.of(Moment.COMPLETE)
        closings = Counter(each.closing for each in self.sessions)
        counts = {
            Fault.LOST_FINAL: sum(each.final is None for each in complete),
            Fault.BROKEN: closings[Closing.BROKEN],
            Fault.WRONG_CODE: closings[Closing.ERROR],
            Fault.STILL_OPEN: closings[Closing.OPEN],
            Fault.NONE_COMPLETE: 0 if complete else max(1, len(self.sessions)),
        }
        return {fault: count for fault, count in counts.items() if count}

    @property
    def verdict(self) -> Verdict:
        """The verdict of the drain.

        ``FAIL`` if an utterance that was complete got no final, if a connection broke,
        if a connection was closed with a code that is not valid at a stop, or if a
        connection was still open at the end of the grace. Otherwise ``INCONCLUSIVE``
        if no complete utterance was waiting for its final at the stop.
        """
        faults = self.faults
        if faults.keys() - {Fault.NONE_COMPLETE}:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if faults else Verdict.PASS


def drained(timeline: Timeline, *, stop: int, label: str, clip: str) -> DrainedSession:
    """Return the result of a session from the timeline of its only utterance.

    ``stop`` is the time of the stop in ns on the clock of the timeline. ``label`` names
    the session in reports, and ``clip`` is the id of its utterance.
    """
    end, final, done = timeline.end, timeline.final, complete(timeline)
    if final is not None and final.at <= stop:
        moment = Moment.ANSWERED
    elif done is not None and done <= stop:
        moment = Moment.COMPLETE
    else:
        moment = Moment.SPEAKING
    how = _closing(end)
    return DrainedSession(
        label=label,
        clip=clip,
        moment=moment,
        closing=how,
        final=None if final is None else (final.at - stop) / 1e9,
        closed=None if how is Closing.OPEN else (end.at - stop) / 1e9,
        code=end.code if end.how is Ending.CLOSED_BY_PEER else None,
    )


def complete(timeline: Timeline) -> int | None:
    """Return the time in ns at which the server knew that the audio was complete.

    This is the time of the client's commit. If the server itself detects the end of
    speech, it is the time of the server's first report of such an end. Returns
    ``None`` if there was neither.
    """
    if timeline.commit is not None:
        return timeline.commit.sent
    return timeline.endpoints[0].at if timeline.endpoints else None


def _closing(end: End) -> Closing:
    match end.how:
        case Ending.CLOSED_BY_PEER:
            return Closing.LAWFUL if end.code in LAWFUL else Closing.ERROR
        case Ending.BROKEN | Ending.LIMIT | Ending.REFUSED:
            return Closing.BROKEN
        case _:
            return Closing.OPEN
