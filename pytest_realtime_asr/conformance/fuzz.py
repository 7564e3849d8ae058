"""Random scripts: Hypothesis writes them by the table of the dialect.

A script is written as a whole before it is played. So what is drawn depends on nothing
that a server does or on when it does it, and a seed always writes the same.

Hypothesis only writes. To shorten a script that fails it would try its choices and not
steps, and where each try takes a good part of a second that does not come to an end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import (
    AVAILABLE_PROVIDERS,
    HypothesisProvider,
)
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_realtime_asr.conformance.frame_mutations import mutations
from pytest_realtime_asr.conformance.random_script import (
    Await,
    Pause,
    Script,
    Send,
    Step,
)
from pytest_realtime_asr.conformance.random_session import Grammar
from pytest_realtime_asr.trace.records import Sender

STEPS = 12  # of a script, which then ends with a whole utterance

_CHUNK = 4800  # samples at most
_LAST = 0.5  # s of audio in the utterance at the end
_PAUSE, _LINGER = 0.005, 0.3  # s
_BACKEND = "pytest_realtime_asr"


class Draws(HypothesisProvider):
    """Draws whole numbers evenly, and each script by itself.

    Hypothesis' own way takes one in twenty from the sources of all modules that happen
    to be loaded, which it keeps on disk, and most scripts would be variations of one.
    """

    def draw_integer(
        self, min_value: int | None = None, max_value: int | None = None, **_: Any
    ) -> int:
        assert self._random is not None
        assert min_value is not None
        assert max_value is not None
        return self._random.randint(min_value, max_value)


AVAILABLE_PROVIDERS[_BACKEND] = f"{Draws.__module__}.{Draws.__name__}"


class _Writer(RuleBasedStateMachine):
    """Writes a script by drawing what may come next, and shows it when it is whole."""

    def __init__(
        self, words: Grammar, pcm: bytes, show: Callable[[Script], None]
    ) -> None:
        super().__init__()
        self._words = words
        self._pcm = pcm
        self._show = show
        self._steps: list[Step] = []
        self._states = words.fresh  # that may hold, if all goes as it should
        self._spoken = 0  # bytes of the speech
        self._lingered = False

    @initialize(configured=st.booleans())
    def open(self, configured: bool) -> None:
        if configured:
            self._say(*self._words.configure)

    @precondition(lambda self: self._moves(True))
    @rule(data=st.data())
    def legal(self, data: st.DataObject) -> None:
        """A move that the table allows."""
        self._say(self._words.moves[data.draw(st.sampled_from(self._moves(True)))])

    @precondition(lambda self: self._moves(False))
    @rule(data=st.data())
    def illegal(self, data: st.DataObject) -> None:
        """A move that the table knows, and does not allow now."""
        self._say(self._words.moves[data.draw(st.sampled_from(self._moves(False)))])

    @rule(samples=st.integers(1, _CHUNK), times=st.integers(1, 5), speech=st.booleans())
    def audio(self, samples: int, times: int, speech: bool) -> None:
        """Some chunks of silence or speech, whether any are asked for or not."""
        for _ in range(times):
            self._hand(samples, speech)

    @rule(
        samples=st.integers(1, _CHUNK), speech=st.booleans(), lingers=st.integers(0, 3)
    )
    def utterance(self, samples: int, speech: bool, lingers: int) -> None:
        """A whole utterance of one chunk, whether one may begin or not.

        One in a script may linger before its end, so that a final that comes too early
        shows.
        """
        self._say(*self._words.begin)
        self._hand(samples, speech)
        if lingers == 3 and not self._lingered:
            self._steps.append(Pause(_LINGER))
            self._lingered = True
        self._say(*self._words.finish)

    @precondition(lambda self: self._words.dialect.misuses)
    @rule(data=st.data())
    def foreign(self, data: st.DataObject) -> None:
        """What the dialect knows as a misuse."""
        misuse = data.draw(st.sampled_from(self._words.dialect.misuses))
        self._steps.append(Send(data.draw(st.sampled_from(misuse.frames)), True))

    @rule(data=st.data())
    def mutated(self, data: st.DataObject) -> None:
        """A frame with one thing wrong in it."""
        sound = self._words.caller.append(bytes(2)).decode()
        frame = data.draw(st.sampled_from([*self._words.moves.values(), sound]))
        kind = data.draw(st.sampled_from(mutations(frame)))
        self._steps.append(Send(data.draw(st.sampled_from(kind)), True))

    @rule()
    def pause(self) -> None:
        """A short time; as the first rule without arguments this is the simplest."""
        self._steps.append(Pause(_PAUSE))

    @precondition(lambda self: self._states & self._words.owing)
    @rule()
    def wait(self) -> None:
        """Let the server end what it owes."""
        self._steps.append(Await())
        theirs = self._words.table[Sender.SERVER]
        owing = self._states & self._words.owing
        after = {
            follower
            for state in owing
            for followers in theirs.get(state, {}).values()
            for follower in followers
        }
        self._states = (self._states | after) - self._words.owing

    def teardown(self) -> None:
        if sys.exc_info()[0] is not None:
            return  # Hypothesis gave it up half-way
        words = self._words
        self._steps.append(Await())
        self._say(*words.configure, *words.begin)
        self._hand(round(_LAST * words.caller.rate), False)
        self._say(*words.finish)
        self._show(tuple(self._steps))

    def _say(self, *frames: str, speech: tuple[int, int] | None = None) -> None:
        ours = self._words.table[Sender.CLIENT]
        for frame in frames:
            self._steps.append(Send(frame, speech=speech))
            move = self._words.move(frame)
            self._states = frozenset(
                follower
                for state in self._states
                for follower in ours.get(state, {}).get(move, (state,))
            )

    def _hand(self, samples: int, speech: bool) -> None:
        """Hand over so much silence, or speech as long as there is some."""
        start = self._spoken
        stop = min(start + 2 * samples, len(self._pcm))
        if not speech or start == stop:
            self._say(self._words.caller.append(bytes(2 * samples)).decode())
            return
        self._spoken = stop
        frame = self._words.caller.append(self._pcm[start:stop]).decode()
        self._say(frame, speech=(start, stop))

    def _moves(self, legal: bool) -> list[str]:
        """The moves that are legal in a state that may hold, or those that are not."""
        ours = self._words.table[Sender.CLIENT]
        return [
            move
            for move in self._words.moves
            if any(move in ours.get(state, {}) for state in self._states) is legal
        ]


def write(
    words: Grammar, pcm: bytes, *, seed: int | str, count: int
) -> tuple[Script, ...]:
    """So many scripts of one seed, or a few less where some are the same.

    ``pcm`` is speech at the dialect's rate. It takes a while, and is not for a loop.
    """
    scripts: dict[Script, None] = {}

    class Writer(_Writer):
        def __init__(self) -> None:
            super().__init__(words, pcm, lambda script: scripts.setdefault(script))

    run_state_machine_as_test(
        hypothesis.seed(str(seed))(Writer),
        settings=settings(
            max_examples=count,
            stateful_step_count=STEPS,
            backend=_BACKEND,
            database=None,
            deadline=None,
            derandomize=False,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
            print_blob=False,
        ),
    )
    return tuple(scripts)
