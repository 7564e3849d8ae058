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
from dataclasses import dataclass
from typing import Protocol

from pytest_realtime_asr.trace import Sender, Trace, Vantage


class Level(enum.Enum):
    """How binding a requirement is."""

    MUST = "must"
    SHOULD = "should"


class Message(Protocol):
    """A frame as its dialect understands it."""

    @property
    def move(self) -> str:
        """The name under which the table of orders knows it."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A trace and, for each of its records, what the dialect reads in it."""

    trace: Trace
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Satisfied:
    """The requirement was put to the test and met."""


@dataclass(frozen=True, slots=True)
class Violated:
    """The requirement was broken by the records with these indexes."""

    message: str
    records: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """The session does not show whether the requirement is met."""

    reason: str


Outcome = Satisfied | Violated | Undecided
Judge = Callable[[Observation], Outcome]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a server has to do, and how a recorded session shows it.

    ``clause`` says where the requirement comes from. ``blames`` is the side that it
    binds.
    """

    id: str
    title: str
    level: Level
    clause: str
    judge: Judge
    blames: Sender = Sender.SERVER


@dataclass(frozen=True, slots=True)
class Violation:
    """A requirement that a session broke: how often, and one example."""

    requirement: Requirement
    message: str
    count: int
    record: int | None

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        level = self.requirement.level.name
        return f"{self.requirement.id} [{level}]: {self.message}{times}"


def observe(
    requirements: Iterable[Requirement], observation: Observation
) -> tuple[Violation, ...]:
    """What the peer of whoever recorded the session broke, in the given order."""
    peer = _peer(observation.trace)
    violations = []
    for requirement in requirements:
        if requirement.blames is not peer:
            continue
        outcome = requirement.judge(observation)
        if isinstance(outcome, Violated):
            first = outcome.records[0] if outcome.records else None
            count = max(1, len(outcome.records))
            violations.append(Violation(requirement, outcome.message, count, first))
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
    # A move that changes no state need not be counted: whether the peer has heard it
    # makes no difference, and a long session has thousands of them.
    telling = {
        sender: {
            move
            for state, moves in states.items()
            for move, followers in moves.items()
            if followers != (state,)
        }
        for sender, states in table.items()
    }

    def judge(observation: Observation) -> Outcome:
        trace = observation.trace
        peer = _peer(trace)
        us = Sender.CLIENT if peer is Sender.SERVER else Sender.SERVER
        said: list[str] = []  # our telling moves, which the peer hears in this order
        possible = {(start, 0)}
        stray = False
        wrong: list[int] = []
        judged = False
        for index, record in enumerate(trace.records):
            move = observation.messages[index].move
            if record.sender is us:
                if move in telling[us]:
                    said.append(move)
                states = {state for state, _ in _heard(table[us], possible, said)}
                legal = any(move in table[us].get(state, {}) for state in states)
                stray |= record.raw and not legal
                continue
            if move not in known[peer]:
                continue
            judged = True
            reach = _heard(table[us], possible, said)
            after = {
                (follower, heard)
                for state, heard in reach
                for follower in table[peer].get(state, {}).get(move, ())
            }
            if not after:
                wrong.append(index)
            possible = after or reach
        if not judged:
            return Undecided(f"the {peer.value} said nothing that has an order")
        if not wrong:
            return Satisfied()
        if stray:
            return Undecided("a frame written by hand had left the order before")
        move = observation.messages[wrong[0]].move
        return Violated(f"{move} came out of turn", tuple(wrong))

    return judge


def _heard(
    moves: Mapping[str, Mapping[str, tuple[str, ...]]],
    possible: set[tuple[str, int]],
    said: list[str],
) -> set[tuple[str, int]]:
    """All (state, number of our moves heard) that may hold by now."""
    reach = set(possible)
    fresh = list(possible)
    while fresh:
        state, heard = fresh.pop()
        if heard == len(said):
            continue
        for follower in moves.get(state, {}).get(said[heard], (state,)):
            pair = (follower, heard + 1)
            if pair not in reach:
                reach.add(pair)
                fresh.append(pair)
    return reach


def _peer(trace: Trace) -> Sender:
    return Sender.SERVER if trace.vantage is Vantage.CLIENT else Sender.CLIENT
