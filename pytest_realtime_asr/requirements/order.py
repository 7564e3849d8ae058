"""A check of the order in which one side sends events, by tracking possible states.

A *move* is the name of an event in the order: the type of the event, and in some
protocols also a mode.

Frames cross on the wire. The side that records a session knows the order in which it
sent and received frames. It does not know in which order the other side sent and
received frames: when the other side sent an answer, some frames may still have been on
their way to it. So the check tracks every possible state of the other side, and
reports a move only if the move is legal in none of these states.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_realtime_asr.requirements.evidence import observed_side
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender

Table = Mapping[Sender, Mapping[str, Mapping[str, tuple[str, ...]]]]
"""The order of a protocol: ``{sender: {state: {move: next states}}}``."""


def order(table: Table, *, start: str) -> SessionCheck:
    """Return a check of the moves of the side that did not record the session.

    The table has the states of the checked side. If the recording side makes a move
    that the table does not allow, the state does not change, since the checked side
    refuses the move. If such a move was written by hand, later moves of the checked
    side are not judged. A move that is nowhere in the table is not checked. The check
    is undecided for a session without any checked move.
    """
    known = {
        sender: {move for moves in states.values() for move in moves}
        for sender, states in table.items()
    }

    def check(recording: Recording) -> Outcome:
        trace = recording.trace
        side = observed_side(trace)
        states = PossibleStates(table, start=start, of=side)
        left_order = False  # a frame written by hand was not allowed
        wrong: list[int] = []
        excused = False
        checked = False
        for index, record in enumerate(trace.records):
            move = recording.messages[index].move
            if record.sender is not side:
                legal = states.receive(move)
                left_order |= record.raw and not legal
            elif move in known[side]:
                checked = True
                if states.send(move):
                    continue
                excused |= left_order
                if not left_order:
                    wrong.append(index)
        if not checked:
            return Undecided(f"the {side.value} sent no event whose order is checked")
        if excused and not wrong:
            return Undecided(
                "a frame written by hand broke the order, so later events prove nothing"
            )
        if not wrong:
            return Satisfied()
        move = recording.messages[wrong[0]].move
        return Violated(f"{move} came out of order", tuple(wrong))

    return check


def illegal_moves(
    recording: Recording, table: Table, *, start: str
) -> frozenset[tuple[str, str]]:
    """Return the moves of the client that the table does not allow.

    Each is returned as a pair: a state, and a move that is not allowed in this state. A
    move that is nowhere in the table is not returned. The frames are taken in the order
    in which the client sent and received them.
    """
    known = {move for moves in table[Sender.CLIENT].values() for move in moves}
    states = frozenset({start})
    found: set[tuple[str, str]] = set()
    for record, message in zip(
        recording.trace.records, recording.messages, strict=True
    ):
        side, move = table[record.sender], message.move
        after = frozenset(
            follower
            for state in states
            for follower in side.get(state, {}).get(move, ())
        )
        if not after and record.sender is Sender.CLIENT and move in known:
            found.update((state, move) for state in states)
        states = after or states
    return frozenset(found)


_COUNTED_IN_A_ROW = 4


class PossibleStates:
    """The states in which one side of a session may be, computed move by move.

    Each state is stored with the number of moves that this side had received when it
    entered the state. If the same move comes several times in a row, such as a piece of
    audio, only the first `_COUNTED_IN_A_ROW` of these moves are counted. If this
    side may have received all the counted moves, it may also have received any number
    of the uncounted moves.
    """

    def __init__(self, table: Table, *, start: str, of: Sender) -> None:
        recorder = Sender.CLIENT if of is Sender.SERVER else Sender.SERVER
        self._theirs, self._own = table[recorder], table[of]
        # A move that changes no state is not counted: its arrival makes no difference,
        # and a long session has thousands of such moves.
        self._counted = {
            move
            for state, moves in self._theirs.items()
            for move, followers in moves.items()
            if followers != (state,)
        }
        self._on_the_way: list[str] = []  # counted moves, which arrive in this order
        self._in_a_row = 0  # how often the last of these moves came in a row
        self._endless: set[int] = set()  # places after a move that may arrive again
        self._possible = {(start, 0)}

    def receive(self, move: str) -> bool:
        """Add a move that is on its way to this side, and may arrive at any later time.

        Return whether the move is legal in at least one possible state.
        """
        if move in self._counted:
            again = self._on_the_way[-1:] == [move]
            self._in_a_row = self._in_a_row + 1 if again else 1
            if self._in_a_row > _COUNTED_IN_A_ROW:
                self._endless.add(len(self._on_the_way))
            else:
                self._on_the_way.append(move)
        return any(move in self._theirs.get(state, {}) for state, _ in self._reach())

    def send(self, move: str) -> bool:
        """Add a move of this side, and return whether the move is legal.

        The move is legal if at least one possible state allows it. Otherwise it changes
        no state.
        """
        reach = self._reach()
        after = {
            (follower, received)
            for state, received in reach
            for follower in self._own.get(state, {}).get(move, ())
        }
        self._possible = after or reach
        return bool(after)

    @property
    def final(self) -> frozenset[str]:
        """The possible states once this side has received every move sent to it."""
        sent = len(self._on_the_way)
        return frozenset(state for state, received in self._reach() if received == sent)

    def _reach(self) -> set[tuple[str, int]]:
        """Return all possible pairs of a state and a number of received moves."""
        reach = set(self._possible)
        fresh = list(self._possible)
        while fresh:
            state, received = fresh.pop()
            moves = self._theirs.get(state, {})
            after: list[tuple[str, int]] = []
            if received < len(self._on_the_way):
                followers = moves.get(self._on_the_way[received], (state,))
                after += [(follower, received + 1) for follower in followers]
            if received in self._endless:
                followers = moves.get(self._on_the_way[received - 1], (state,))
                after += [(follower, received) for follower in followers]
            for pair in after:
                if pair not in reach:
                    reach.add(pair)
                    fresh.append(pair)
        return reach
