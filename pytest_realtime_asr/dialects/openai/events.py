"""OpenAI's realtime transcription, as of its general release (November 2026).

    server  session.created
    client  session.update {session: {type: transcription, audio: {input: ...}}}
    server  session.updated                       what holds now, or an error
    client  input_audio_buffer.append {audio} ... PCM16 mono 24 kHz (or G.711), base64
    client  input_audio_buffer.commit             where the server does not end turns
    server  input_audio_buffer.committed          the audio is now an item, with an id
    server  conversation.item.input_audio_transcription.delta {item_id, delta} ...
    server  conversation.item.input_audio_transcription.completed {item_id, transcript}

Several items may be in transcription at a time and be completed in any order. Where the
server detects turns, it commits by itself, between ``speech_started`` and
``speech_stopped``. The beta shape has a flat session under another name, and announces
items by ``conversation.item.created``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.trace.json_events import Shapes, Typed, Whole
from pytest_realtime_asr.trace.records import Sender

# What a client says


class _Said(Typed, frozen=True, kw_only=True):
    """An event of a client: ``event_id`` is repeated in an error that it leads to."""

    event_id: str | None = None


class SessionUpdate(_Said, frozen=True, kw_only=True, tag="session.update"):
    """Client: hold the session so; only fields that are there change anything."""

    session: dict[str, Any]


class BetaUpdate(_Said, frozen=True, kw_only=True, tag="transcription_session.update"):
    """Client, beta: the same with a flat session."""

    session: dict[str, Any]


class Append(_Said, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Client: more audio."""

    audio: str


