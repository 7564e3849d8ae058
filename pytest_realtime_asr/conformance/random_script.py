"""Scripts: the steps of a session, and the source of a test that repeats the steps."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.corpus import Utterance

REFUSED = 0.05  # s to wait for the answers to foreign frames

_WIDTH = 64  # characters of a frame in one line, at most
# Text that is repeated at least 16 times, as in silence, is written as a product.
_RUN = re.compile(r"(.{1,4}?)\1{15,}", re.DOTALL)
_SPEECH = "base64.b64encode(clip"


@dataclass(frozen=True, slots=True)
class Send:
    """A step that sends a frame; a ``foreign`` frame is outside the protocol.

    ``speech`` is the range of bytes of a clip whose audio the frame contains, ``None``
    if the frame contains no speech.
    """

    frame: str | bytes
    foreign: bool = False
    speech: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A step that sends nothing for some seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """A step that waits for answers to foreign frames, then for pending utterances.

    ``move`` is ``None`` before the step is executed, and if no utterance is pending.
    Otherwise ``move`` is the name of the event that completed the pending utterances,
    or of the event that should have completed them.
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
    ``speech`` is the clip whose audio some frames contain, at the sample rate of these
    frames. The test waits at most ``limit`` seconds for a pending utterance.
    """
    body = [line for step in script for line in _statement(step, limit, speech)]
    body += then or ([] if body else ["pass"])
    with_speech = any(_SPEECH in line for line in body)
    needed = [
        name
        for name, used in (
            ("base64", with_speech),
            ("time", any(line.startswith("time.") for line in body)),
        )
        if used
    ]
    comment = textwrap.wrap(about, 86, break_long_words=False, break_on_hyphens=False)
    lines = [f"# {line}" for line in comment]
    lines += [*(f"import {name}" for name in needed), *([""] * 2 if needed else [])]
    lines.append("def test_random_session(realtime, corpus):")
    if with_speech:
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
    """Yield Python expressions; the sum of their values is the frame."""
    frame = step.frame
    if isinstance(frame, bytes):
        for text, times in _products(frame.decode("latin-1")):
            yield _times(repr(text.encode("latin-1")), times)
        return
    if step.speech is not None:
        start, stop = step.speech
        # The audio is written out if the dialect does not encode audio as Base64.
        encoded = base64.b64encode(speech.audio.pcm[start:stop]).decode()
        head, audio, tail = frame.partition(encoded)
        if audio:
            yield from (quoted(text) for text, _ in _products(head))
            yield f"{_SPEECH}[{start}:{stop}]).decode()"
            yield from (quoted(text) for text, _ in _products(tail))
            return
    for text, times in _products(frame):
        yield _times(quoted(text), times)


def _times(literal: str, times: int) -> str:
    return literal if times == 1 else f"{literal} * {times}"


def _products(text: str) -> Iterable[tuple[str, int]]:
    """Yield the pieces of a string, each with the number of its repetitions."""
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
    """Return a Python literal of the string, in double quotes if nothing is escaped."""
    literal = repr(text)
    plain = '"' not in text and "\\" not in literal
    return f'"{text}"' if plain else literal
