"""The server's side of a session, for the fake server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_realtime_asr.dialect_api import (
    Frame,
    HttpRefusal,
    Malformed,
    Reaction,
    Request,
    Sender,
    Unknown,
    Usage,
    encode,
)
from steno_dialect.events import (
    RATE,
    SHAPES,
    Audio,
    End,
    Error,
    Interim,
    Segment,
    audio_message,
)

_SEGMENT = 4  # words


def refusal(request: Request, models: Sequence[str]) -> HttpRefusal | None:
    """Return the refusal of a request for an unknown model, else ``None``."""
    model = request.first("model")
    if model in models:
        return None
    return HttpRefusal(400, f"there is no model {model!r}")


class Server:
    """Settles a segment of four words as soon as the next word comes."""

    rate = RATE

    def __init__(self, request: Request) -> None:
        self._interim = request.first("interim") != "no"
        self._begun = self._complete = False
        self._samples = 0
        self._open = ""  # the text of the open segment
        self._start = 0.0  # s, of the open segment

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return ()

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, str):
            return self._hear_text(frame)
        return self._hear_audio(frame)

    def _hear_text(self, text: str) -> Reaction:
        match SHAPES.read(text, Sender.CLIENT):
            case Malformed(reason=reason):
                return _refused("bad_frame", reason)
            case Unknown(type=kind):
                return _refused("unknown_event", f"unknown event type: {kind}")
        return Reaction()

    def _hear_audio(self, data: bytes) -> Reaction:
        match audio_message(data):
            case Malformed(reason=reason):
                return _refused("bad_frame", reason)
            case _ if self._complete:
                return _refused("late_audio", "the audio is already complete")
            case Audio(samples=samples):
                begin, self._begun = not self._begun, True
                self._samples += samples
                return Reaction(begin=begin, audio=data)
        self._complete = True
        return Reaction(
            begin=not self._begun, finish=True, close=1000, after_finals=True
        )

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        frames = []
        if added.startswith(" ") and len(self._open.split()) >= _SEGMENT:
            frames.append(self._settle())
        self._open += added
        if self._interim:
            frames.append(encode(Interim(self._open.strip())))
        return frames

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        segments = [self._settle()] if self._open else []
        return (*segments, encode(End(text)))

    def expire(self) -> Reaction:
        return Reaction(close=1001, reason="the session is too long")

    def _settle(self) -> str:
        """Return the event that settles the open segment, and open the next one."""
        end = self._samples / RATE
        segment = Segment(self._open.strip(), self._start, end)
        self._open, self._start = "", end
        return encode(segment)


def _refused(code: str, message: str) -> Reaction:
    return Reaction(replies=(encode(Error(code, message)),))
