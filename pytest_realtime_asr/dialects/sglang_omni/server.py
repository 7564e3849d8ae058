"""The server's side of SGLang-Omni's protocol."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pytest_realtime_asr.dialects import Reaction, Request
from pytest_realtime_asr.dialects.sglang_omni.events import (
    ERROR,
    RATE,
    SHAPES,
    Append,
    Clear,
    Cleared,
    Commit,
    Committed,
    Completed,
    Done,
    Error,
    Identity,
    Problem,
    Segment,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
)
from pytest_realtime_asr.dialects.sglang_omni.reader import OVERFLOW
from pytest_realtime_asr.trace.json_events import Malformed, Unknown, encode
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import Usage

EMPTY = "input_audio_buffer_commit_empty"
LONGEST = 600  # s of audio that is not committed
_INTERVAL = 2000  # ms of audio between two texts of a segment
_SETTINGS = ("language", "turn_detection", "input_audio_format")


class Server:
    """The server's side of SGLang-Omni 0.1.9, for a model without turn detection.

    Such a model does not limit the length of a segment, so each utterance is one
    segment. The texts of segments are sent in the order of their numbers.

    Unlike SGLang-Omni 0.1.9, this server answers a commit without audio. It also
    refuses audio with characters outside base64, JSON that is nested too deeply, and a
    number with too many digits.
    """

    rate = RATE

    def __init__(self, models: Sequence[str]) -> None:
        self._model = next(iter(models), "")
        self._session = ""
        self._language: str | None = None
        self._events = 0
        self._received = 0  # samples of the session
        self._buffered = 0  # of these, samples that are not committed
        self._is_open = False  # whether a segment has audio and is not committed
        self._is_done = False  # whether the client has declared the audio complete
        self._starts: list[int] = []  # the first sample of each segment
        self._ends: dict[int, int] = {}  # the sample after each committed segment
        self._texts: dict[int, str] = {}  # of each segment
        self._decoded: set[int] = set()  # segments whose final text is known
        self._over: set[int] = set()  # segments that are settled or discarded
        self._turn = 0  # the first segment that is not over; only its text is sent

    def open(self, session: str, created: int) -> Iterable[str]:
        self._session = session
        yield self._created()

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return self._refuse("invalid_json", "Binary frames are not supported.")
        message = SHAPES.read(frame, Sender.CLIENT)
        match message:
            case Malformed(json=False):
                return self._refuse("invalid_json", "Invalid JSON event.")
            case Malformed(reason=reason):
                return self._refuse("invalid_event", reason)
            case Unknown(type=kind):
                return self._refuse(
                    "unsupported_event", f"Unsupported event type: {kind!r}"
                )
            case _ if self._is_done:
                return self._refuse(
                    "input_already_done",
                    f"{message.move} is not accepted after transcription.done.",
                )
            case SessionUpdate(session=asked):
                return self._update(asked)
            case Append(audio=audio):
                return self._append(audio)
            case Commit() if self._is_open:
                return Reaction((self._commit(),), finish=True)
            case Commit():
                return self._refuse(EMPTY, "The buffer has no audio.")
            case Clear():
                return self._clear()
            case Done():
                return self._done()
        raise AssertionError(f"{message.move} is not handled")

    def _update(self, asked: dict[str, Any]) -> Reaction:
        wrong = _wrong(asked)
        if wrong is not None:
            return self._refuse("invalid_event", wrong)
        if self._buffered and ("language" in asked or "turn_detection" in asked):
            return self._refuse(
                "session_active",
                "The language and the turn detection cannot change while audio is "
                "buffered.",
            )
        if asked.get("turn_detection") is not None:
            return self._refuse(
                "unsupported_turn_detection", "This model does not detect turns."
            )
        if "language" in asked:
            language = asked["language"]
            self._language = language.strip() if language else None
        return Reaction((self._updated(),))

    def _append(self, audio: str) -> Reaction:
        try:
            pcm = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            return self._refuse("invalid_audio", "The audio is not base64.")
        if len(pcm) % 2:
            return self._refuse("invalid_audio", "The audio ends in half a sample.")
        samples = len(pcm) // 2
        if self._buffered + samples > LONGEST * RATE:
            return self._refuse(
                OVERFLOW, f"The buffer holds at most {LONGEST} s of audio."
            )
        begins = bool(samples) and not self._is_open
        if begins:
            self._texts[len(self._starts)] = ""
            self._starts.append(self._received)
            self._is_open = True
        self._received += samples
        self._buffered += samples
        return Reaction(begin=begins, audio=pcm)

    def _commit(self) -> str:
        """Commit the open segment; return the event that announces the commit."""
        segment = len(self._starts) - 1
        self._ends[segment] = self._received
        self._is_open, self._buffered = False, 0
        return encode(Committed(**self._numbered(), segment_id=segment))

    def _clear(self) -> Reaction:
        drop, self._is_open, self._buffered = self._is_open, False, 0
        if drop:
            segment = len(self._starts) - 1
            del self._texts[segment]
            self._end(segment)
        return Reaction((encode(Cleared(**self._numbered())),), drop=drop)

    def _done(self) -> Reaction:
        self._is_done = True
        if self._is_open:
            return Reaction((self._commit(),), finish=True)
        return Reaction(tuple(self._completed()))

    def expire(self) -> Reaction:
        return Reaction(close=1001)

    def partial(self, added: str, item: int) -> Iterable[str]:
        self._texts[item] = self._texts.get(item, "") + added
        if item == self._turn:
            yield self._segment(item, is_final=False)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        self._texts[item] = text
        self._decoded.add(item)
        while self._turn in self._decoded:
            yield self._segment(self._turn, is_final=True)
            self._end(self._turn)
        yield from self._completed()

    def _end(self, segment: int) -> None:
        self._over.add(segment)
        while self._turn in self._over:
            self._turn += 1

    def _completed(self) -> Iterable[str]:
        """Yield ``transcription.completed`` after the last final of the session."""
        if self._is_done and len(self._over) == len(self._starts):
            spoken = (text.strip() for item, text in sorted(self._texts.items()))
            text = " ".join(filter(None, spoken))
            yield encode(Completed(**self._numbered(), text=text))

    # Events

    def _created(self) -> str:
        return encode(SessionCreated(**self._numbered(), session=self._shown()))

    def _updated(self) -> str:
        return encode(SessionUpdated(**self._numbered(), session=self._shown()))

    def _shown(self) -> Identity:
        return Identity(
            id=self._session,
            object="realtime.session",
            model=self._model,
            intent="transcription",
            input_audio_format="pcm16",
            language=self._language,
            decode_interval_ms=_INTERVAL,
            turn_detection=None,
        )

    def _segment(self, item: int, *, is_final: bool) -> str:
        end = self._ends.get(item, self._received)
        return encode(
            Segment(
                **self._numbered(),
                segment_id=item,
                audio_start_ms=_ms(self._starts[item]),
                audio_end_ms=_ms(end),
                text=self._texts[item],
                is_final=is_final,
            )
        )

    def _refuse(self, code: str, message: str) -> Reaction:
        problem = Problem(type="invalid_request_error", message=message, code=code)
        return Reaction((encode(Error(**self._numbered(), error=problem)),))

    def _numbered(self) -> dict[str, Any]:
        """Return the id and the index of the next event; every event has them."""
        self._events += 1
        name = f"evt_{self._session[-12:]}_{self._events}"
        return {"event_id": name, "event_index": self._events}


def _wrong(asked: dict[str, Any]) -> str | None:
    """Return what is wrong in the settings of an update; ``None`` if all are valid."""
    for name, value in asked.items():
        if name not in _SETTINGS:
            return f"session.{name}: there is no such setting"
        is_object = name == "turn_detection"
        if value is not None and not isinstance(value, dict if is_object else str):
            kind = "an object" if is_object else "a text"
            return f"session.{name}: must be {kind} or null"
    if asked.get("input_audio_format") not in (None, "pcm16"):
        return "session.input_audio_format: must be pcm16 or null"
    return None


def _ms(samples: int) -> int:
    return samples * 1000 // RATE


def refusal(request: Request) -> Reaction | None:
    """Return the refusal of a session that is not for transcription, or ``None``.

    The query parameter ``intent`` states the purpose of a session.
    """
    intent = (request.first("intent") or "conversation").strip().casefold()
    if intent == "transcription":
        return None
    problem = Problem(
        type="invalid_request_error",
        message="The intent of the session must be 'transcription'.",
        code="unsupported_realtime_intent",
    )
    # This error is sent before the session opens, so it has no number.
    error = msgspec.json.encode({"type": ERROR, "error": problem}).decode()
    return Reaction((error,), close=1008)