class Commit(_Said, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """Client: the audio since the last one is an item."""


class Clear(_Said, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Client: forget the audio that was not committed."""


class Done(_Said, frozen=True, kw_only=True, tag="input_audio_buffer.done"):
    """Client, Riva: no more audio will come."""


# What a server says


class _Told(Typed, frozen=True, kw_only=True):
    """An event of a server; its id is its own within the session."""

    event_id: str = ""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a session; the whole of it is in the record."""

    id: str = ""
    type: str = ""
    object: str = ""
    expires_at: float | None = None
    audio: Any = UNSET
    turn_detection: Any = UNSET
    modalities: list[str] | None = None
    input_audio_format: str | None = None

    @property
    def flat(self) -> bool:
        """Whether it is of the beta shape, which has all fields on one level."""
        return self.modalities is not None or self.input_audio_format is not None


class SessionCreated(_Told, frozen=True, kw_only=True, tag="session.created"):
    """Server: the session may begin."""

    session: Identity

    @property
    def identity(self) -> Identity:
        """Of the session."""
        return self.session


class BetaCreated(
    _Told, frozen=True, kw_only=True, tag="transcription_session.created"
):
    """Server, beta: the session may begin."""

    session: Identity

    @property
    def identity(self) -> Identity:
        """Of the session."""
        return self.session


class ConversationCreated(_Told, frozen=True, kw_only=True, tag="conversation.created"):
    """Server, Riva: the session may begin."""

    conversation: Identity = Identity()

    @property
    def identity(self) -> Identity:
        """Of the conversation, in the place of the session's."""
        return self.conversation


class SessionUpdated(_Told, frozen=True, kw_only=True, tag="session.updated"):
    """Server: the update holds; the session as it is now."""

    session: dict[str, Any]


class BetaUpdated(
    _Told, frozen=True, kw_only=True, tag="transcription_session.updated"
):
    """Server, beta: the update holds."""

    session: dict[str, Any]


class Committed(_Told, frozen=True, kw_only=True, tag="input_audio_buffer.committed"):
    """Server: the audio is an item, which follows another one."""

    item_id: str
    previous_item_id: str | None = None


class Cleared(_Told, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"):
    """Server: the audio that was not committed is forgotten."""


class SpeechStarted(
    _Told, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """Server: speech began there, counted in ms from the first audio of the session."""

    item_id: str
    audio_start_ms: Whole


class SpeechStopped(
    _Told, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """Server: speech ended, and the silence after it was long enough there."""

    item_id: str
    audio_end_ms: Whole


class TimeoutTriggered(
    _Told, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """Server: nothing was said for the time that the session allows."""

    item_id: str
    audio_start_ms: Whole
    audio_end_ms: Whole


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of an item."""

    id: str
    type: str = ""
    status: str | None = None


class _Announced(_Told, frozen=True, kw_only=True):
    item: Item
    previous_item_id: str | None = None


class ItemAdded(_Announced, frozen=True, kw_only=True, tag="conversation.item.added"):
    """Server: the item is in the conversation."""


class ItemDone(_Announced, frozen=True, kw_only=True, tag="conversation.item.done"):
    """Server: the item's audio is complete."""


class ItemCreated(
    _Announced, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """Server, beta: the item is in the conversation."""


class Logprob(msgspec.Struct, frozen=True, kw_only=True):
    """How likely a token was; ``bytes`` are those of its text."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class _OfItem(_Told, frozen=True, kw_only=True):
    item_id: str
    content_index: Whole | None = None


_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Delta(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.delta"):
    """Server: the text of an item goes on with this; may be empty."""

    delta: str | None = None
    logprobs: list[Logprob] | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What the server counted for an item: tokens, or the seconds of its audio."""

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
    is_last_result: bool = True  # Riva: whether the stream ends here


class Segment(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.segment"):
    """Server: a piece of the text, its speaker, and its time in the audio in s."""

    id: str
    text: str
    speaker: str
    start: float
    end: float


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong; ``event_id`` is that of the client's event that led to it."""

    message: str | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class Failed(_OfItem, frozen=True, kw_only=True, tag=f"{_TRANSCRIPTION}.failed"):
    """Server: an item has no text, and will have none."""

    error: Problem


class Error(_Told, frozen=True, kw_only=True, tag="error"):
    """Server: a refusal or a failure; the session goes on after most of them."""

    error: Problem

    @property
    def code(self) -> str | None:
        """That of the problem."""
        return self.error.code

    @property
    def message(self) -> str | None:
        """That of the problem."""
        return self.error.message


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How much of something is left, and when it is full again."""

    name: str | None = None
    limit: Whole | None = None
    remaining: Whole | None = None
    reset_seconds: float | None = None


class RateLimits(_Told, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """Server: what may be asked for yet."""

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

# The order, as far as it is one of the session; that of each item is told by its id.
# An item is *owing* from its commit to its completion. How many are is not counted: a
# completion may be that of the last one, or not.
START = "opening"
OWING = "owing"


def _everywhere(state: str) -> dict[str, tuple[str, ...]]:
    """What a server may say in a session that is set up, and stays as it is."""
    said = (
        "session.updated",
        "transcription_session.updated",
        "input_audio_buffer.cleared",
        "input_audio_buffer.timeout_triggered",
        "rate_limits.updated",
        "error",
    )
    return dict.fromkeys(said, (state,))


def _hears(state: str) -> dict[str, tuple[str, ...]]:
    """What it may say of speech that it is hearing; it may commit it by itself."""
    return {
        **_everywhere(state),
        "input_audio_buffer.speech_started": (state,),
        "input_audio_buffer.speech_stopped": (state,),
        DELTA: (state,),
        "conversation.item.created": (state,),
    }


def _tells(state: str, *paid: str, refused: str = "") -> dict[str, tuple[str, ...]]:
    """What it may say of items that it owes.

    The states ``paid`` may follow a completion, ``refused`` may follow an error.
    """
    names = (
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{_TRANSCRIPTION}.segment",
    )
    return {
        **_hears(state),
        **dict.fromkeys(names, (state,)),
        COMPLETED: (state, *paid),
        FAILED: (state, *paid),
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
        # What nobody has set up is as the server has it: it may detect turns.
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
            COMMIT: (OWING,),  # an error at least
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
        "default": _tells("default"),
        "idle": {**_everywhere("idle"), "error": ("idle", "fresh")},
        "hearing": {
            **_hears("hearing"),
            # by its own detection of turns
            "input_audio_buffer.committed": ("both", OWING),
        },
        # The audio of a commit that is refused is still there.
        OWING: _tells(OWING, "idle", refused="hearing"),
        "both": _tells("both", "hearing", refused="hearing"),
    },
}
