"""Scripts of steps for a session, and the source code of tests that repeat them."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.corpus import Utterance

REFUSED = 0.05  # s to wait for the answers to foreign frames

_WIDTH = 64  # characters of a frame in one line, at most
# Text that is repeated at least 16 times, as in silence, is written as a product.
_RUN = re.compile(r"(.{1,4}?)\1{15,}", re.DOTALL)
_CLIP = "clip["
_ENCODED = f"base64.b64encode({_CLIP}"


@dataclass(frozen=True, slots=True)
class Send:
    """A step that sends a frame; a ``foreign`` frame is outside the protocol.

    ``speech`` is the range of bytes of a clip's audio that the frame contains; ``None``
    if the frame contains no speech.
    """

    frame: str | bytes
    foreign: bool = False
    speech: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A step that waits some seconds without sending anything."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """A step that waits for answers to foreign frames, then for pending utterances.

    ``move`` is ``None`` until the step is executed, and stays ``None`` if no utterance
    was pending. Otherwise ``move`` is the name of the event that completed the pending
    utterances, or of the event that should have completed them.
    """

    move: str | None = None


Step = Send | Pause | Await
Script = tuple[Step, ...]


def frames(script: Iterable[Step]) -> tuple[Send, ...]:
    """Return the steps of a script that send a frame."""
    return tuple(step for step in script if isinstance(step, Send))


def program(
    script: Script, *, speech: Utterance, about: str, limit: float, then: Sequence[str]
) -> str:
    """Return the source of a test file that executes a script.

    The file starts with the comment ``about`` and ends with the statements ``then``.
    Some frames contain audio of the clip ``speech``, which has the sample rate of the
    frames. The test waits at most ``limit`` seconds for a pending utterance.
    """
    body = [line for step in script for line in _statement(step, limit, speech)]
    body += then or ([] if body else ["pass"])
    needed = [
        name
        for name, used in (
            ("base64", any(_ENCODED in line for line in body)),
            ("time", any(line.startswith("time.") for line in body)),
        )
        if used
    ]
    comment = textwrap.wrap(about, 86, break_long_words=False, break_on_hyphens=False)
    lines = [f"# {line}" for line in comment]
    lines += [*(f"import {name}" for name in needed), *([""] * 2 if needed else [])]
    lines.append("def test_random_session(realtime, corpus):")
    if any(_CLIP in line for line in body):
        rate = speech.audio.rate
        lines.append(
            f"    clip = corpus[{quoted(speech.id)}].audio.resample({rate}).pcm"
        )
    lines.append("    with realtime.connect(configure=False) as session:")
    return "\n".join([*lines, *(f"{' ' * 8}{line}" for line in body)]) + "\n"


def _statement(step: Step, limit: float, speech: Utterance) -> Iterator[str]:
    match step:
        case Pause(seconds=seconds):
            yield f"time.sleep({seconds:g})"
        case Await(move=None):
            yield f"time.sleep({REFUSED:g})"
        case Await(move=str(move)):
            yield f"session.expect({quoted(move)}, timeout={limit:g})"
        case Send():
            first, *rest = _terms(step, speech)
            if not rest:
                yield f"session.send_raw({first})"
                return
            yield "session.send_raw("
            yield f"    {first}"
            yield from (f"    + {term}" for term in rest)
            yield ")"


def _terms(step: Send, speech: Utterance) -> Iterator[str]:
    """Yield Python expressions whose values, added together, are the frame.

    Where possible, the speech of a frame is written as a slice of the clip. This needs
    PCM in a binary frame, or Base64 of PCM in a text frame. In other frames, the speech
    is written as a literal.
    """
    start, stop = step.speech or (0, 0)
    pcm = speech.audio.pcm[start:stop]
    if isinstance(step.frame, bytes):
        frame, audio = step.frame.decode("latin-1"), pcm.decode("latin-1")
        written, literal = f"{_CLIP}{start}:{stop}]", _bytes_literal
    else:
        frame, audio = step.frame, base64.b64encode(pcm).decode()
        written, literal = f"{_ENCODED}{start}:{stop}]).decode()", quoted
    if not audio or audio not in frame:
        yield from _literals(frame, literal)
        return
    head, _, tail = frame.partition(audio)
    yield from _literals(head, literal) if head else ()
    yield written
    yield from _literals(tail, literal) if tail else ()


def _literals(text: str, literal: Callable[[str], str]) -> Iterator[str]:
    """Yield Python expressions whose values, added together, are the text.

    ``literal`` returns the literal of a piece of the text.
    """
    for piece, times in _products(text):
        yield _times(literal(piece), times)


def _bytes_literal(text: str) -> str:
    """Return the Python literal of the bytes that encode a text in Latin-1."""
    return repr(text.encode("latin-1"))


def _times(literal: str, times: int) -> str:
    return literal if times == 1 else f"{literal} * {times}"


def _products(text: str) -> Iterable[tuple[str, int]]:
    """Yield the pieces of a text, each with the number of its repetitions."""
    at = 0
    for run in _RUN.finditer(text):
        if at < run.start():
            yield from _lines(text[at : run.start()])
        yield run[1], len(run[0]) // len(run[1])
        at = run.end()
    if at < len(text) or not text:
        yield from _lines(text[at:])


def _lines(text: str) -> Iterable[tuple[str, int]]:
    places = range(0, len(text) or 1, _WIDTH)
    return ((text[at : at + _WIDTH], 1) for at in places)


def quoted(text: str) -> str:
    """Return the Python literal of a text, in double quotes if it needs no escape."""
    literal = repr(text)
    plain = '"' not in text and "\\" not in literal
    return f'"{text}"' if plain else literal
