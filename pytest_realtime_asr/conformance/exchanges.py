"""Makes exchanges: a few frames of a session that show a requirement met or violated.

The self-test judges each requirement twice: on the correct fake server, and on a fake
server with a fault that violates the requirement. An exchange has at most `MOST` frames
of a session of the self-test. Times are left out, and short names replace ids and
audio. Of consecutive frames of the same kind, such as audio, only the first is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from pytest_realtime_asr.conformance.frame_texts import (
    LONGEST_RAW,
    NOW,
    FrameTexts,
    beginning,
)
from pytest_realtime_asr.conformance.results import Result
from pytest_realtime_asr.conformance.selftest import Bench, Seen, observe_faults
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.reference import Documented
from pytest_realtime_asr.requirements.requirement import REAL_TIME, Proof
from pytest_realtime_asr.trace.records import Ending, Record, Sender
from pytest_realtime_asr.trace.timeline import Final

MOST = 8  # frames of an exchange
_AFTER = 2  # frames that are kept after the first frame that violates
_DELTA = ".delta"  # ends the types of events that add text
_DISTURBED = ("bystander", "crowd", "fresh", "random")
_STOPPED = "the server stopped answering"
_PROCESS = "process_start_time_seconds"


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One frame of an exchange.

    ``more`` says that frames of the same kind follow this frame and are left out.
    ``wrong`` says that this frame violates the requirement. ``session`` is the number
    of the session if the exchange has frames of several sessions.
    """

    sender: Sender
    text: str
    more: bool = False
    wrong: bool = False
    session: int = 0


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some frames of a session, or of several sessions.

    ``late`` says that earlier frames of the session are left out. ``end`` says how the
    session ended, if the exchange includes the end. ``seen`` is the check's message
    about the violation.
    """

    scenario: str
    frames: tuple[Frame, ...]
    late: bool = False
    end: str = ""
    seen: str = ""


class Pair(msgspec.Struct, frozen=True):
    """An exchange that meets a requirement, and an exchange that violates it."""

    right: Exchange
    wrong: Exchange


def dumps(found: Mapping[str, Pair]) -> str:
    """Return JSON Lines; each line has the id of a requirement and its exchanges."""
    lines = (
        msgspec.json.encode({"id": id, "right": each.right, "wrong": each.wrong})
        for id, each in found.items()
    )
    return "".join(f"{line.decode()}\n" for line in lines)


class _Line(msgspec.Struct):
    id: str
    right: Exchange
    wrong: Exchange


def loads(text: str) -> Mapping[str, Pair]:
    """Return the exchanges in a text that `dumps` returned, by requirement id."""
    lines = [msgspec.json.decode(each, type=_Line) for each in text.splitlines()]
    return {each.id: Pair(each.right, each.wrong) for each in lines}


def pairs(bench: Bench, ids: Iterable[str]) -> Mapping[str, Pair]:
    """Run the self-test and return the exchanges of these requirements by id.

    The audio for the correct fake server is sent in real time, so that few frames of
    the two sides cross on the wire. A requirement has no exchanges if the faulty server
    did not violate it in this run, which can happen on a busy machine.
    """
    wanted = list(ids)
    correct = bench.observe(wanted, Proof((), pace=REAL_TIME))()
    faulty = observe_faults(bench, wanted)
    return {
        id: pair(bench.dialect, id, correct[id], faulty[id])
        for id in wanted
        if faulty[id].result.session is not None
    }


def pair(dialect: Dialect, id: str, correct: Seen, faulty: Seen) -> Pair:
    """Return the right and the wrong exchange of the requirement with this id.

    ``correct`` has the result with the correct fake server, and ``faulty`` has the
    result with a faulty fake server. Raises LookupError if no session violates the
    requirement.
    """
    ours, theirs = correct.evidence, faulty.evidence
    broken = faulty.result.session
    reason = faulty.result.reason or ""
    if broken is None:
        raise LookupError(f"no session violates {id}: {reason}")
    sound = _counterpart(broken, theirs, ours)
    subjects = _subjects(dialect, id)
    found = None
    if not faulty.result.records and not faulty.result.by_end:
        found = (
            _requests(ours, theirs)
            or _gauges(ours, theirs, reason)
            or _openings(ours, theirs, reason)
        )
    right, wrong = found or _sessions(sound, broken, faulty.result, subjects)
    seen = FrameTexts(broken, subjects).sentence(reason)
    return Pair(right, msgspec.structs.replace(wrong, seen=seen))


def unseen(
    kept: Pair, dialect: Dialect, id: str, correct: Seen, faulty: Seen
) -> list[str]:
    """Return the texts of the stored frames that this self-test did not produce.

    The stored frames are those of ``kept``. Each must occur in a session with the same
    role. For a client's frame, a session with the correct fake server is enough, since
    a faulty one may close its session before the client sends this frame. Deltas,
    the times of turns and the numbers of items are not compared, since they differ from
    run to run. Exchanges of a session that other sessions disturb are not compared
    either.
    """
    again = pair(dialect, id, correct, faulty)
    subjects = _subjects(dialect, id)
    found: list[str] = []
    for exchange, new, evidence in (
        (kept.right, again.right, correct.evidence),
        (kept.wrong, again.wrong, faulty.evidence),
    ):
        if exchange.scenario in _DISTURBED:
            continue
        left = {
            _timeless(frame.text)
            for frame in exchange.frames
            if f'{_DELTA}"' not in frame.text
        }
        left -= {_timeless(frame.text) for frame in new.frames}
        for part in evidence.role(exchange.scenario):
            if left:
                left -= set(_shown(part, subjects))
        for part in correct.evidence.role(exchange.scenario):
            if left:
                left -= set(_shown(part, subjects, {Sender.CLIENT}))
        found += sorted(left)
    return found


def _shown(
    part: Part, subjects: frozenset[str], senders: Collection[Sender] = tuple(Sender)
) -> Iterator[str]:
    """Yield all texts with which an exchange may show the frames of these senders."""
    names = FrameTexts(part, subjects)
    for record in part.trace.records:
        if record.sender not in senders:
            continue
        for whole in (False, True):
            yield _timeless(names.shown(record, whole=whole))


def _timeless(text: str) -> str:
    """Return the text of a frame; item numbers and the times of turns become 0.

    An item gets its number with its first text. In some runs, the client clears its
    audio shortly before this text, in other runs shortly after it. The number therefore
    differs between runs.
    """
    return re.sub(r"(_ms\":|\"item_)\d+", r"\g<1>0", text)


def _subjects(dialect: Dialect, id: str) -> frozenset[str]:
    """Return the names of the top-level fields that a requirement is about."""
    if not isinstance(dialect, Documented):
        return frozenset()
    fields = dialect.reference.fields.get(id, ())
    return frozenset(each.path.partition(".")[0] for each in fields)


def _counterpart(broken: Part, theirs: Evidence, ours: Evidence) -> Part:
    """Return the session with the correct fake server that corresponds to ``broken``.

    The session has the same role, and the same position among the sessions with this
    role.
    """
    place = next(
        (i for i, part in enumerate(theirs.role(broken.role)) if part is broken), 0
    )
    same = ours.role(broken.role) or ours.parts
    return same[min(place, len(same) - 1)]


def _sessions(
    sound: Part, broken: Part, result: Result, subjects: frozenset[str]
) -> tuple[Exchange, Exchange]:
    """Return the exchanges of a correct and of a violating session.

    The exchange of the violating session has the frames that show the violation. The
    exchange of the correct session has the corresponding frames. If the requirement
    is about a field of a frame, pings and the close are left out.
    """
    marked = frozenset(result.records) or _quoted(broken, result.reason or "")
    pings = any(ping.answered is None for ping in broken.trace.pings)
    rows = _rows(broken, marked, pings=pings and not subjects)
    others = _rows(sound, frozenset(), pings=pings and not subjects)
    window = _window(rows, by_end=result.by_end)
    aligned = _aligned(rows, window, others)
    right = _exchange(sound, others, aligned, FrameTexts(sound, subjects))
    wrong = _exchange(broken, rows, window, FrameTexts(broken, subjects))
    ends = {each.trace.end.how for each in (sound, broken)}
    if Ending.REFUSED in ends:
        right, wrong = _with_handshake(right, sound), _with_handshake(wrong, broken)
    end = broken.trace.end
    if end.how is Ending.CLOSED_BY_US and end.reason and not subjects:
        right, wrong = _with_close(right, sound), _with_close(wrong, broken)
    if (result.reason or "").startswith(_STOPPED):
        wrong = msgspec.structs.replace(wrong, end=_STOPPED)
    return right, wrong


# The rows of a session


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of an exchange: one frame, or several frames of the same kind.

    Of several frames, the row shows only the first.
    """

    sender: Sender
    kind: str
    record: Record
    more: bool = False
    wrong: bool = False
    final: bool = False
    note: str = ""

    @property
    def control(self) -> bool:
        """Whether the row is a client's frame without audio."""
        return self.sender is Sender.CLIENT and self.record.span is None


