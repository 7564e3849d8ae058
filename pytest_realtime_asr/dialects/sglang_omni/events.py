"""SGLang-Omni's own transcription protocol, as of release 0.1.9 (November 2026).

The module `reference` has an outline of a session.

The server divides the audio into segments and numbers them. It sends the text of a
segment again and again, until the event with ``is_final`` settles the text. The commit
of the client ends the open segment. The server also ends segments by itself if its
model limits their length, or if the server detects speech. So an utterance may have
several segments.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.trace.json_events import Shapes, Typed, Whole
from pytest_realtime_asr.trace.records import Sender

UPDATE = "session.update"
APPEND = "input_audio_buffer.append"
COMMIT = "input_audio_buffer.commit"
CLEAR = "input_audio_buffer.clear"
DONE = "transcription.done"
CREATED = "session.created"
UPDATED = "session.updated"
COMMITTED = "input_audio_buffer.committed"
CLEARED = "input_audio_buffer.cleared"
STARTED = "input_audio_buffer.speech_started"
STOPPED = "input_audio_buffer.speech_stopped"
SEGMENT = "transcription.segment"
COMPLETED = "transcription.completed"
ERROR = "error"

# Events of a client


class _ClientEvent(Typed, frozen=True, kw_only=True):
    """An event of a client.

    No event of the server refers to the ``event_id`` of a client's event.
    """

    event_id: str | None = None


class SessionUpdate(_ClientEvent, frozen=True, kw_only=True, tag=UPDATE):
    """Client: change the settings that this event contains."""

    session: dict[str, Any]


class Append(_ClientEvent, frozen=True, kw_only=True, tag=APPEND):
    """Client: the next audio, in base64."""

    audio: str


class Commit(_ClientEvent, frozen=True, kw_only=True, tag=COMMIT):
    """Client: the audio of the utterance is complete."""


class Clear(_ClientEvent, frozen=True, kw_only=True, tag=CLEAR):
    """Client: discard the audio that is not committed."""


class Done(_ClientEvent, frozen=True, kw_only=True, tag=DONE):
    """Client: the audio of the whole session is complete."""


# Events of a server


class _ServerEvent(Typed, frozen=True, kw_only=True):
    """An event of a server.

    ``event_id`` is unique in the session. ``event_index`` counts the events of the
    session from 1.
    """

    event_id: str
    event_index: Whole


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a session."""

    id: str
    object: str
    model: str
    intent: str
    input_audio_format: str
    language: str | None
    decode_interval_ms: Whole
    turn_detection: dict[str, Any] | None


class SessionCreated(_ServerEvent, frozen=True, kw_only=True, tag=CREATED):
    """Server: the session is open."""

    session: Identity


class SessionUpdated(_ServerEvent, frozen=True, kw_only=True, tag=UPDATED):
    """Server: the update was accepted; ``session`` has all settings."""

    session: Identity


class Committed(_ServerEvent, frozen=True, kw_only=True, tag=COMMITTED):
    """Server: the audio of this segment is complete."""

    segment_id: Whole


class Cleared(_ServerEvent, frozen=True, kw_only=True, tag=CLEARED):
    """Server: the audio that was not committed is discarded."""


class SpeechStarted(_ServerEvent, frozen=True, kw_only=True, tag=STARTED):
    """Server, with turn detection: speech has started, which opens a segment."""

    segment_id: Whole
    audio_start_ms: Whole


class SpeechStopped(_ServerEvent, frozen=True, kw_only=True, tag=STOPPED):
    """Server, with turn detection: the speech of a segment has ended."""

    segment_id: Whole | None
    audio_end_ms: Whole


class Segment(_ServerEvent, frozen=True, kw_only=True, tag=SEGMENT):
    """Server: the whole text of a segment; it replaces the earlier text of the segment.

    The times are in ms from the start of the session's audio. ``is_final`` settles the
    text.
    """

    segment_id: Whole
    audio_start_ms: Whole
    audio_end_ms: Whole
    text: str
    is_final: bool

    @property
    def move(self) -> str:
        """The move of this event in the order of events: ``FINAL`` or ``SEGMENT``."""
        return FINAL if self.is_final else SEGMENT


class Completed(_ServerEvent, frozen=True, kw_only=True, tag=COMPLETED):
    """Server: the answer to ``transcription.done``, with the text of all segments."""

    text: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an error.

    ``type`` is ``invalid_request_error`` or ``server_error``.
    """

    type: str
    message: str
    code: str | None = None


class Error(_ServerEvent, frozen=True, kw_only=True, tag=ERROR):
    """Server: a frame was refused, or a transcription failed."""

    error: Problem


FINAL = f"{SEGMENT} final"
RATE = 16_000  # Hz

START = "opening"
OWING = "finishing"  # the state in which the server has yet to send a final
BOTH = "overlapping"  # the same, while the client sends the next audio
ENDING = "ending"
OVER = "over"


def _idle(state: str) -> dict[str, tuple[str, ...]]:
    """Return the moves that a server can make in ``state`` without leaving it."""
    return {
        move: (state,)
        for move in (UPDATED, CLEARED, STARTED, STOPPED, COMMITTED, ERROR)
    }


def _owing(state: str, over: str) -> dict[str, tuple[str, ...]]:
    """Return the server's moves in ``state``, each with the states that may follow.

    In ``state``, at least one committed segment has no final yet. A final or an error
    leads to ``over`` if it ends the last of these segments. Otherwise, the state stays
    the same.
    """
    return {
        **_idle(state),
        SEGMENT: (state,),
        FINAL: (state, over),
        ERROR: (state, over),
    }


TABLE: Table = {
    Sender.CLIENT: {
        "idle": {
            UPDATE: ("idle",),
            APPEND: ("hearing",),
            COMMIT: ("idle",),  # of an empty buffer
            CLEAR: ("idle",),
            DONE: (ENDING,),
        },
        "hearing": {
            UPDATE: ("hearing",),
            APPEND: ("hearing",),
            COMMIT: (OWING,),
            CLEAR: ("idle",),
            DONE: (ENDING,),
        },
        OWING: {
            UPDATE: (OWING,),
            APPEND: (BOTH,),
            COMMIT: (OWING,),
            CLEAR: (OWING,),
            DONE: (ENDING,),
        },
        BOTH: {
            UPDATE: (BOTH,),
            APPEND: (BOTH,),
            COMMIT: (OWING,),
            CLEAR: (OWING,),
            DONE: (ENDING,),
        },
    },
    Sender.SERVER: {
        START: {CREATED: ("idle",)},
        "idle": _idle("idle"),
        # The server may end segments by itself.
        "hearing": {
            **_idle("hearing"),
            SEGMENT: ("hearing",),
            FINAL: ("hearing",),
            ERROR: ("hearing", "idle"),  # the audio may have been refused
        },
        OWING: _owing(OWING, "idle"),
        BOTH: _owing(BOTH, "hearing"),
        ENDING: {
            **_idle(ENDING),
            SEGMENT: (ENDING,),
            FINAL: (ENDING,),
            COMPLETED: (OVER,),
        },
        OVER: {ERROR: (OVER,)},
    },
}

SHAPES = Shapes(
    {
        Sender.CLIENT: (SessionUpdate, Append, Commit, Clear, Done),
        Sender.SERVER: (
            SessionCreated,
            SessionUpdated,
            Committed,
            Cleared,
            SpeechStarted,
            SpeechStopped,
            Segment,
            Completed,
            Error,
        ),
    }
)
