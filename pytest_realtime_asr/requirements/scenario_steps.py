"""What the suite does to a server beside what every dialect can, as data.

A dialect says which steps make an exercise, and which frames are none of its own; who
holds a session takes them one after the other.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Misuse:
    """Frames outside the protocol, which a server should outlive.

    They are sent by hand, one after the other: after the set-up of the session where
    that is ``configured``, in the middle of an utterance where one is ``speaking``.
    Each is to be answered by an error.
    """

    name: str
    about: str
    frames: tuple[str | bytes, ...]
    configured: bool = True
    speaking: bool = False


class Clip(enum.Enum):
    """What is spoken."""

    FIRST = "a clip"
    SECOND = "another clip"
    SILENCE = "silence"


class Until(enum.Enum):
    """How far an utterance is taken before the next step."""

    AUDIO = "its audio is handed over"
    FINISH = "its audio is said to be complete"
    FINAL = "its final has come"


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak a clip as an utterance, as far as it is to go."""

    clip: Clip = Clip.FIRST
    until: Until = Until.FINAL


@dataclass(frozen=True, slots=True)
class Send:
    """Send frames by hand, each of which is to be answered by such an event.

    It is waited for as long as a refusal is. Where it does not come, the session goes
    on; without ``answer`` none is waited for.
    """

    frames: tuple[str | bytes, ...]
    answer: str = ""


class Wait(enum.Enum):
    """What is waited for between two steps."""

    FINALS = "the finals of all utterances that are complete"
    SETTLED = "what may come yet"


Step = Speak | Send | Wait


@dataclass(frozen=True, slots=True)
class Exercise:
    """What is done in a session of this protocol alone, step by step.

    ``options`` are those of its set-up, beside those of the run. ``brisk`` audio is
    handed over as fast as it is taken.
    """

    name: str
    about: str
    steps: tuple[Step, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    brisk: bool = False
