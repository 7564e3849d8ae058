"""Plays a session between the client's and the server's side of a dialect.

No socket and no clock are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.dialects import Caller, Dialect, Request, Server, audio_frame
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Frame,
    Record,
    Sender,
    Trace,
    Vantage,
    content,
)
from pytest_realtime_asr.trace.timeline import Usage

MODEL = "model"
WORDS = ("two", " words")  # the texts of the partials
TEXT = "".join(WORDS)
_CHUNK = 0.1  # s
_STEP = 1_000_000  # ns between two frames


@dataclass(frozen=True, slots=True)
class ExampleSession:
    """A session, and what the server understood of its frames.

    ``recording`` is the session as the client saw it. ``sent`` is the number of samples
    of the utterances, and ``heard`` is the number of samples that the server took from
    the frames. The silence that ends an utterance is not counted. ``begun`` is the
    number of frames that the server understood as the start of an utterance, and
    ``finished`` is the number of frames that it understood as the end of an utterance.
    """

    recording: Recording
    sent: int
    heard: int
    begun: int
    finished: int


def play(dialect: Dialect, audio: Audio, *, utterances: int = 1) -> ExampleSession:
    """Play and return a session; the client sends ``audio`` for each utterance.

    ``utterances`` is the number of utterances; the session has fewer if the server
    closes it earlier. Raises LookupError if the server refuses to open the session, and
    all errors of the dialect itself.
    """
    caller = dialect.caller(MODEL, {})
    request = Request.of(f"{dialect.path}?{caller.query}", caller.headers)
    if (refusal := dialect.refusal(request, (MODEL,))) is not None:
        raise LookupError(f"the server refuses to open a session: {refusal}")
    server = dialect.server((MODEL,), request=request)
    play = _Play(dialect, caller, server)
    play.open()
    for item in range(utterances):
        play.utterance(audio.resample(caller.rate), item)
    return play.session()


class _Play:
    """A session in progress."""

    def __init__(self, dialect: Dialect, caller: Caller, server: Server) -> None:
        self._dialect = dialect
        self._caller = caller
        self._server = server
        self._records: list[Record] = []
        self._heard = 0  # bytes
        self._sent = 0  # samples
        self._begun = 0
        self._finished = 0
        self._closed = False

    def open(self) -> None:
        self._receive(self._server.open("sess-1", 0))
        self._send(self._caller.configure())

    def utterance(self, audio: Audio, item: int) -> None:
        if self._closed:
            return
        caller, server = self._caller, self._server
        self._send(caller.begin())
        *chunks, last = self._audio_frames(audio.pcm)
        self._send(chunks)
        for word in WORDS if self._begun > item else ():
            self._receive(server.partial(word, item))
        self._send([last])  # some servers send a text only as the answer to audio
        self._sent += len(audio.pcm) // 2
        heard = self._heard
        self._send(caller.finish())
        silence = 2 * round(caller.tail * caller.rate)
        self._send(self._audio_frames(bytes(silence)))
        self._heard = heard  # without the silence
        if self._finished > item:
            usage = Usage(len(WORDS), len(WORDS), seconds=audio.seconds)
            self._receive(server.final(TEXT, usage, item))

    def session(self) -> ExampleSession:
        trace = Trace(
            vantage=Vantage.CLIENT,
            dialect=self._dialect.name,
            rate=self._caller.rate,
            target="",
            started=datetime.now(UTC),
            opened=0,
            records=tuple(self._records),
            end=End(Ending.CLOSED_BY_US, self._now),
        )
        return ExampleSession(
            dialects.recording(self._dialect, trace),
            sent=self._sent,
            heard=self._heard // 2,
            begun=self._begun,
            finished=self._finished,
        )

    @property
    def _now(self) -> int:
        return (1 + len(self._records)) * _STEP

    def _audio_frames(self, pcm: bytes) -> Sequence[Frame]:
        size = 2 * round(_CHUNK * self._caller.rate)
        return [
            audio_frame(self._caller, pcm[start : start + size])
            for start in range(0, len(pcm), size)
        ]

    def _send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._record(Sender.CLIENT, frame)
            reaction = self._server.hear(frame)
            self._heard += len(reaction.audio)
            self._begun += reaction.begin
            self._finished += reaction.finish
            self._closed |= reaction.close is not None
            self._receive(reaction.replies)

    def _receive(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._record(Sender.SERVER, frame)

    def _record(self, sender: Sender, frame: Frame) -> None:
        self._records.append(Record(sender, self._now, *content(frame)))
