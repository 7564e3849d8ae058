"""Random scripts: Hypothesis generates them from the state table of the dialect.

One Hypothesis example is one script, generated as a whole before any of it is executed.
So nothing in it depends on what a server does or when, and one version of Hypothesis
generates the same scripts for the same seed.

What Hypothesis does here, through its public interface only: it draws all choices of a
script, with ``@seed``, ``@given`` and ``@composite``. What it does not do:

- It does not execute scripts. Several sessions can be needed to see that a failure is
  flaky, and Hypothesis would report such a test as an error of its own.
- It does not shrink them. It would try its thousands of choices one by one, and each
  try is a session that takes up to some seconds; `shrinking` leaves out steps instead.
- It draws no integers. Its integers prefer constants of the modules that are loaded, so
  a seed would mean other scripts in each project (and Hypothesis would write a cache of
  these constants to disk). Numbers are made of booleans, which are drawn independently.
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

STEPS = 12  # drawn for each script, before the utterance that ends it

_CHUNK = 4800  # samples at most
_LAST = 0.5  # s of audio in the utterance at the end
_PAUSE, _LINGER = 0.005, 0.3  # s
_EVEN = 4  # bits beyond those needed: probabilities differ by at most 1/16

_Drawn = TypeVar("_Drawn")


@cache
def below(count: int) -> st.SearchStrategy[int]:
    """Return a strategy for the integers from 0 to below ``count``, evenly."""
    bits = (count - 1).bit_length() + _EVEN
    return st.tuples(*[st.booleans()] * bits).map(
        lambda drawn: (
            sum(bit << place for place, bit in enumerate(drawn)) * count >> bits
        )
    )


def scripts(grammar: Grammar, pcm: bytes) -> st.SearchStrategy[Script]:
    """Return a strategy for scripts.

    ``pcm`` is speech at the dialect's rate. Each script uses some kinds of steps only,
    so that also sessions without any foreign frame are frequent ("swarm testing").
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

    # Without arguments: Hypothesis writes them out, and warns of 200 kB of speech.
    return script()


class _Writer:
    """Appends steps to a script, and follows the states in which the session can be."""

    def __init__(self, draw: st.DrawFn, grammar: Grammar, pcm: bytes) -> None:
        self._draw = draw
        self._grammar = grammar
        self._pcm = pcm
        self.steps: list[Step] = []
        self._states = grammar.fresh
        self._used = 0  # bytes of the speech that are in the script
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
        """Return one of the options."""
        return options[self._draw(below(len(options)))]

    def possible(self) -> list[Callable[[], None]]:
        """Return the kinds of steps that make sense in the present states."""
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
        """Send a frame that the table allows now."""
        self._send_one_of(self._grammar.legal(self._states))

    def illegal(self) -> None:
        """Send a frame that the table knows and does not allow now."""
        self._send_one_of(self._grammar.illegal(self._states))

    def audio(self) -> None:
        """Send some chunks of silence or speech, whether audio is allowed or not."""
        samples, speech = self._samples(), self._draw(st.booleans())
        for _ in range(1 + self._draw(below(5))):
            self._append(samples, speech=speech)

    def utterance(self) -> None:
        """Send a whole utterance of one chunk, whether one may begin or not.

        One of each script can pause before its end, which shows a final that comes
        before the commit.
        """
        self.send(*self._grammar.begin)
        self._append(self._samples(), speech=self._draw(st.booleans()))
        if not self._lingered and not self._draw(below(4)):
            self.steps.append(Pause(_LINGER))
            self._lingered = True
        self.send(*self._grammar.finish)

    def misuse(self) -> None:
        """Send a frame that the dialect lists as a misuse."""
        misuse = self.choose(self._grammar.dialect.misuses)
        self.steps.append(Send(self.choose(misuse.frames), foreign=True))

    def mutated(self) -> None:
        """Send a frame of the protocol with one mistake in it."""
        grammar = self._grammar
        audio = grammar.caller.append(bytes(2)).decode()
        group = self.choose(mutations(self.choose([*grammar.moves.values(), audio])))
        self.steps.append(Send(self.choose(group), foreign=True))

    def pause(self) -> None:
        """Send nothing for a short time."""
        self.steps.append(Pause(_PAUSE))

    def wait(self) -> None:
        """Wait until the server has completed all utterances."""
        self.steps.append(Await())
        self._states = self._grammar.after_answer(self._states)

    # What they are made of

    def send(self, *texts: str, speech: tuple[int, int] | None = None) -> None:
        """Append frames of the protocol, and follow them in the state table."""
        for frame in texts:
            self.steps.append(Send(frame, speech=speech))
            self._states = self._grammar.after_frame(self._states, frame)

    def end(self) -> None:
        """Wait for pending utterances, and append a whole utterance of silence."""
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
        """Append silence, or speech while there is some left."""
        start = self._used
        stop = min(start + 2 * samples, len(self._pcm))
        append = self._grammar.caller.append
        if not speech or start == stop:
            self.send(append(bytes(2 * samples)).decode())
            return
        self._used = stop
        self.send(append(self._pcm[start:stop]).decode(), speech=(start, stop))


def generate(
    grammar: Grammar, pcm: bytes, *, seed: int | str, count: int
) -> tuple[Script, ...]:
    """Return ``count`` scripts, always the same ones for a seed.

    ``pcm`` is speech at the dialect's rate. Do not call it on an event loop: it takes
    some tens of milliseconds per script.
    """
    strategy = scripts(grammar, pcm)
    return tuple(_script(strategy, f"{seed}/{number}") for number in range(count))


def _script(strategy: st.SearchStrategy[Script], seed: str) -> Script:
    """Return the script of a seed.

    The first example of Hypothesis is always the simplest one, and each third and later
    one is mostly a variation of those before. The second one is random: so it is taken,
    from a run of its own.
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
