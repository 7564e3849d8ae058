"""Checks of connections: handshakes, ids, pings, closes, and the server's process."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pytest_realtime_asr.requirements.checks.combinators import (
    absent,
    any_session,
    by_hand,
    first_at,
    first_unsatisfied,
    opened,
    per_session,
    server_sent,
    why,
)
from pytest_realtime_asr.requirements.checks.finals import finishes
from pytest_realtime_asr.requirements.checks.refusals import (
    answers_by_hand,
    beside_plain,
)
from pytest_realtime_asr.requirements.checks.timing import LATE
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.records import Ending, Ping, Sender

_NONE_OPENED = Undecided(
    "no other session could be opened, so this refusal proves nothing"
)


# The handshake


def handshake_refused(
    role: str,
    statuses: Collection[int],
    *,
    without: str,
    codes: Collection[int] = (),
) -> Check:
    """Return a check that the server refuses to open the sessions of a role.

    A refusal is a handshake that is answered by one of the HTTP ``statuses``, or a
    session that the server closes with one of the close ``codes`` after the WebSocket
    is open. If there is no session of the role, the check is undecided; ``without`` is
    the reason. The check is also undecided if the server accepted no session of another
    role, since the refusals of a server that refuses everything prove nothing.
    """
    by_status = ", ".join(map(str, sorted(statuses)))
    by_code = ", ".join(map(str, sorted(codes)))

    def refused(part: Part) -> Outcome:
        end = part.trace.end
        if part.trace.opened is not None:
            if not codes:
                return Violated(
                    "the server opened the session; it must refuse the handshake", ()
                )
            if _closed_with(part, codes):
                return Satisfied()
            ended = end.how is not Ending.CLOSED_BY_US
            return Violated(
                "the server opened the session and did not close it with an expected "
                f"code ({by_code})" + (f": {why(part)}" if ended else ""),
                (),
                by_end=ended,
            )
        if end.code is None:
            return Undecided(f"the handshake was not answered: {why(part)}")
        if end.code not in statuses:
            wanted = f"the expected statuses are {by_status}"
            if not statuses:
                wanted = f"the expected close codes are {by_code}"
            return Violated(
                f"the handshake was refused by HTTP {end.code}; {wanted}", ()
            )
        return Satisfied()

    def check(evidence: Evidence) -> Outcome:
        parts = evidence.role(role)
        if not parts:
            return Undecided(without)
        for part in parts:
            match refused(part):
                case Violated() as outcome:
                    return replace(outcome, part=evidence.index(part))
                case Undecided() as outcome:
                    return outcome
        kept = any(
            part.trace.opened is not None and not _closed_with(part, codes)
            for part in evidence.parts
            if part.role != role
        )
        return Satisfied() if kept else _NONE_OPENED

    return check


def _closed_with(part: Part, codes: Collection[int]) -> bool:
    """Return whether the server closed a session with one of these codes."""
    end = part.trace.end
    return end.how is Ending.CLOSED_BY_PEER and end.code in codes


def plain_http_refused(role: str) -> Check:
    """Return a check that plain HTTP is answered by a status of a client error (4xx).

    The check is undecided if the server opened no session, since such a server may
    answer 404 to any path.
    """

    def check(evidence: Evidence) -> Outcome:
        for answer in evidence.answers:
            if answer.role != role:
                continue
            if 400 <= answer.status < 500:
                return Satisfied() if opened(evidence) else _NONE_OPENED
            given = f"HTTP {answer.status}" if answer.status else answer.body
            return Violated(
                f"plain HTTP got {given}; the expected answer is a client error (4xx)",
                (),
            )
        return Undecided("no plain HTTP request was sent")

    return check


# Ids, pings and closes


def unique_ids(*roles: str) -> Check:
    """Return a check that each session has an id of its own."""

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        seen = set()
        for part in evidence.role(*roles):
            name = part.timeline.session
            if name in seen:
                return Violated(
                    f"two sessions have the id {name!r}; each session must have its "
                    "own id",
                    (),
                    evidence.index(part),
                )
            if name:
                seen.add(name)
        if len(seen) < 2:
            return Undecided("fewer than two sessions have an id")
        return Satisfied()

    return check


def pongs(*roles: str) -> Check:
    """Return a check that each ping is answered in time."""

    def check(part: Part) -> Outcome | None:
        unanswered = (ping for ping in part.trace.pings if ping.answered is None)
        if ping := next(unanswered, None):
            return _unanswered(part, ping)
        return Satisfied() if part.trace.pings else None

    return any_session(check, *roles, nothing="no ping was sent")


def _unanswered(part: Part, ping: Ping) -> Outcome:
    """Return a violation for an unanswered ping, or an undecided outcome.

    The outcome is undecided if the client or the end of the session may be the cause.
    """
    late = max(part.trace.lag.late, default=0) / 1e9
    if late > LATE:
        return Undecided(
            f"the client itself was up to {late:.1f} s late, so the client may "
            "have missed the answer"
        )
    gone = part.trace.end.how in (Ending.CLOSED_BY_PEER, Ending.BROKEN)
    sent_later = any(
        record.sender is Sender.SERVER and record.at >= ping.sent
        for record in part.trace.records
    )
    if gone and not sent_later:
        return Undecided(f"the session ended before the answer: {why(part)}")
    return Violated("a ping was not answered in time", first_at(part, ping.sent))


def close_answered(role: str) -> Check:
    """Return a check that the server answers a close frame by a close frame."""

    def check(part: Part) -> Outcome:
        end = part.trace.end
        if end.how is not Ending.CLOSED_BY_US:
            return Undecided(f"the client did not close the session: {why(part)}")
        if end.code is None:
            return Violated("the client's close frame was not answered", ())
        return Satisfied()

    return per_session(check, role, fold=first_unsatisfied)


def refused_or_closed(role: str, codes: Collection[int]) -> Check:
    """Return a check that a frame written by hand is answered by an error or a close.

    ``codes`` are the close codes that are allowed.
    """
    wanted = ", ".join(map(str, sorted(codes)))

    def check(part: Part, plain: Sequence[Part]) -> Outcome:
        end = part.trace.end
        # The server may close while the client still sends the frame. The frame is
        # taken for the cause if it was sent or the code says that it is too big, and
        # if the server had sent anything before, in this session or in a plain one.
        caused = by_hand(part) or end.code == 1009
        closed = end.how is Ending.CLOSED_BY_PEER and end.code in codes
        if closed and caused and any(map(server_sent, (part, *plain))):
            return Satisfied()
        if closed:
            return Undecided(f"there may be another reason why {why(part)}")
        if not by_hand(part):
            return Undecided(f"the frame was not sent completely: {why(part)}")
        if answers_by_hand(part, plain):
            return Satisfied()
        if end.how is Ending.CANCELLED:
            return Undecided(why(part))
        ignored = end.how is Ending.CLOSED_BY_US
        ended = "" if ignored else f": {why(part)}"
        return Violated(
            "the frame was answered neither by an error nor by a close with one of the "
            f"codes {wanted}{ended}",
            (),
            by_end=not ignored,
        )

    return beside_plain(check, role, fold=first_unsatisfied)


def explained_end(part: Part) -> Outcome | None:
    """Check that the server gives a reason when it ends this session.

    The result is ``None`` if the session was not opened.
    """
    end, trace = part.trace.end, part.trace
    if trace.opened is None:
        return None
    bare = end.how is Ending.BROKEN and end.code is None
    if end.how is Ending.CLOSED_BY_PEER and end.code in (1006, 1011):
        bare = True
    if bare and not part.timeline.refusals:
        return Violated(
            f"the server sent no error before the session ended: {why(part)}",
            (),
            by_end=True,
        )
    return Satisfied()


explained_close = any_session(explained_end, nothing="no session was opened")
"""A check that the server gives a reason when it ends a session.

