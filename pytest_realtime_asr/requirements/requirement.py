"""Requirements on a session and their judges: pure functions of what was recorded.

A judge answers *satisfied*, *violated* (with the offending records) or *undecided*
(with the reason): a session that we cut short says nothing about what would have come.

Frames cross on the wire. Whoever recorded a session knows the order in which he sent
and received, and not the order in which the peer heard and sent: an answer may belong
to any moment between the last frame that the peer surely had heard and the last one
that had left. `order` therefore keeps the set of all states that are possible and
blames the peer only for a move that is legal in none of them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from packaging.version import Version

from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.text.number_format import shortened
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender, Trace, Vantage


class Level(enum.Enum):
    """How binding a requirement is; INFO tells how a server is, and blames it not."""

    MUST = "must"
    SHOULD = "should"
    INFO = "info"


class Harm(enum.Enum):
    """What a scenario may do to a server and to those who use it.

    HEAVY floods it or opens four streams or more; DISRUPTIVE is what has brought
    servers down.
    """

    SAFE = "safe"
    HEAVY = "heavy"
    DISRUPTIVE = "disruptive"


@dataclass(frozen=True, slots=True)
class Satisfied:
    """The requirement was put to the test and met."""


@dataclass(frozen=True, slots=True)
class Violated:
    """The requirement was broken by the records with these indexes.

    They are records of the session at the place ``part`` of the evidence. The first
    paragraph of the message is shortened: what a server said in it may be long.
    """

    message: str
    records: tuple[int, ...]
    part: int = 0

    def __post_init__(self) -> None:
        said, gap, rest = self.message.partition("\n\n")
        object.__setattr__(self, "message", f"{shortened(said)}{gap}{rest}")


@dataclass(frozen=True, slots=True)
class Undecided:
    """The session does not show whether the requirement is met."""

    reason: str


Outcome = Satisfied | Violated | Undecided
Judge = Callable[[Recording], Outcome]
Trial = Callable[[Evidence], Outcome]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a server has to do, and how what was recorded shows it.

    ``clause`` says where the requirement comes from. ``blames`` is the side that it
    binds. It holds for the versions from ``since`` to before ``until``, where these are
    not empty. ``scenarios`` provoke it; one that is ``passive`` needs none, and holds
    for every session of every test.
    """

    id: str
    title: str
    level: Level
    clause: str
    judge: Trial
    blames: Sender = Sender.SERVER
    scenarios: tuple[str, ...] = ()
    passive: bool = False
    since: str = ""
    until: str = ""

    def holds(self, version: str) -> bool:
        """Whether a server of this version is bound; an unknown one counts as newest.

        What comes after a release (``0.33.1.dev5+g1a2b3c``) is compared as it is.
        """
        try:
            given = Version(version)
        except ValueError:  # not a version, or one of too many digits
            return not self.until
        if self.since and given < Version(self.since):
            return False
        return not self.until or given < Version(self.until)

    @property
    def interval(self) -> str:
        """The versions that it binds, to be read; empty for all."""
        since = f"since {self.since}" if self.since else ""
        until = f"before {self.until}" if self.until else ""
        return " and ".join(filter(None, (since, until)))


@dataclass(frozen=True, slots=True)
class Violation:
    """A requirement that a session broke: how often, and one example.

    With ``ours``, its check failed on this session, which is no fault of the server.
    """

    requirement: Requirement
    message: str
    count: int
    record: int | None
    ours: bool = False

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        kind = "harness error" if self.ours else self.requirement.level.name
        return f"{self.requirement.id} [{kind}]: {self.message}{times}"


def each(judge: Judge) -> Trial:
    """The judge of one session, put to all sessions of the evidence.

    The first that violates decides; else one that satisfies; else all are undecided.
    """

    def trial(evidence: Evidence) -> Outcome:
        found: Outcome = Undecided("no session was held")
        for place, part in enumerate(evidence.parts):
            outcome = judge(part.recording)
            if isinstance(outcome, Violated):
                return replace(outcome, part=place)
            if isinstance(outcome, Satisfied) or not isinstance(found, Satisfied):
                found = outcome
        return found

    return trial


def observe(requirements: Iterable[Requirement], part: Part) -> tuple[Violation, ...]:
    """What the peer of whoever recorded the session broke, in the given order.

    Only requirements that are passive are put to it. The message of a violation may
    quote a text: where texts are private, it is left out.
    """
    peer = _peer(part.trace)
    evidence = Evidence((part,))
    violations = []
    for requirement in requirements:
        if requirement.blames is not peer or not requirement.passive:
            continue
        try:
            outcome = requirement.judge(evidence)
        except Exception as error:  # it takes neither the session nor the other rules
            message = f"the check itself failed, not the server: {error!r}"
            message = part.trace.redactor.message(message)
            violations.append(Violation(requirement, message, 1, None, ours=True))
            continue
        if isinstance(outcome, Violated):
            first = outcome.records[0] if outcome.records else None
            count = max(1, len(outcome.records))
            message = part.trace.redactor.message(outcome.message)
            violations.append(Violation(requirement, message, count, first))
    return tuple(violations)


