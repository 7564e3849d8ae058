"""The steps of the scenarios of one protocol, as data.

A dialect declares the steps of its own scenarios, and the invalid frames that a server
must refuse. The code that runs a session executes the steps in their order.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Misuse:
    """Invalid frames; a server should answer each frame with an error, and survive it.

    The frames are sent one after the other. They are sent after the set-up of the
    session if ``configured`` is true, and in the middle of an utterance if ``speaking``
    is true.
    """

    name: str
    about: str
    frames: tuple[str | bytes, ...]
    configured: bool = True
    speaking: bool = False


class Clip(enum.Enum):
    """The audio to send as an utterance."""

    FIRST = "a clip"
    SECOND = "another clip"
    SILENCE = "silence"


class Until(enum.Enum):
    """How far an utterance is sent before the next step."""

    AUDIO = "its audio is sent"
    FINISH = "its audio is declared complete"
    FINAL = "its final has come"


@dataclass(frozen=True, slots=True)
class Speak:
    """A step that sends an utterance; ``until`` says when the next step begins."""

    clip: Clip = Clip.FIRST
    until: Until = Until.FINAL


@dataclass(frozen=True, slots=True)
class Send:
    """A step that sends hand-written frames.

    ``answer`` is the event type of the expected answer. After each frame, the client
    waits for such an answer, at most as long as it would wait for a refusal. If
    ``answer`` is ``None``, the client does not wait.
    """

    frames: tuple[str | bytes, ...]
    answer: str | None = None


class Wait(enum.Enum):
    """A step that waits, and what the client waits for."""

    FINALS = "the finals of all utterances that are complete"
    SETTLED = "events that may still come"
    END = "the end of the session by the server"


Step = Speak | Send | Wait


@dataclass(frozen=True, slots=True)
class Exercise:
    """A scenario of one protocol: a session that is run step by step.

    Without steps, the client only opens the session, and the server may refuse it.

    ``options`` are added to the session options of the run. If ``brisk`` is true, the
    audio is sent as fast as the server reads it. If ``beside`` is given, a second
    session with these options is set up after the first session and stays open. The
    role of the second session is the name of the exercise followed by ``-beside``. If
    ``keepalive`` is false, the client sends no keepalive frames.
    """

    name: str
    about: str
    steps: tuple[Step, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    brisk: bool = False
    beside: Mapping[str, object] | None = None
    keepalive: bool = True
