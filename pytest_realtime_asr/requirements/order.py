"""The order of moves, checked against the set of all states that are possible.

Frames cross on the wire. The side that records a session knows the order in which it
sent and received frames, not the order in which the other side did: an answer may
belong to any moment between the last frame that the other side had certainly received
and the last one that was on its way. The check therefore keeps every state that is
possible and reports a move only where it is legal in none of them.
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

    The state in the table is that side's. A move of the recorder that the table does
    not allow leaves the state as it is, since the other side refuses it; what follows
    is undecided if that frame was written by hand. A move that occurs nowhere in the
    table is not checked. A session without any checked move is undecided.
    """
    known = {
        sender: {move for moves in states.values() for move in moves}
        for sender, states in table.items()
    }

    def check(recording: Recording) -> Outcome:
        trace = recording.trace
        side = observed_side(trace)
        states = PossibleStates(table, start=start, of=side)
        left_order = False  # a frame by hand was not allowed
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
            return Undecided(f"the {side.value} sent no event that the order covers")
        if excused and not wrong:
            return Undecided("a frame written by hand had left the order before")
        if not wrong:
            return Satisfied()
        move = recording.messages[wrong[0]].move
        return Violated(f"{move} came out of turn", tuple(wrong))

    return check


_COUNTED_IN_A_ROW = 4


class PossibleStates:
    """The states in which one side of a session may be, as a fold over its moves.

    Each state goes with the number of moves that this side had received when it came to
    the state. Of a move that is repeated many times in a row, as with each piece of
    audio, only the first `_COUNTED_IN_A_ROW` are counted: a side that may have received
    that many may have received any number.
    """

    def __init__(self, table: Table, *, start: str, of: Sender) -> None:
        recorder = Sender.CLIENT if of is Sender.SERVER else Sender.SERVER
        self._theirs, self._own = table[recorder], table[of]
        # A move that changes no state need not be counted: it makes no difference
        # whether it has arrived, and a long session has thousands of them.
        self._counted = {
            move
            for state, moves in self._theirs.items()
            for move, followers in moves.items()
            if followers != (state,)
        }
        self._on_the_way: list[str] = []  # counted moves, which arrive in this order
        self._in_a_row = 0  # how often the last of them was repeated
        self._endless: set[int] = set()  # where the move before may arrive again
        self._possible = {(start, 0)}

    def receive(self, move: str) -> bool:
        """Add a move on its way to this side; return whether a possible state has it.

        It may arrive at any later time.
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
        """Add a move of this side; return whether it is legal in a possible state.

        A move that is legal in none of them changes none.
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
        """The possible states once this side has received everything on its way."""
        sent = len(self._on_the_way)
        return frozenset(state for state, received in self._reach() if received == sent)

    def _reach(self) -> set[tuple[str, int]]:
        """Return all (state, number of moves received) that are possible by now."""
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
