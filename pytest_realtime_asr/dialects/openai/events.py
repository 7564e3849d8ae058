"""OpenAI's realtime transcription, as of its general release (November 2026).

The module `reference` has an outline of a session.

Several items may be transcribed at a time and completed in any order. A server that
detects turns commits them itself, after ``speech_started`` and ``speech_stopped``.

These events are the *general shape* of the protocol. The *beta shape* differs: all
fields of the session are on one level, the events of the session have other names, and
items are announced by ``conversation.item.created``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.trace.json_events import Shapes, Typed, Whole
from pytest_realtime_asr.trace.records import Sender

# Events of a client


class _ClientEvent(Typed, frozen=True, kw_only=True):
    """An event of a client; an error that it causes repeats its ``event_id``."""

    event_id: str | None = None


class SessionUpdate(_ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Client: change those fields of the session that this event contains."""

    session: dict[str, Any]


class BetaUpdate(
    _ClientEvent, frozen=True, kw_only=True, tag="transcription_session.update"
):
    """Client, beta: change those fields of the session that this event contains."""

    session: dict[str, Any]


class Append(_ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Client: the next audio, in base64."""

    audio: str


class Commit(_ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """Client: make an item of the audio since the last commit."""


class Clear(_ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Client: discard the audio that is not committed."""


class Done(_ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.done"):
    """Client, Riva: the audio of the session is complete."""


# Events of a server


class _ServerEvent(Typed, frozen=True, kw_only=True):
    """An event of a server; ``event_id`` is unique in the session."""

    event_id: str = ""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed fields of a session; the frame in the trace may have more fields."""

    id: str = ""
    type: str = ""
    object: str = ""
    expires_at: float | None = None
    audio: Any = UNSET
    turn_detection: Any = UNSET
    modalities: list[str] | None = None
    input_audio_format: str | None = None
    input_audio_transcription: Any = UNSET

    @property
    def flat(self) -> bool:
        """Return whether all fields are on one level, as in the beta shape."""
        return self.modalities is not None or self.input_audio_format is not None

    def has_shape(self, *, beta: bool) -> bool:
        """Return whether the session has the fields of the general shape.

        If ``beta`` is true, return whether it has those of the beta shape. In another
        protocol, the session in ``session.created`` has neither shape.
        """
        if beta:
            return self.flat and self.input_audio_transcription is not UNSET
        return not self.flat and (self.type != "" or self.audio is not UNSET)


class SessionCreated(_ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """Server: the session is open."""

    session: Identity

    @property
    def identity(self) -> Identity:
        """The parsed fields of the session."""
        return self.session


class BetaCreated(
    _ServerEvent, frozen=True, kw_only=True, tag="transcription_session.created"
):
    """Server, beta: the session is open."""

    session: Identity

    @property
    def identity(self) -> Identity:
        """The parsed fields of the session."""
        return self.session


class ConversationCreated(
    _ServerEvent, frozen=True, kw_only=True, tag="conversation.created"
):
    """Server, Riva: the session is open."""

    conversation: Identity = Identity()

    @property
    def identity(self) -> Identity:
        """The conversation, which Riva sends instead of the session."""
        return self.conversation


class SessionUpdated(_ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """Server: the update is accepted; ``session`` is the resulting session."""

    session: dict[str, Any]


class BetaUpdated(
    _ServerEvent, frozen=True, kw_only=True, tag="transcription_session.updated"
):
    """Server, beta: the update is accepted; ``session`` is the resulting session."""

    session: dict[str, Any]


class Committed(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.committed"
):
    """Server: the committed audio is now an item, after ``previous_item_id``."""

    item_id: str
    previous_item_id: str | None = None


class Cleared(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"
):
    """Server: the audio that was not committed has been discarded."""


class SpeechStarted(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """Server: speech started; ``audio_start_ms`` counts from the start of the audio."""

    item_id: str
    audio_start_ms: Whole


class SpeechStopped(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """Server: speech ended; ``audio_end_ms`` includes the silence after the speech."""

    item_id: str
    audio_end_ms: Whole


class TimeoutTriggered(
    _ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """Server: no speech was detected during the idle timeout of turn detection."""

    item_id: str
    audio_start_ms: Whole
    audio_end_ms: Whole


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed fields of an item."""

    id: str
    type: str = ""
    status: str | None = None


class _Announced(_ServerEvent, frozen=True, kw_only=True):
    item: Item
    previous_item_id: str | None = None


class ItemAdded(_Announced, frozen=True, kw_only=True, tag="conversation.item.added"):
    """Server: the item was added to the conversation."""


class ItemDone(_Announced, frozen=True, kw_only=True, tag="conversation.item.done"):
    """Server: the item's audio is complete."""


class ItemCreated(
    _Announced, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """Server, beta: the item was added to the conversation."""


class Logprob(msgspec.Struct, frozen=True, kw_only=True):
    """The log probability of a token; ``bytes`` is the token in UTF-8."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class _OfItem(_ServerEvent, frozen=True, kw_only=True):
    item_id: str
    content_index: Whole | None = None


_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Delta(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.delta"):
    """Server: more text of an item; this text may be empty."""

    delta: str | None = None
    logprobs: list[Logprob] | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """The usage of an item: tokens, or the seconds of its audio."""

    type: str
    input_tokens: Whole | None = None
    output_tokens: Whole | None = None
    total_tokens: Whole | None = None
    seconds: float | None = None


class Completed(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.completed"):
    """Server: the whole text of an item."""

    transcript: str
    usage: Counted | None = None
    logprobs: list[Logprob] | None = None
    is_last_result: bool = True  # Riva: false if more text of the item follows


class Segment(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.segment"):
    """Server: a part of the text, its speaker, and its times in the audio (seconds)."""

    id: str
    text: str
    speaker: str
    start: float
    end: float


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The details of an error; ``event_id`` names the client's event that caused it."""

    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class Failed(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.failed"):
    """Server: the transcription of an item has failed."""

    error: Problem


class Error(_ServerEvent, frozen=True, kw_only=True, tag="error"):
    """Server: a refusal or a failure; the session continues after most errors."""

    error: Problem

    @property
    def code(self) -> str | None:
        """The code of the error."""
        return self.error.code

    @property
    def message(self) -> str | None:
        """The message of the error."""
        return self.error.message


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit, how much of it remains, and when it is reset."""

    name: str | None = None
    limit: Whole | None = None
    remaining: Whole | None = None
    reset_seconds: float | None = None


class RateLimits(_ServerEvent, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """Server: the rate limits of the client."""

    rate_limits: list[Limit]


SHAPES = Shapes(
    {
        Sender.CLIENT: (SessionUpdate, BetaUpdate, Append, Commit, Clear, Done),
        Sender.SERVER: (
            SessionCreated,
            BetaCreated,
            ConversationCreated,
            SessionUpdated,
            BetaUpdated,
            Committed,
            Cleared,
            SpeechStarted,
            SpeechStopped,
            TimeoutTriggered,
            ItemAdded,
            ItemDone,
            ItemCreated,
            Delta,
            Completed,
            Segment,
            Failed,
            Error,
            RateLimits,
        ),
    }
)
UPDATE = "session.update"
BETA_UPDATE = "transcription_session.update"
APPEND = "input_audio_buffer.append"
COMMIT = "input_audio_buffer.commit"
CLEAR = "input_audio_buffer.clear"
DONE = "input_audio_buffer.done"
DELTA = f"{_TRANSCRIPTION}.delta"
COMPLETED = f"{_TRANSCRIPTION}.completed"
FAILED = f"{_TRANSCRIPTION}.failed"

# The order of the events of a session; checks of items cover the order within an item.
# The state *owing* lasts from a commit until the item is completed or fails. Open items
# are not counted: after a completion, other items may be open, or none.
START = "opening"
OWING = "owing"


def _everywhere(state: str) -> dict[str, tuple[str, ...]]:
    """Return the events that a server may send in any state, with their next states.

    The next state is always ``state``, since none of these events changes it.
    """
    kinds = (
        "session.updated",
        "transcription_session.updated",
        "input_audio_buffer.cleared",
        "input_audio_buffer.timeout_triggered",
        "rate_limits.updated",
        "error",
    )
    return dict.fromkeys(kinds, (state,))


def _receiving(state: str) -> dict[str, tuple[str, ...]]:
    """Return the events that a server may send while it receives audio.

    The next state after each event is ``state``.
    """
    return {
        **_everywhere(state),
        "input_audio_buffer.speech_started": (state,),
        "input_audio_buffer.speech_stopped": (state,),
        DELTA: (state,),
        "conversation.item.created": (state,),
    }


def _transcribing(
    state: str, *completed: str, refused: str = ""
) -> dict[str, tuple[str, ...]]:
    """Return the events that a server may send while it transcribes items.

    Each event is mapped to its possible next states. ``state`` is possible after every
    event. The states ``completed`` are also possible after a completion or a failure.
    The state ``refused`` is also possible after an error.
    """
    names = (
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{_TRANSCRIPTION}.segment",
    )
    return {
        **_receiving(state),
        **dict.fromkeys(names, (state,)),
        COMPLETED: (state, *completed),
        FAILED: (state, *completed),
        "error": (state, refused) if refused else (state,),
    }


TABLE: Table = {
    Sender.CLIENT: {
        "fresh": {
            UPDATE: ("idle",),
            BETA_UPDATE: ("idle",),
            APPEND: ("default",),
            COMMIT: ("fresh",),
            CLEAR: ("fresh",),
            DONE: ("fresh",),
        },
        # Without an update the server's default applies: the server may detect turns.
        "default": {
            UPDATE: ("both",),
            BETA_UPDATE: ("both",),
            APPEND: ("default",),
            COMMIT: ("default",),
            CLEAR: ("default",),
            DONE: ("default",),
        },
        "idle": {
            UPDATE: ("idle",),
            BETA_UPDATE: ("idle",),
            APPEND: ("hearing",),
            COMMIT: (OWING,),  # the answer is an error at least
            CLEAR: ("idle",),
            DONE: ("idle",),
        },
        "hearing": {
            UPDATE: ("hearing",),
            BETA_UPDATE: ("hearing",),
            APPEND: ("hearing",),
            COMMIT: (OWING,),
            CLEAR: ("idle",),
            DONE: (OWING,),
        },
        OWING: {
            UPDATE: (OWING,),
            BETA_UPDATE: (OWING,),
            APPEND: ("both",),
            COMMIT: (OWING,),
            CLEAR: (OWING,),
            DONE: (OWING,),
        },
        "both": {
            UPDATE: ("both",),
            BETA_UPDATE: ("both",),
            APPEND: ("both",),
            COMMIT: (OWING,),
            CLEAR: (OWING,),
            DONE: (OWING,),
        },
    },
    Sender.SERVER: {
        START: {
            "session.created": ("fresh",),
            "transcription_session.created": ("fresh",),
            "conversation.created": ("fresh",),
        },
        "fresh": _everywhere("fresh"),
        "default": _transcribing("default"),
        "idle": {**_everywhere("idle"), "error": ("idle", "fresh")},
        "hearing": {
            **_receiving("hearing"),
            # after turn detection
            "input_audio_buffer.committed": ("both", OWING),
        },
        # The audio of a refused commit can be committed again.
        OWING: _transcribing(OWING, "idle", refused="hearing"),
        "both": _transcribing("both", "hearing", refused="hearing"),
    },
}