Table = Mapping[Sender, Mapping[str, Mapping[str, tuple[str, ...]]]]
"""Who may make which move in which state, and the states that may follow."""


def order(table: Table, *, start: str) -> Judge:
    """A judge of the order of the peer's moves, by the table of a dialect.

    The table is ``{sender: {state: {move: next states}}}``; the state is the peer's.
    A move of ours that the table does not know leaves the state as it is, since the
    peer refuses it; what the peer does after such a move is undecided if the frame was
    written by hand. A move of the peer that stands nowhere in the table is not judged.
    A session in which the peer made no move that the table knows is undecided.
    """
    known = {
        sender: {move for moves in states.values() for move in moves}
        for sender, states in table.items()
    }

    def judge(observation: Recording) -> Outcome:
        trace = observation.trace
        peer = _peer(trace)
        course = Course(table, start=start, peer=peer)
        stray = False
        wrong: list[int] = []
        excused = False
        judged = False
        for index, record in enumerate(trace.records):
            move = observation.messages[index].move
            if record.sender is not peer:
                legal = course.say(move)
                stray |= record.raw and not legal
            elif move in known[peer]:
                judged = True
                if course.hear(move):
                    continue
                excused |= stray
                if not stray:
                    wrong.append(index)
        if not judged:
            return Undecided(f"the {peer.value} said nothing that has an order")
        if excused and not wrong:
            return Undecided("a frame written by hand had left the order before")
        if not wrong:
            return Satisfied()
        move = observation.messages[wrong[0]].move
        return Violated(f"{move} came out of turn", tuple(wrong))

    return judge


_IN_A_ROW = 4


class Course:
    """The states in which a peer may be, as a fold over what was said and heard.

    Each goes with the number of our moves that the peer had heard when it came to it.
    Of a move that we make many times in a row, as with each piece of audio, only the
    first `_IN_A_ROW` are counted: who has heard so many may hear any number of it.
    """

    def __init__(self, table: Table, *, start: str, peer: Sender) -> None:
        us = Sender.CLIENT if peer is Sender.SERVER else Sender.SERVER
        self._ours, self._theirs = table[us], table[peer]
        # A move that changes no state need not be counted: whether the peer has heard
        # it makes no difference, and a long session has thousands of them.
        self._telling = {
            move
            for state, moves in self._ours.items()
            for move, followers in moves.items()
            if followers != (state,)
        }
        self._said: list[str] = []  # our telling moves, which the peer hears in order
        self._row = 0  # how often the last of them was said in a row
        self._endless: set[int] = set()  # where the move before may be heard again
        self._possible = {(start, 0)}

    def say(self, move: str) -> bool:
        """Add a move of ours; gives whether it is legal in a state that may hold."""
        if move in self._telling:
            self._row = self._row + 1 if self._said[-1:] == [move] else 1
            if self._row > _IN_A_ROW:
                self._endless.add(len(self._said))
            else:
                self._said.append(move)
        return any(move in self._ours.get(state, {}) for state, _ in self._reach())

    def hear(self, move: str) -> bool:
        """Add a move of the peer; gives whether it is legal in a state that may hold.

        One that is legal in none of them changes none.
        """
        reach = self._reach()
        after = {
            (follower, heard)
            for state, heard in reach
            for follower in self._theirs.get(state, {}).get(move, ())
        }
        self._possible = after or reach
        return bool(after)

    @property
    def settled(self) -> frozenset[str]:
        """The states that may hold once the peer has heard all that we said."""
        said = len(self._said)
        return frozenset(state for state, heard in self._reach() if heard == said)

    def _reach(self) -> set[tuple[str, int]]:
        """All (state, number of our moves heard) that may hold by now."""
        reach = set(self._possible)
        fresh = list(self._possible)
        while fresh:
            state, heard = fresh.pop()
            moves = self._ours.get(state, {})
            after: list[tuple[str, int]] = []
            if heard < len(self._said):
                followers = moves.get(self._said[heard], (state,))
                after += [(follower, heard + 1) for follower in followers]
            if heard in self._endless:
                followers = moves.get(self._said[heard - 1], (state,))
                after += [(follower, heard) for follower in followers]
            for pair in after:
                if pair not in reach:
                    reach.add(pair)
                    fresh.append(pair)
        return reach


def _peer(trace: Trace) -> Sender:
    return Sender.SERVER if trace.vantage is Vantage.CLIENT else Sender.CLIENT
