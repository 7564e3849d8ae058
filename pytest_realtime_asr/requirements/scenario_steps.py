"""What the suite does to a server of one protocol, as data.

A dialect declares the steps of its own scenarios, and the invalid frames that a server
has to refuse. The code that runs a session carries them out in their order.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Misuse:
    """Invalid frames, each of which a server should answer by an error and survive.

    They are sent by hand, one after the other: after the set-up of the session if
    ``configured``, in the middle of an utterance if ``speaking``.
    """

    name: str
    about: str
    frames: tuple[str | bytes, ...]
    configured: bool = True
    speaking: bool = False


class Clip(enum.Enum):
    """The audio of an utterance."""

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
    """Send an utterance, as far as ``until``."""

    clip: Clip = Clip.FIRST
    until: Until = Until.FINAL


@dataclass(frozen=True, slots=True)
class Send:
    """Send frames by hand, each of which is to be answered by an event of this type.

    The client waits for it as long as for a refusal, and then goes on. Without
    ``answer`` it does not wait.
    """

    frames: tuple[str | bytes, ...]
    answer: str | None = None


class Wait(enum.Enum):
    """What the client waits for between two steps."""

    FINALS = "the finals of all utterances that are complete"
    SETTLED = "events that may still come"


Step = Speak | Send | Wait


@dataclass(frozen=True, slots=True)
class Exercise:
    """A scenario of one protocol: a session that is run step by step.

    ``options`` are added to those of the run for its set-up. ``brisk`` audio is sent as
    fast as the server reads it.
    """

    name: str
    about: str
    steps: tuple[Step, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    brisk: bool = False
