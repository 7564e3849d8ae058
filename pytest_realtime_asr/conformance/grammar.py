"""The frames that a client can send in a dialect, and the states to which they lead.

Random scripts are generated from a `Grammar`. A `Grammar` also decides whether an
utterance is pending, that is, accepted by the server and not completed yet. A *move* is
the name of a frame in the state table, such as the type of its event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.conformance.random_script import (
    Await,
    Send,
    Step,
    frames,
)
from pytest_realtime_asr.dialects import Caller, Dialect, audio_frame, can
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.order import PossibleStates, Table
from pytest_realtime_asr.trace.records import Frame, Record, Sender, Trace, content

_FOREIGN = "foreign"  # the move of every frame outside the protocol

States = frozenset[str]


@dataclass(frozen=True, slots=True)
class Grammar:
    """The frames of a client and the states of a session in one dialect.

    - ``configure`` are the frames that set up a session.
    - ``begin`` are the frames that start an utterance. ``finish`` are the frames that
      end an utterance.
    - ``moves`` maps each move without audio to a frame. ``audio`` is the move of a
      frame with audio.
    - ``pending`` are the states in which the server has accepted an utterance and has
      to complete the utterance.
    - ``ends`` are the server's moves that can complete an utterance. The moves that
      always complete an utterance come first.
    - ``fresh`` are the possible states of a new session that is ready.
    """

    dialect: Dialect
    caller: Caller
    table: Table
    configure: tuple[Frame, ...]
    begin: tuple[Frame, ...]
    finish: tuple[Frame, ...]
    moves: Mapping[str, Frame]
    audio: str
    pending: States
    ends: tuple[str, ...]
    fresh: States

    def move(self, frame: Frame) -> str:
        """Return the move of a client frame."""
        return _move(self.dialect, frame)

    def legal(self, states: States) -> list[str]:
        """Return the moves without audio that are legal in at least one state.

        ``states`` are the possible states.
        """
        table = self.table[Sender.CLIENT]
        return [
            move
            for move in self.moves
            if any(move in table.get(state, {}) for state in states)
        ]

    def illegal(self, states: States) -> list[str]:
        """Return the moves without audio that are illegal in all these states."""
        legal = self.legal(states)
        return [move for move in self.moves if move not in legal]

    def after_frame(self, states: States, frame: Frame) -> States:
        """Return the possible states after a client's frame.

        ``states`` are the possible states before the frame. A state in which the frame
        is illegal stays the same.
        """
        table, move = self.table[Sender.CLIENT], self.move(frame)
        return frozenset(
            follower
            for state in states
            for follower in table.get(state, {}).get(move, (state,))
        )

    def unlawful(self, script: Iterable[Step]) -> frozenset[tuple[str, str]]:
        """Return the illegal moves of a script, as pairs of a state and a move."""
        states = self.fresh
        found: set[tuple[str, str]] = set()
        for step in script:
            match step:
                case Send(frame=frame, foreign=False):
                    move, table = self.move(frame), self.table[Sender.CLIENT]
                    if not any(move in table.get(state, {}) for state in states):
                        found.update((state, move) for state in states)
                    states = self.after_frame(states, frame)
                case Await():
                    states = self.after_answer(states)
        return frozenset(found)

    def after_answer(self, states: States) -> States:
        """Return the possible states after the server has completed all utterances."""
        table = self.table[Sender.SERVER]
        after = [_followers(table.get(state, {})) for state in states & self.pending]
        return states.union(*after) - self.pending

    def is_pending(self, taken: Iterable[Step], trace: Trace) -> bool:
        """Return whether an utterance is certainly accepted and not completed yet.

        ``taken`` are the steps that sent the client's frames in ``trace``. If the
        server ended an utterance before its commit, the utterance counts as completed,
        since other requirements judge the order of events.
        """
        states = PossibleStates(self.table, start=self.dialect.start, of=Sender.SERVER)
        foreign = [step.foreign for step in frames(taken)]
        sent = 0
        for record in trace.records:
            move = self.dialect.parse(record).move
            if record.sender is Sender.SERVER:
                states.send(move)
                continue
            states.receive(_FOREIGN if sent < len(foreign) and foreign[sent] else move)
            sent += 1
        return states.final <= self.pending


def grammar_of(plan: Plan) -> Grammar:
    """Return the grammar of the sessions of a plan."""
    dialect = plan.dialect
    caller = plan.caller
    configure = tuple(caller.configure())
    begin, finish = tuple(caller.begin()), tuple(caller.finish())
    client, server = dialect.table[Sender.CLIENT], dialect.table[Sender.SERVER]
    move = partial(_move, dialect)
    finishing = frozenset(map(move, finish))
    pending = frozenset(
        follower
        for state, moves in client.items()
        for name in finishing
        for follower in moves.get(name, ())
        if follower != state
    )
    ends = [
        (bool(pending.intersection(followers)), name)
        for state in sorted(pending)
        for name, followers in server.get(state, {}).items()
        if not pending.issuperset(followers)
    ]
    # The server may treat a foreign frame as any move that is legal in its state, or
    # ignore the frame.
    tolerant = {
        state: {**moves, _FOREIGN: (state, *_followers(moves))}
        for state, moves in client.items()
    }
    start = frozenset({dialect.start})
    greets = can(dialect, Capability.GREETING)
    return Grammar(
        dialect=dialect,
        caller=caller,
        table={
            Sender.CLIENT: tolerant,
            Sender.SERVER: _with_early_ends(dialect.table, finishing, pending),
        },
        configure=configure,
        begin=begin,
        finish=finish,
        moves={move(frame): frame for frame in (*configure, *begin, *finish)},
        audio=move(audio_frame(caller, bytes(2))),
        pending=pending,
        ends=tuple(dict.fromkeys(name for _, name in sorted(ends))),
        fresh=(_followers(server.get(dialect.start, {})) if greets else start) or start,
    )


def _with_early_ends(
    table: Table, finishing: frozenset[str], pending: States
) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return the server's part of the state table, extended by early ends.

    In the extended table, the server may end an utterance before its commit.
    ``finishing`` are the client's moves that end an utterance.
    """
    server = table[Sender.SERVER]
    ends: dict[str, tuple[str, ...]] = {}
    for state in sorted(pending):
        for name, followers in server.get(state, {}).items():
            over = tuple(each for each in followers if each not in pending)
            if over:
                ends[name] = (*ends.get(name, ()), *over)
    return {
        state: {
            **{name: (state, *over) for name, over in ends.items()},
            **moves,
        }
        if not finishing.isdisjoint(table[Sender.CLIENT].get(state, {}))
        else moves
        for state, moves in server.items()
    }


def _move(dialect: Dialect, frame: Frame) -> str:
    return dialect.parse(Record(Sender.CLIENT, 0, *content(frame))).move


def _followers(moves: Mapping[str, Iterable[str]]) -> States:
    """Return the states to which these moves lead."""
    return frozenset(state for followers in moves.values() for state in followers)