A close frame counts as a reason, unless its code is 1006 or 1011. Before a close with
one of these two codes, and before a connection breaks off, the server must send an
error.
"""


# The server's process


def freed(role: str, gauge: str) -> Check:
    """Return a check that a gauge of the server falls when sessions are abandoned.

    The gauge counts open sessions or running requests, and may include those of other
    clients. The requirement is violated if every later value exceeds the first value by
    at least the number of abandoned sessions.
    """

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, role):
            return missing
        counts = [
            each.values[gauge] for each in evidence.gauges if gauge in each.values
        ]
        if len(counts) < 2:
            return Undecided(f"/metrics of the server does not show {gauge}")
        before, after = counts[0], min(counts[1:])
        left = sum(part.trace.opened is not None for part in evidence.role(role))
        if after - before >= left:
            return Violated(
                f"{gauge} was {before:g} and is {after:g} after {left} sessions were "
                "abandoned; the server must free them",
                (),
            )
        return Satisfied()

    return check


def same_process(evidence: Evidence) -> Outcome:
    """Check that the server's process is the same from the first session to the last.

    Several processes may answer in turn. The server was restarted if every process seen
    after a scenario is younger than every process seen before it. A server that stops
    answering is no violation if a process that was seen before answers later.
    """
    seen: list[tuple[float, str]] = []
    lost: Gauges | None = None
    for gauges in evidence.gauges:
        if gauges.lost:
            lost = lost or gauges
            continue
        now = gauges.values.get("process_start_time_seconds")
        if now is None:
            continue
        if now in [started for started, _ in seen]:
            lost = None
        seen.append((now, gauges.after))
    if lost is not None:
        return Violated(
            f"the server stopped answering after {lost.after}: {lost.lost}", ()
        )
    for at in range(1, len(seen)):
        if min(seen[at:])[0] > max(seen[:at])[0]:
            return Violated(f"the server was restarted in or after {seen[at][1]}", ())
    return finishes("last")(evidence)
