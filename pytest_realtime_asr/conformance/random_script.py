"""A script: what is done in one session, step by step, and as a test that does it."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.corpus import Utterance

REFUSED = 0.05  # s that the answers to foreign frames are waited for

_WIDTH = 64  # characters of a frame that stand in one line
# What is repeated so often is written as a product, such as the audio of silence.
_RUN = re.compile(r"(.{1,4}?)\1{15,}", re.DOTALL)
_SPEECH = "base64.b64encode(clip"


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame; a ``foreign`` one is outside the protocol.

    ``speech`` are the bytes of a clip that it carries, from one to another.
    """

    frame: str | bytes
    foreign: bool = False
    speech: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for the answers to foreign frames, and then for what the server owes.

    Once that was done, ``move`` is what came or should have come; it is empty where
    nothing was owed.
    """

    move: str = ""


Step = Send | Pause | Await
Script = tuple[Step, ...]


def frames(script: Iterable[Step]) -> tuple[Send, ...]:
    """What is sent in a script."""
    return tuple(step for step in script if isinstance(step, Send))


def program(
    script: Script, *, speech: Utterance, about: str, limit: float, then: Sequence[str]
) -> str:
    """A test file that does what is in the script, and ``then`` these statements.

    ``speech`` is the clip of which its frames carry parts, at the rate of these. It
    waits ``limit`` s at most for what the server owes, and begins with a comment.
    """
    body = [line for step in script for line in _statement(step, limit, speech)]
    body += then or ([] if body else ["pass"])
    spoken = any(_SPEECH in line for line in body)
    needed = [
        name
        for name, used in (
            ("base64", spoken),
            ("time", any(line.startswith("time.") for line in body)),
        )
        if used
    ]
    comment = textwrap.wrap(about, 86, break_long_words=False, break_on_hyphens=False)
    lines = [f"# {line}" for line in comment]
    lines += [*(f"import {name}" for name in needed), *([""] * 2 if needed else [])]
    lines.append("def test_random_session(realtime, corpus):")
    if spoken:
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
        case Await(move=""):
            yield f"time.sleep({REFUSED:g})"
        case Await(move=move):
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
    """The expressions whose sum is the frame."""
    frame = step.frame
    if isinstance(frame, bytes):
        for text, times in _products(frame.decode("latin-1")):
            yield _times(repr(text.encode("latin-1")), times)
        return
    if step.speech is not None:
        start, stop = step.speech
        # A dialect that writes audio otherwise has it written out.
        said = base64.b64encode(speech.audio.pcm[start:stop]).decode()
        head, sound, tail = frame.partition(said)
        if sound:
            yield from (quoted(text) for text, _ in _products(head))
            yield f"{_SPEECH}[{start}:{stop}]).decode()"
            yield from (quoted(text) for text, _ in _products(tail))
            return
    for text, times in _products(frame):
        yield _times(quoted(text), times)


def _times(literal: str, times: int) -> str:
    return literal if times == 1 else f"{literal} * {times}"


def _products(text: str) -> Iterable[tuple[str, int]]:
    """Pieces of the text, each with how often it is repeated."""
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
    """The text as a literal, in double quotes where that needs no backslash."""
    literal = repr(text)
    plain = '"' not in text and "\\" not in literal
    return f'"{text}"' if plain else literal
