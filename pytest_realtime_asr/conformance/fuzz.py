"""Random scripts, which Hypothesis generates from the state table of a dialect.

One Hypothesis example is one script. The whole script is generated before its first
step is executed, so no step depends on the behaviour or the speed of a server. The same
version of Hypothesis therefore generates the same scripts for the same seed.

Hypothesis draws all choices of a script, through its public interface (``@seed``,
``@given`` and ``@composite``). It is not used for three other things:

- Hypothesis does not execute the scripts. Several sessions can be needed to see that a
  failure is flaky, and Hypothesis would raise an error about the flaky test instead.
- Hypothesis does not shrink the scripts. It would shrink thousands of choices one by
  one, and each attempt is a session that may take some seconds. The module `shrinking`
  removes whole steps instead.
- Hypothesis is not asked for integers. It would prefer integers that are constants of
  the loaded modules. One seed would then give different scripts in different projects,
  and Hypothesis would write a cache of these constants to disk. Numbers are computed
  from booleans, which are drawn independently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st

from pytest_realtime_asr.conformance.frame_mutations import mutations
from pytest_realtime_asr.conformance.grammar import Grammar
from pytest_realtime_asr.conformance.random_script import (
    Await,
    Pause,
    Script,
    Send,
    Step,
)
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.trace.records import Frame

STEPS = 12  # random steps of each script, before its last utterance

_CHUNK = 4800  # samples at most
_LAST = 0.5  # s of audio in the last utterance
_PAUSE, _LINGER = 0.005, 0.3  # s
_EVEN = 4  # additional bits, so that probabilities differ by at most 1/16

_Drawn = TypeVar("_Drawn")


@cache
def below(count: int) -> st.SearchStrategy[int]:
    """Return a strategy that draws an integer from 0 to ``count`` - 1.

    All these integers are nearly equally probable.
    """
    bits = (count - 1).bit_length() + _EVEN
    return st.tuples(*[st.booleans()] * bits).map(
        lambda drawn: (
            sum(bit << place for place, bit in enumerate(drawn)) * count >> bits
        )
    )


def scripts(grammar: Grammar, pcm: bytes) -> st.SearchStrategy[Script]:
    """Return a strategy that generates scripts.

    ``pcm`` is speech at the dialect's sample rate. Each script uses only some kinds of
    steps ("swarm testing"), so that many scripts contain no foreign frame.
    """

    @st.composite
    def script(draw: st.DrawFn) -> Script:
        writer = _Writer(draw, grammar, pcm)
        if draw(st.booleans()):
            writer.send(*grammar.configure)
        used = {kind for kind in writer.kinds if draw(st.booleans())}
        for _ in range(STEPS):
            possible = writer.possible()
            step = writer.choose(
                [kind for kind in possible if kind in used] or possible
            )
            step()
        writer.end()
        return tuple(writer.steps)

    # `script` has no parameter for the speech: Hypothesis would print its argument, and
    # warn about 200 kB.
    return script()


class _Writer:
    """Appends steps to a script, and tracks the possible states of the session."""

    def __init__(self, draw: st.DrawFn, grammar: Grammar, pcm: bytes) -> None:
        self._draw = draw
        self._grammar = grammar
        self._pcm = pcm
        self.steps: list[Step] = []
        self._states = grammar.fresh
        self._used = 0  # bytes of the speech that the script contains so far
        self._lingered = False
        self.kinds: Sequence[Callable[[], None]] = (
            self.legal,
            self.illegal,
            self.audio,
            self.utterance,
            self.misuse,
            self.mutated,
            self.pause,
            self.wait,
        )

    def choose(self, options: Sequence[_Drawn]) -> _Drawn:
        """Return one of the options, drawn at random."""
        return options[self._draw(below(len(options)))]

    def possible(self) -> list[Callable[[], None]]:
        """Return the methods that can append a step in the present states."""
        grammar = self._grammar
        impossible = {
            self.legal: not grammar.legal(self._states),
            self.illegal: not grammar.illegal(self._states),
            self.misuse: not grammar.dialect.misuses,
            self.wait: not self._states & grammar.pending,
        }
        return [kind for kind in self.kinds if not impossible.get(kind, False)]

    # The kinds of steps

    def legal(self) -> None:
        """Append a frame that is legal in at least one possible state."""
        self._send_one_of(self._grammar.legal(self._states))

    def illegal(self) -> None:
        """Append a frame of the protocol that is illegal in all possible states."""
        self._send_one_of(self._grammar.illegal(self._states))

    def audio(self) -> None:
        """Append some chunks of silence or speech, even if audio is illegal."""
        samples, speech = self._samples(), self._draw(st.booleans())
        for _ in range(1 + self._draw(below(5))):
            self._append(samples, speech=speech)

    def utterance(self) -> None:
        """Append a whole utterance of one chunk, even if this is illegal.

        At most one utterance of a script has a pause before its end. The pause gives a
        faulty server time to send a final before the commit.
        """
        self.send(*self._grammar.begin)
        self._append(self._samples(), speech=self._draw(st.booleans()))
        if not self._lingered and not self._draw(below(4)):
            self.steps.append(Pause(_LINGER))
            self._lingered = True
        self.send(*self._grammar.finish)

    def misuse(self) -> None:
        """Append a frame that the dialect lists as a misuse."""
        misuse = self.choose(self._grammar.dialect.misuses)
        self.steps.append(Send(self.choose(misuse.frames), foreign=True))

    def mutated(self) -> None:
        """Append a frame of the protocol that contains one mistake."""
        grammar = self._grammar
        audio = audio_frame(grammar.caller, bytes(2))
        group = self.choose(mutations(self.choose([*grammar.moves.values(), audio])))
        self.steps.append(Send(self.choose(group), foreign=True))

    def pause(self) -> None:
        """Append a step that waits a short time."""
        self.steps.append(Pause(_PAUSE))

    def wait(self) -> None:
        """Append a step that waits until the server has completed all utterances."""
        self.steps.append(Await())
        self._states = self._grammar.after_answer(self._states)

    # The frames of the steps

    def send(self, *sent: Frame, speech: tuple[int, int] | None = None) -> None:
        """Append frames of the protocol, and update the possible states."""
        for frame in sent:
            self.steps.append(Send(frame, speech=speech))
            self._states = self._grammar.after_frame(self._states, frame)

    def end(self) -> None:
        """Append a wait for pending utterances, then a whole utterance of silence."""
        grammar = self._grammar
        self.steps.append(Await())
        self.send(*grammar.configure, *grammar.begin)
        self._append(round(_LAST * grammar.caller.rate), speech=False)
        self.send(*grammar.finish)

    def _send_one_of(self, moves: Sequence[str]) -> None:
        self.send(self._grammar.moves[self.choose(moves)])

    def _samples(self) -> int:
        return 1 + self._draw(below(_CHUNK))

    def _append(self, samples: int, *, speech: bool) -> None:
        """Append a frame of silence, or of speech that the script has not used yet.

        If no unused speech is left, the frame has silence.
        """
        start = self._used
        stop = min(start + 2 * samples, len(self._pcm))
        caller = self._grammar.caller
        if not speech or start == stop:
            self.send(audio_frame(caller, bytes(2 * samples)))
            return
        self._used = stop
        self.send(audio_frame(caller, self._pcm[start:stop]), speech=(start, stop))


def generate(
    grammar: Grammar, pcm: bytes, *, seed: int | str, count: int
) -> tuple[Script, ...]:
    """Return ``count`` scripts; the same seed gives the same scripts.

    ``pcm`` is speech at the dialect's sample rate. Do not call this function in an
    event loop, since each script takes some tens of milliseconds.
    """
    strategy = scripts(grammar, pcm)
    return tuple(_script(strategy, f"{seed}/{number}") for number in range(count))


def _script(strategy: st.SearchStrategy[Script], seed: str) -> Script:
    """Return the script that belongs to a seed.

    The first example of a Hypothesis run is always the simplest example. The third and
    later examples are mostly variations of earlier examples. Only the second example is
    random, so each script is the second example of a separate run.
    """
    found: list[Script] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=2,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @hypothesis.given(strategy)
    def keep(script: Script) -> None:
        found.append(script)

    keep()
    return found[-1]
