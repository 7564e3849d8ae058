"""vLLM's own protocol on ``/v1/realtime``, as of release 0.33 (November 2026).

The module `reference` has an outline of a session.

After ``transcription.done``, the next commit begins the next utterance. An error leaves
the connection open. No event has the id of an utterance, so utterances are
identified only by their order.
"""

from __future__ import annotations

import msgspec

from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.trace.json_events import Shapes, Typed, Whole
from pytest_realtime_asr.trace.records import Sender


class SessionUpdate(Typed, frozen=True, tag="session.update"):
    """Client: a request to use this model.

    Newer servers also accept the fields ``language``, ``prompt`` and ``include``.
    """

    model: str


class Append(Typed, frozen=True, tag="input_audio_buffer.append"):
    """Client: more audio."""

    audio: str


class CommitEvent(Typed, frozen=True, tag="input_audio_buffer.commit"):
    """Client: an utterance begins or, if ``final`` is true, its audio is complete."""

    final: bool = False

    @property
    def move(self) -> str:
        """The move of this commit in the order of events: ``FINISH`` or ``BEGIN``."""
        return FINISH if self.final else BEGIN


class SessionCreated(Typed, frozen=True, tag="session.created"):
    """Server: the session may begin."""

    id: str
    created: Whole


class SessionUpdated(Typed, frozen=True, tag="session.updated"):
    """Server, in vLLM newer than 0.33: the update was accepted."""


class Delta(Typed, frozen=True, tag="transcription.delta"):
    """Server: a text to append to the text before it; the new text may be empty."""

    delta: str


class Tokens(msgspec.Struct, frozen=True):
    """The tokens that the server counted for one utterance."""

    prompt_tokens: Whole
    completion_tokens: Whole
    total_tokens: Whole


class Done(Typed, frozen=True, tag="transcription.done"):
    """Server: the whole text of the utterance."""

    text: str
    usage: Tokens | None = None


class Error(Typed, frozen=True, tag="error"):
    """Server: a refusal or a failure, as a sentence and as a code."""

    error: str
    code: str | None = None

    @property
    def message(self) -> str:
        """The text of the error."""
        return self.error


BEGIN = "input_audio_buffer.commit"
FINISH = "input_audio_buffer.commit final"
UPDATE = "session.update"
RATE = 16_000  # Hz
APPEND = "input_audio_buffer.append"

START = "opening"
OWING = "finishing"  # the state in which the server has yet to send a final
TABLE: Table = {
    Sender.CLIENT: {
        "fresh": {UPDATE: ("idle",), APPEND: ("fresh",)},
        "idle": {UPDATE: ("idle",), APPEND: ("idle",), BEGIN: ("hearing",)},
        "hearing": {
            UPDATE: ("hearing",),
            APPEND: ("hearing",),
            BEGIN: ("hearing",),  # a second commit is ignored
            FINISH: ("finishing",),
        },
        "finishing": {UPDATE: ("finishing",)},
    },
    # An error may mean that the update was refused or that the utterance has failed.
    Sender.SERVER: {
        "opening": {"session.created": ("fresh",)},
        "fresh": {"session.updated": ("fresh",), "error": ("fresh",)},
        "idle": {"session.updated": ("idle",), "error": ("idle", "fresh")},
        "hearing": {
            "session.updated": ("hearing",),
            "transcription.delta": ("hearing",),
            "error": ("hearing", "idle", "fresh"),
        },
        "finishing": {
            "session.updated": ("finishing",),
            "transcription.delta": ("finishing",),
            "transcription.done": ("idle",),
            "error": ("finishing", "idle", "fresh"),
        },
    },
}

SHAPES = Shapes(
    {
        Sender.CLIENT: (SessionUpdate, Append, CommitEvent),
        Sender.SERVER: (SessionCreated, SessionUpdated, Delta, Done, Error),
    }
)
