"""The server's side of OpenAI's protocol, in both shapes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.openai import session_setup as sessions
from pytest_realtime_asr.dialects.openai.events import (
    BETA_UPDATE,
    COMPLETED,
    DELTA,
    DONE,
    SHAPES,
    UPDATE,
    Append,
    BetaUpdate,
    Clear,
    Commit,
    Done,
    SessionUpdate,
)
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.dialects.openai.session_setup import (
    LOGPROBS,
    PCM,
    Detection,
    Format,
    Input,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    Transcription,
)
from pytest_realtime_asr.dialects.voice_activity import Detector
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import Usage

_TOO_BIG = 1009  # a close code
_LONGEST_AUDIO = 15 * 2**20  # characters of base64 in one append
_INVALID = "invalid_request_error"
_LIVE = ("gpt-live-transcribe", "gpt-realtime-whisper")  # models without turn detection
_FIELD = re.compile(r"(unknown|missing required) field `(\w+)`")
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_LOGPROB = -0.1  # of each word
_SEMANTIC = 0.8  # s of silence that count as the end of a sentence


class Server:
    """The server's side of a session, which answers the frames of the client.

    By default, the server detects turns, as OpenAI's server does. Each utterance is an
    item; the id of the item is set at the first audio of the utterance.
    """

    def __init__(self, models: Sequence[str], profile: Profile, limit: float) -> None:
        self._models = models
        self._profile = profile
        self._limit = limit
        self._beta = profile.beta
        self._rate = profile.rates[0]
        self._input = Input(
            format=Format("audio/pcm", self._rate),
            transcription=None,
            turn_detection=ServerVad() if profile.vad else None,
            noise_reduction=None,
        )
        self._include: list[str] | None = None
        self._name = self._short = ""
        self._expires = 0
        self._events = 0
        self._items: list[str] = []  # item ids by the number of the utterance
        self._before: str | None = None  # id of the item that was committed last
        self._open = False  # whether an utterance has audio and no commit
        self._committed: set[int] = set()
        self._early: dict[int, str] = {}  # text from before the commit of its item
        self._received = 0  # samples of the session
        self._samples = 0  # samples of the open utterance
        self._detector = self._new_detector()

    @property
    def rate(self) -> int:
        return sessions.rate(self._format, self._rate)

    @property
    def _format(self) -> Format:
        assert isinstance(self._input.format, Format)
        return self._input.format

    # The session

    def open(self, session: str, created: int) -> Iterable[str]:
        self._name, self._expires = session, created + round(self._limit)
        self._short = session[-12:]
        if self._profile.greeting == "conversation.created":
            conversation = {"id": session, "object": "realtime.conversation"}
            return (self._event("conversation.created", conversation=conversation),)
        return (self._event(self._profile.greeting, session=self._shown()),)

    def expire(self) -> Reaction:
        minutes = f"{self._limit / 60:g} minutes"
        text = f"Your session hit the maximum duration of {minutes}."
        error = self._error("session_expired", text, None)
        return Reaction((error,), close=1001, reason=text)

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return self._refuse("invalid_payload", "Binary frames are not supported.")
        message = SHAPES.read(frame, Sender.CLIENT)
        match message:
            case Malformed():
                return self._malformed(message, _named(frame))
            case Unknown(type=None):
                text = "Missing required parameter: 'type'."
                return self._refuse(
                    "missing_required_parameter", text, _named(frame), "type"
                )
            case Unknown(type=kind):
                return self._unknown(kind or "", _named(frame))
            case SessionUpdate(session=content, event_id=name):
                if self._profile.update != UPDATE:
                    return self._unknown(UPDATE, name)
                return self._update(content, name)
            case BetaUpdate(session=content, event_id=name):
                if self._profile.update != BETA_UPDATE:
                    return self._unknown(BETA_UPDATE, name)
                return self._update(content, name)
            case Append(audio=audio, event_id=name):
                return self._append(audio, name)
            case Commit(event_id=name):
                return self._commit(name)
            case Clear():
                return self._clear()
            case Done(event_id=name):
                return self._last(name)
        raise AssertionError(f"no reaction to {message!r}")

    def _update(self, content: dict[str, Any], name: str | None) -> Reaction:
        """Apply all changes of an update, or refuse the whole update."""
        try:
            change, include = sessions.read(content, beta=self._beta)
        except msgspec.ValidationError as error:
            return self._invalid(str(error), name, "session")
        if include is not UNSET and set(include or ()) - {LOGPROBS}:
            text = f"The values of include are {LOGPROBS}."
            return self._refuse("invalid_value", text, name, "session.include")
        refusal = self._unsupported(change)
        if refusal is not None:
            code, text, field = refusal
            place = sessions.place(field, beta=self._beta)
            return self._refuse(code, text, name, place)
        before, rate = self._input, self.rate
        changes = msgspec.structs.asdict(change).items()
        present = {name: value for name, value in changes if value is not UNSET}
        if _live(change):  # even if turn detection was on before
            present.setdefault("turn_detection", None)
        it = sessions.complete(present.get("format", self._format), self._profile)
        self._input = msgspec.structs.replace(before, **present | {"format": it})
        if include is not UNSET:
            self._include = include
        self._received = self._received * self.rate // rate
        if self._input.turn_detection != before.turn_detection or self.rate != rate:
            self._detector = self._new_detector()
        kind = self._profile.update.replace("update", "updated")
        return Reaction((self._event(kind, session=self._shown()),))

    def _unsupported(self, change: Input) -> tuple[str, str, str] | None:
        """Return why a change is refused; ``None`` if the change is accepted.

        The result has three parts: the code of the error, its message, and the field of
        the input settings that is refused.
        """
        profile = self._profile
        match change.format:
            case Format(type=kind) if kind != PCM and not profile.companded:
                return "not_supported", f"{kind} is not supported.", "format"
            case Format(type=kind, rate=int(rate)) if (
                kind != PCM or rate not in profile.rates
            ):
                text = f"A rate of {rate} Hz is not supported."
                return "invalid_value", text, "format.rate"
            case Format() as it if (
                self._open and sessions.rate(it, self._rate) != self.rate
            ):
                text = "The rate cannot change before the audio is committed."
                return "invalid_value", text, "format"
        match change.transcription:
            case Transcription(model=str(model)) if model not in self._models:
                text = f"The model '{model}' does not exist."
                return "model_not_found", text, "transcription.model"
        detects = isinstance(change.turn_detection, Detection)
        if detects and (_live(change) or not profile.vad):
            text = "Turn detection is not supported."
            return "not_supported", text, "turn_detection"
        if isinstance(change.noise_reduction, NoiseReduction) and not profile.vad:
            text = "Noise reduction is not supported."
            return "not_supported", text, "noise_reduction"
        return None

    def _shown(self) -> dict[str, Any]:
        shown = sessions.shown(self._input, self._include, beta=self._beta)
        expires = {"expires_at": self._expires} if self._profile.expires else {}
        return {"id": self._name, **expires, **shown}

    # The audio

    def _append(self, audio: str, name: str | None) -> Reaction:
        if len(audio) > _LONGEST_AUDIO:
            text = "The audio of an event must not be longer than 15 MiB."
            return self._refuse("string_above_max_length", text, name, "audio")
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            return self._refuse(
                "invalid_value", "The audio is not valid base64.", name, "audio"
            )
        law = sessions.LAWS.get(self._format.type)
        if law is not None:
            data = law.decode(data)
        elif len(data) % 2:
            text = "The audio ends in half a sample."
            return self._refuse("invalid_value", text, name, "audio")
        if not data:
            return Reaction()
        most = self._profile.most * self.rate
        waiting = self._samples if self._open else 0
        if most and waiting + len(data) // 2 > most:
            text = f"The buffer holds at most {self._profile.most:g} s of audio."
            refusal = self._error("buffer_overflow", text, name)
            return Reaction((refusal,), close=_TOO_BIG)
        self._received += len(data) // 2
        if self._detector is not None:
            return self._detect(self._detector, data)
        begin = self._begin()
        self._samples += len(data) // 2
        return Reaction(begin=begin, audio=data)

    def _begin(self) -> bool:
        """Open an utterance if none is open; return whether it was opened."""
        if self._open:
            return False
        self._open = True
        self._samples = 0
        self._items.append(f"item_{self._short}_{len(self._items) + 1}")
        return True

    def _detect(self, detector: Detector, pcm: bytes) -> Reaction:
        turn = detector.detect(pcm)
        replies: list[str] = []
        begin = False
        if turn.start is not None:
            begin = self._begin()
            replies.append(
                self._event(
                    "input_audio_buffer.speech_started",
                    audio_start_ms=turn.start * 1000 // self.rate,
                    item_id=self._items[-1],
                )
            )
        self._samples += len(turn.pcm) // 2
        if turn.end is not None:
            replies.append(
                self._event(
                    "input_audio_buffer.speech_stopped",
                    audio_end_ms=turn.end * 1000 // self.rate,
                    item_id=self._items[-1],
                )
            )
            replies.extend(self._complete())
        return Reaction(
            replies,
            begin,
            turn.pcm,
            finish=turn.end is not None,
            carried=len(pcm) // 2,
        )

    def _commit(self, name: str | None) -> Reaction:
        seconds = self._samples / self.rate if self._open else 0.0
        # Audio that is too short by less than half a ms is accepted.
        if not self._open or round(seconds, 3) < self._profile.least:
            text = (
                "Error committing input audio buffer: buffer too small. Expected at "
                f"least {self._profile.least * 1000:g}ms of audio, but buffer only has "
                f"{seconds * 1000:.2f}ms of audio."
            )
            code = self._profile.empty or "invalid_state"
            return self._refuse(code, text, name)
        self._detector = self._new_detector()
        return Reaction(self._complete(), finish=True)

    def _complete(self) -> list[str]:
        """Commit the open utterance as an item; return the events that announce it."""
        item, previous = self._items[-1], self._before
        self._open = False
        self._before = item
        number = len(self._items) - 1
        self._committed.add(number)
        content = {
            "id": item,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        kinds = ("created",) if self._beta else ("added", "done")
        announced = [f"conversation.item.{kind}" for kind in kinds]
        return [
            self._event(
                "input_audio_buffer.committed", item_id=item, previous_item_id=previous
            ),
            *(
                self._event(kind, item=content, previous_item_id=previous)
                for kind in announced
                if self._profile.items
            ),
            *self._deltas(self._early.pop(number, ""), number),
        ]

    def _clear(self) -> Reaction:
        drop, self._open = self._open, False
        self._detector = self._new_detector()
        return Reaction((self._event("input_audio_buffer.cleared"),), drop=drop)

    def _last(self, name: str | None) -> Reaction:
        """Commit the remaining audio, since the client's audio is complete."""
        if not self._profile.done:
            return self._unknown(DONE, name)
        if not self._open:
            return Reaction()
        return Reaction(self._complete(), finish=True)

    def _new_detector(self) -> Detector | None:
        """Return a detector for the next audio; ``None`` if turns are not detected."""
        match self._input.turn_detection:
            case ServerVad() as it:
                return Detector(
                    self.rate,
                    threshold=it.threshold,
                    padding=it.prefix_padding_ms / 1000,
                    silence=it.silence_duration_ms / 1000,
                    first=self._received,
                )
            case SemanticVad():
                return Detector(
                    self.rate,
                    threshold=0.5,
                    padding=0.3,
                    silence=_SEMANTIC,
                    first=self._received,
                )
        return None

    # The text

    def partial(self, added: str, item: int) -> Iterable[str]:
        if self._profile.early or item in self._committed:
            return self._deltas(added, item)
        self._early[item] = self._early.get(item, "") + added
        return ()

    def _deltas(self, added: str, item: int) -> list[str]:
        if not added:
            return []
        more: dict[str, Any] = {}
        if self._include is not None and LOGPROBS in self._include:
            more["logprobs"] = [
                {
                    "token": token,
                    "logprob": _LOGPROB,
                    "bytes": list(token.encode()),
                }
                for token in re.findall(r"\s*\S+", added)
            ]
        return [
            self._event(
                DELTA, item_id=self._items[item], content_index=0, delta=added, **more
            )
        ]

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        return (
            *self._deltas(self._early.pop(item, ""), item),
            self._event(
                COMPLETED,
                item_id=self._items[item],
                content_index=0,
                transcript=text,
                usage=self._usage(usage),
            ),
        )

    def _usage(self, usage: Usage) -> dict[str, Any]:
        if self._profile.usage == "duration":
            return {"type": "duration", "seconds": usage.seconds or 0.0}
        before, after = usage.prompt or 0, usage.completion or 0
        return {
            "type": "tokens",
            "input_tokens": before,
            "output_tokens": after,
            "total_tokens": before + after,
            "input_token_details": {"audio_tokens": before, "text_tokens": 0},
        }

    # Refusals

    def _malformed(self, message: Malformed, name: str | None) -> Reaction:
        if not message.json:
            return self._refuse("invalid_json", "The event is not valid JSON.", name)
        return self._invalid(message.reason, name, "")

    def _unknown(self, kind: str, name: str | None) -> Reaction:
        text = f"Invalid value: '{kind[:100]}'."
        return self._refuse("invalid_value", text, name, "type")

    def _invalid(self, reason: str, name: str | None, place: str) -> Reaction:
        """Refuse an event that cannot be decoded.

        ``reason`` is the message of the decoder, which names the field that is wrong.
        ``place`` is the path in the event to the object that was decoded. The path is
        empty if this object is the event itself.
        """
        path, field = _PATH.search(reason), _FIELD.search(reason)
        parts = (place, path and path[1], field and field[2])
        param = ".".join(filter(None, parts))
        if field is None:
            return self._refuse("invalid_value", reason, name, param or None)
        if field[1] == "unknown":
            code, text = "unknown_parameter", f"Unknown parameter: '{param}'."
        else:
            code = "missing_required_parameter"
            text = f"Missing required parameter: '{param}'."
        return self._refuse(code, text, name, param)

    def _refuse(
        self, code: str, text: str, name: str | None = None, param: str | None = None
    ) -> Reaction:
        return Reaction((self._error(code, text, name, param),))

    def _error(
        self, code: str, text: str, name: str | None, param: str | None = None
    ) -> str:
        error = {
            "type": _INVALID,
            "code": code,
            "message": text,
            "param": param,
            "event_id": name,
        }
        return self._event("error", error=error)

    def _event(self, kind: str, **content: object) -> str:
        self._events += 1
        name = f"event_{self._short}_{self._events}"
        event = {"type": kind, "event_id": name, **content}
        return msgspec.json.encode(event).decode()


def _live(change: Input) -> bool:
    """Return whether a change selects a model that does not detect turns."""
    match change.transcription:
        case Transcription(model=str(model)):
            return model in _LIVE
    return False


def _named(frame: str) -> str | None:
    """Return the ``event_id`` of an invalid event; ``None`` if it has none."""
    try:
        content = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    name = content.get("event_id") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None