def _rows(part: Part, marked: frozenset[int], *, pings: bool) -> list[_Row]:
    """Return the rows of a session.

    Of consecutive frames with audio, only the first is a row; the same applies to
    consecutive deltas. Every other frame is a row. ``marked`` are the indexes of the
    wrong frames; a wrong frame is always a row. If ``pings`` is true, the first ping of
    the session is also a row.
    """
    finals = {event.at for event in part.timeline.events if isinstance(event, Final)}
    rows: list[_Row] = []
    places: dict[str, int] = {}  # of each kind since the last frame of another kind
    for index, record in enumerate(part.trace.records):
        kind = part.recording.messages[index].move
        wrong = index in marked
        streamed = record.span is not None or kind.endswith(_DELTA)
        if not streamed:
            places = {}
        elif kind in places and not wrong:
            place = places[kind]
            rows[place] = replace(rows[place], more=True)
            continue
        else:
            places.setdefault(kind, len(rows))
        final = record.sender is Sender.SERVER and record.at in finals
        rows.append(_Row(record.sender, kind, record, False, wrong, final))
    for ping in part.trace.pings[:1] if pings else ():
        place = sum(row.record.at < ping.sent for row in rows)
        answered = ping.answered is not None
        note = "a ping, which is answered" if answered else "a ping, never answered"
        record = Record(Sender.CLIENT, ping.sent, data=b"")
        row = _Row(Sender.CLIENT, "ping", record, wrong=not answered, note=note)
        rows = [replace(each, wrong=False) for each in rows]
        rows.insert(place, row)
    return rows


