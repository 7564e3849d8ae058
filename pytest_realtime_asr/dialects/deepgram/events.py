"""Deepgram's protocol for live audio on ``/v1/listen``, as of November 2026.

The module `reference` has an outline of a session. The options of a session are in the
query of the URL; the module `options` lists them.

The server divides the audio into segments. The results of the open segment replace each
other until a result with ``is_final`` settles the segment. All times are in seconds
from the start of the session's audio. The text of an utterance is the text of its
settled segments. No event has the id of an utterance, so utterances are identified only
by their order.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.trace.json_events import Shapes, Typed, Whole
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record, Sender


class Audio(msgspec.Struct, frozen=True):
    """Client: a binary frame with ``size`` bytes of audio."""

    size: int
    move: str = "audio"


class KeepAlive(Typed, frozen=True, tag="KeepAlive"):
    """Client: keep the session open although no audio comes."""


class Finalize(Typed, frozen=True, tag="Finalize"):
    """Client: settle the text of all audio so far; the session goes on."""


class CloseStream(Typed, frozen=True, tag="CloseStream"):
    """Client: no more audio comes; settle the text of all audio and end the session."""


class Word(msgspec.Struct, frozen=True):
    """A word with its times in the audio of the session, in seconds."""

    word: str
    start: float
    end: float
    confidence: float
    punctuated_word: str | None = None


class Alternative(msgspec.Struct, frozen=True):
    """One text of a segment; ``confidence`` is from 0 to 1."""

    transcript: str
    confidence: float
    words: list[Word]


class Channel(msgspec.Struct, frozen=True):
    """The possible texts of an audio channel; the first one is the best."""

    alternatives: Annotated[list[Alternative], msgspec.Meta(min_length=1)]


class Origin(msgspec.Struct, frozen=True):
    """The origin of a result: the ids of the session and of the model."""

    request_id: str
    model_uuid: str


class Results(Typed, frozen=True, tag="Results"):
    """Server: the text of a segment.

    The segment begins ``start`` seconds after the start of the session's audio, and is
    ``duration`` seconds long. ``is_final`` settles the segment. ``speech_final`` says
    that the speaker has paused. ``from_finalize`` says that the server sent the results
    because of `Finalize`.
    """

    channel_index: list[Whole]
    start: float
    duration: float
    is_final: bool
    channel: Channel
    metadata: Origin
    speech_final: bool = False
    from_finalize: bool = False

    @property
    def move(self) -> str:
        """The move of these results: interim, settled, or settled by `Finalize`."""
        if self.from_finalize:
            return FINALIZED
        return SETTLED if self.is_final else INTERIM

    @property
    def end(self) -> float:
        """The end of the segment in the audio of the session, in seconds."""
        return self.start + self.duration

    @property
    def best(self) -> Alternative:
        """The first alternative."""
        return self.channel.alternatives[0]


class SpeechStarted(Typed, frozen=True, tag="SpeechStarted"):
    """Server, if ``vad_events`` is true: speech begins at ``timestamp`` seconds."""

    channel: list[Whole]
    timestamp: float


class UtteranceEnd(Typed, frozen=True, tag="UtteranceEnd"):
    """Server, if ``utterance_end_ms`` is set: no word was spoken during this time.

    The last word ended at ``last_word_end`` seconds.
    """

    channel: list[Whole]
    last_word_end: float


class Metadata(Typed, frozen=True, tag="Metadata"):
    """Server: a summary of the session; its audio is ``duration`` seconds long."""

    request_id: str
    created: str
    duration: float
    channels: Whole
    transaction_key: str | None = None
    sha256: str | None = None


class Error(Typed, frozen=True, tag="Error"):
    """Server: a refusal or a failure; ``message`` may quote what the client sent.

    ``variant`` is the kind of the error; ``code`` is the older name of ``variant``.
    """

    description: str
    variant: str | None = None
    code: str | None = None
    message: str | None = None


RATE = 16_000  # Hz
PATH = "/v1/listen"
AUDIO = "audio"
KEEPALIVE = "KeepAlive"
FINALIZE = "Finalize"
CLOSE = "CloseStream"
INTERIM = "Results"
SETTLED = "Results is_final"
FINALIZED = "Results from_finalize"
SPEECH_STARTED = "SpeechStarted"
UTTERANCE_END = "UtteranceEnd"
METADATA = "Metadata"
ERROR = "Error"

OPENING, IDLE, CLOSING, CLOSED = "opening", "idle", "closing", "closed"
OWING = frozenset({"finalizing", "finalizing several"})
# The states by the number of answers to `Finalize` that the server owes (2 stands for 2
# or more), and by whether audio has come since the last `Finalize`.
_OPEN = {
    (0, False): IDLE,
    (0, True): "hearing",
    (1, False): "finalizing",
    (1, True): "finalizing and hearing",
    (2, False): "finalizing several",
    (2, True): "finalizing several and hearing",
}
_Moves = dict[str, tuple[str, ...]]


def table(*, finalizes: bool, greets: bool) -> Table:
    """Return the order of events.

    ``finalizes`` says that the client may send `Finalize`. ``greets`` says that the
    server opens a session with `Metadata`.
    """
    ended = (OPENING, CLOSING, CLOSED) if greets else (CLOSING, CLOSED)
    # A KeepAlive may cross with what the server sends when a session begins or ends.
    client: dict[str, _Moves] = {state: {KEEPALIVE: (state,)} for state in ended}
    server: dict[str, _Moves] = {}
    if greets:
        server[OPENING] = {METADATA: (IDLE,), ERROR: (CLOSED,)}
    for (owed, hearing), state in _OPEN.items():
        if owed and not finalizes:
            continue
        client[state] = {
            AUDIO: (_OPEN[owed, True],),
            KEEPALIVE: (state,),
            CLOSE: (CLOSING,),
        }
        if finalizes:
            more = _OPEN[min(owed + 1, 2), False]
            # Without audio since the last answer, the server may answer or not.
            client[state][FINALIZE] = (more,) if hearing else (state, more)
        server[state] = {
            SPEECH_STARTED: (state,),
            UTTERANCE_END: (state,),
            ERROR: (state,),
        }
        if hearing or owed:
            server[state] |= {INTERIM: (state,), SETTLED: (state,)}
        if owed:
            fewer = (_OPEN[owed - 1, hearing],)
            server[state][FINALIZED] = (state, *fewer) if owed > 1 else fewer
    last = (INTERIM, SETTLED, FINALIZED, SPEECH_STARTED, UTTERANCE_END, ERROR)
    server[CLOSING] = {**dict.fromkeys(last, (CLOSING,)), METADATA: (CLOSED,)}
    return {Sender.CLIENT: client, Sender.SERVER: server}


SHAPES = Shapes(
    {
        Sender.CLIENT: (KeepAlive, Finalize, CloseStream),
        Sender.SERVER: (
            Results,
            SpeechStarted,
            UtteranceEnd,
            Metadata,
            Error,
        ),
    }
)


def parse(record: Record) -> Message:
    """Return the message in a frame; a binary frame of the client is `Audio`."""
    if record.text is None and record.sender is Sender.CLIENT:
        return Audio(record.length)
    return SHAPES.parse(record)