def _quoted(part: Part, reason: str) -> frozenset[int]:
    """Return a set with the index of the first record that the reason quotes.

    The set is empty if the reason quotes no record.
    """
    records = list(enumerate(part.trace.records))
    finals = [each for each in part.timeline.events if isinstance(each, Final)]
    for quoted in re.findall(r"'([^']*)'", reason):
        times = {each.at for each in finals if each.text == quoted}
        whole = [i for i, record in records if _answers(record) and record.at in times]
        needle = json.dumps(quoted, ensure_ascii=False)
        parts = [i for i, record in records if quoted and needle in _answers(record)]
        if found := whole or parts:
            return frozenset(found[:1])
    return frozenset()


def _answers(record: Record) -> str:
    """Return the text of a server's frame, or "" for a client's frame."""
    return (record.text or "") if record.sender is Sender.SERVER else ""


def _window(rows: Sequence[_Row], *, by_end: bool) -> slice:
    """Return the slice of the rows that show a violation, at most `MOST` rows.

    If ``by_end`` is true, these are the last rows of the session. Otherwise, they are
    the rows around the first wrong row. If no row is wrong, they are the rows up to the
    first final. If there is also no final, they are the last rows.
    """
    marks = [place for place, row in enumerate(rows) if row.wrong]
    finals = [place for place, row in enumerate(rows) if row.final]
    stop = len(rows)
    if not by_end and marks:
        stop = min(stop, marks[0] + 1 + _AFTER)
    elif not by_end and finals:
        stop = max(finals[0] + 1, min(stop, MOST))
    return slice(max(0, stop - MOST), stop)


def _aligned(rows: Sequence[_Row], window: slice, others: Sequence[_Row]) -> slice:
    """Return the slice of ``others`` that corresponds to the ``window`` of ``rows``.

    ``rows`` are the rows of a violating session, and ``others`` are the rows of a
    correct session. Two rows correspond if the client has sent the same number of
    frames without audio before each of them. Before the first wrong row, the client has
    sent a last frame without audio; the slice includes all answers to this frame. The
    slice also includes the next final if a wrong row is a final, or if ``rows`` has
    fewer finals than ``others``.
    """
    marks = [i for i in range(window.start, window.stop) if rows[i].wrong]
    anchor = marks[0] if marks else window.stop - 1
    before = sum(row.control for row in rows[: window.start])
    until = sum(row.control for row in rows[: anchor + 1])
    controls = [place for place, row in enumerate(others) if row.control]
    start = 0 if not before else controls[min(before, len(controls)) - 1] + 1
    answered = controls[until] if until < len(controls) else len(others)
    stop = max(start + window.stop - window.start, answered)
    finals = [place for place, row in enumerate(others) if row.final]
    judged = any(row.final and row.wrong for row in rows[window])
    if judged or len(finals) > sum(row.final for row in rows):
        base = controls[min(until, len(controls)) - 1] if until and controls else 0
        stop = max(stop, next((i + 1 for i in finals if i >= base), stop))
    stop = min(stop, len(others))
    return slice(max(0, stop - MOST), stop)


def _exchange(
    part: Part, rows: Sequence[_Row], window: slice, names: FrameTexts
) -> Exchange:
    """Return the rows in ``window`` as an exchange."""
    frames = [
        Frame(
            row.sender,
            row.note or names.shown(row.record, whole=row.wrong),
            row.more,
            row.wrong,
        )
        for row in rows[window]
    ]
    end = _end(part) if window.stop == len(rows) else ""
    return Exchange(part.role, tuple(frames), late=window.start > 0, end=end)


def _end(part: Part) -> str:
    """Return a text about the end of a session, or "" if the client closed it."""
    end = part.trace.end
    reason = f": {beginning(end.reason, LONGEST_RAW)}" if end.reason else ""
    match end.how:
        case Ending.CLOSED_BY_PEER:
            return f"the server closes the connection {end.coded}{reason}"
        case Ending.BROKEN:
            return "the connection breaks off"
        case Ending.DEADLINE:
            return "nothing more comes"
    return ""


def _with_handshake(exchange: Exchange, part: Part) -> Exchange:
    """Return the exchange with the handshake before its frames."""
    refused = part.trace.end.how is Ending.REFUSED
    status = part.trace.end.code if refused else 101
    handshake = (
        Frame(Sender.CLIENT, "asks for a WebSocket"),
        Frame(Sender.SERVER, f"HTTP {status}", wrong=not refused),
    )
    frames = (*handshake, *exchange.frames)[:MOST]
    return msgspec.structs.replace(exchange, frames=frames)


def _with_close(exchange: Exchange, part: Part) -> Exchange:
    """Return the exchange; its end says whether the close frame was answered."""
    end = "the client closes the connection; its close frame is "
    end += "never answered" if part.trace.end.reason else "answered by a close frame"
    return msgspec.structs.replace(exchange, end=end)


# Exchanges of another form


def _requests(ours: Evidence, theirs: Evidence) -> tuple[Exchange, Exchange] | None:
    """Return the exchanges of a plain HTTP request; ``None`` if no request was sent."""
    if not (ours.answers and theirs.answers):
        return None
    right, wrong = ours.answers[0], theirs.answers[0]
    asked = Frame(Sender.CLIENT, "GET, without an upgrade to a WebSocket")
    answers = [
        Frame(Sender.SERVER, f"HTTP {each.status}", wrong=each is wrong)
        for each in (right, wrong)
    ]
    return Exchange(right.role, (asked, answers[0])), Exchange(
        wrong.role, (asked, answers[1])
    )


def _gauges(
    ours: Evidence, theirs: Evidence, reason: str
) -> tuple[Exchange, Exchange] | None:
    """Return exchanges that show a value of ``/metrics`` before and after a scenario.

    The value is the one that the reason names, or the start time of the server's
    process if the reason names no value. Return ``None`` if the value has not changed.
    """
    seen = {name for each in theirs.gauges for name in each.values}
    name = next((each for each in sorted(seen) if each in reason), _PROCESS)
    having = [each for each in theirs.gauges if name in each.values]
    changed = [each for each in having if each.values[name] != having[0].values[name]]
    if not changed:
        return None
    first = having[0]
    before, after = first.values[name], changed[-1].values[name]
    base = 0.0
    if name == _PROCESS:
        base, after = before - NOW, before + round(after - before) + 60

    def shown(value: float, *, wrong: bool = False) -> Frame:
        text = f"{name} {value - base:g}" if not base else f"{name} {value - base:.0f}"
        return Frame(Sender.SERVER, text, wrong=wrong)

    role = changed[-1].after
    asked = Frame(Sender.CLIENT, "GET /metrics, before")
    again = Frame(Sender.CLIENT, f"GET /metrics, after the scenario {role}")
    return (
        Exchange(role, (asked, shown(before), again, shown(before))),
        Exchange(role, (asked, shown(before), again, shown(after, wrong=True))),
    )


def _openings(
    ours: Evidence, theirs: Evidence, reason: str
) -> tuple[Exchange, Exchange] | None:
    """Return exchanges with the first frames of two sessions.

    One exchange has the two violating sessions, whose ids the reason quotes. The other
    exchange has two sessions with the correct fake server, in the same roles. Return
    ``None`` if the reason does not quote the ids of two sessions.
    """
    ids = re.findall(r"'([^']+)'", reason)
    wrong = [part for part in theirs.parts if part.timeline.session in ids][:2]
    right = ours.role(*{part.role for part in wrong})[:2]
    if len(wrong) < 2 or len(right) < 2:
        return None
    return _opening(right), _opening(wrong, wrong=True)


def _opening(parts: Sequence[Part], *, wrong: bool = False) -> Exchange:
    """Return an exchange with the first frame of each session."""
    names = FrameTexts(parts[0], frozenset({"session"}))
    frames = [
        Frame(
            part.trace.records[0].sender,
            names.shown(part.trace.records[0]),
            wrong=wrong and place > 0,
            session=place + 1,
        )
        for place, part in enumerate(parts)
    ]
    return Exchange(parts[0].role, tuple(frames))
