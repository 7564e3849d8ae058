"""The server's half of OpenAI's protocol, in both shapes."""

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
from pytest_realtime_asr.dialects.openai.voice_activity import Detector
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import Usage

_MOST = 15 * 2**20  # characters of audio in one append
_INVALID = "invalid_request_error"
_LIVE = ("gpt-live-transcribe", "gpt-realtime-whisper")  # which detect no turns
_FIELD = re.compile(r"(unknown|missing required) field `(\w+)`")
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_LOGPROB = -0.1  # of each word
_SEMANTIC = 0.8  # s of silence that sound like the end of a sentence


class Server:
    """The server's half. By default it detects turns, as OpenAI's does.

    Each utterance is an item, whose id is known from its first audio on.
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
        self._items: list[str] = []  # by the number of their utterance
        self._before: str | None = None  # the item that was committed last
        self._open = False  # whether an utterance is
        self._committed: set[int] = set()
        self._held: dict[int, str] = {}  # text that waits for the commit of its item
        self._written = 0  # samples of the session
        self._samples = 0  # of the open utterance
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
        said = f"Your session hit the maximum duration of {minutes}."
        error = self._error("session_expired", said, None)
        return Reaction((error,), close=1001, reason=said)

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return self._refuse("invalid_payload", "Binary frames are not supported.")
        message = SHAPES.read(frame, Sender.CLIENT)
        match message:
            case Malformed():
                return self._misread(message, _named(frame))
            case Unknown(type=None):
                said = "Missing required parameter: 'type'."
                return self._refuse(
                    "missing_required_parameter", said, _named(frame), "type"
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
        """Take over what is there, or refuse all of it."""
        try:
            change, include = sessions.read(content, beta=self._beta)
        except msgspec.ValidationError as error:
            return self._unfit(str(error), name, "session")
        reason = self._impossible(change)
        if reason is not None:
            code, said, field = reason
            place = sessions.place(field, beta=self._beta)
            return self._refuse(code, said, name, place)
        before, rate = self._input, self.rate
        changes = msgspec.structs.asdict(change).items()
        present = {name: value for name, value in changes if value is not UNSET}
        if _live(change):  # whatever it was before
            present.setdefault("turn_detection", None)
        it = sessions.complete(present.get("format", self._format), self._profile)
        self._input = msgspec.structs.replace(before, **present | {"format": it})
        if include is not UNSET:
            self._include = include
        self._written = self._written * self.rate // rate
        if self._input.turn_detection != before.turn_detection or self.rate != rate:
            self._detector = self._new_detector()
        kind = self._profile.update.replace("update", "updated")
        return Reaction((self._event(kind, session=self._shown()),))

    def _impossible(self, change: Input) -> tuple[str, str, str] | None:
        """Why a change cannot be made: code, message and the field of the input."""
        profile = self._profile
        match change.format:
            case Format(type=kind) if kind != PCM and not profile.companded:
                return "not_supported", f"{kind} is not supported.", "format"
            case Format(type=kind, rate=int(rate)) if (
                kind != PCM or rate not in profile.rates
            ):
                said = f"A rate of {rate} Hz is not supported."
                return "invalid_value", said, "format.rate"
            case Format() as it if (
                self._open and sessions.rate(it, self._rate) != self.rate
            ):
                said = "The rate cannot change before the audio is committed."
                return "invalid_value", said, "format"
        match change.transcription:
            case Transcription(model=str(model)) if model not in self._models:
                said = f"The model '{model}' does not exist."
                return "model_not_found", said, "transcription.model"
        detects = isinstance(change.turn_detection, Detection)
        if detects and (_live(change) or not profile.vad):
            said = "Turn detection is not supported."
            return "not_supported", said, "turn_detection"
        if isinstance(change.noise_reduction, NoiseReduction) and not profile.vad:
            said = "Noise reduction is not supported."
            return "not_supported", said, "noise_reduction"
        return None

    def _shown(self) -> dict[str, Any]:
        shown = sessions.shown(self._input, self._include, beta=self._beta)
        return {"id": self._name, "expires_at": self._expires, **shown}

    # Its audio

    def _append(self, audio: str, name: str | None) -> Reaction:
        if len(audio) > _MOST:
            said = "The audio of an event must not be longer than 15 MiB."
            return self._refuse("string_above_max_length", said, name, "audio")
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
            said = "The audio ends in half a sample."
            return self._refuse("invalid_value", said, name, "audio")
        if not data:
            return Reaction()
        self._written += len(data) // 2
        if self._detector is not None:
            return self._detect(self._detector, data)
        begin = self._begin()
        self._samples += len(data) // 2
        return Reaction(begin=begin, audio=data)

    def _begin(self) -> bool:
        """Open an utterance, if none is."""
        if self._open:
            return False
        self._open = True
        self._samples = 0
        self._items.append(f"item_{self._short}_{len(self._items) + 1}")
        return True

    def _detect(self, detector: Detector, pcm: bytes) -> Reaction:
        turn = detector.hear(pcm)
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
        # What rounds to the least that is asked for is enough.
        if not self._open or round(seconds, 3) < self._profile.least:
            said = (
                "Error committing input audio buffer: buffer too small. Expected at "
                f"least {self._profile.least * 1000:g}ms of audio, but buffer only has "
                f"{seconds * 1000:.2f}ms of audio."
            )
            code = self._profile.empty or "invalid_state"
            return self._refuse(code, said, name)
        self._detector = self._new_detector()
        return Reaction(self._complete(), finish=True)

    def _complete(self) -> list[str]:
        """Make an item of the open utterance; what is said of that."""
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
            *self._spoken(self._held.pop(number, ""), number),
        ]

    def _clear(self) -> Reaction:
        drop, self._open = self._open, False
        self._detector = self._new_detector()
        return Reaction((self._event("input_audio_buffer.cleared"),), drop=drop)

    def _last(self, name: str | None) -> Reaction:
        """No more audio will come: what was not committed is an item, too."""
        if not self._profile.done:
            return self._unknown(DONE, name)
        if not self._open:
            return Reaction()
        return Reaction(self._complete(), finish=True)

    def _new_detector(self) -> Detector | None:
        """It looks at what is written from now on."""
        match self._input.turn_detection:
            case ServerVad() as it:
                return Detector(
                    self.rate,
                    threshold=it.threshold,
                    padding=it.prefix_padding_ms / 1000,
                    silence=it.silence_duration_ms / 1000,
                    begin=self._written,
                )
            case SemanticVad():
                return Detector(
                    self.rate,
                    threshold=0.5,
                    padding=0.3,
                    silence=_SEMANTIC,
                    begin=self._written,
                )
        return None

    # Its text

    def partial(self, added: str, item: int) -> Iterable[str]:
        if self._profile.early or item in self._committed:
            return self._spoken(added, item)
        self._held[item] = self._held.get(item, "") + added
        return ()

    def _spoken(self, added: str, item: int) -> list[str]:
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
            *self._spoken(self._held.pop(item, ""), item),
            self._event(
                COMPLETED,
                item_id=self._items[item],
                content_index=0,
                transcript=text,
                usage=self._counted(usage),
            ),
        )

    def _counted(self, usage: Usage) -> dict[str, Any]:
        if self._profile.usage == "duration":
            return {"type": "duration", "seconds": usage.seconds or 0.0}
        heard, said = usage.prompt or 0, usage.completion or 0
        return {
            "type": "tokens",
            "input_tokens": heard,
            "output_tokens": said,
            "total_tokens": heard + said,
            "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
        }

    # What it refuses

    def _misread(self, message: Malformed, name: str | None) -> Reaction:
        if not message.json:
            return self._refuse("invalid_json", "The event is not valid JSON.", name)
        return self._unfit(message.reason, name, "")

    def _unknown(self, kind: str, name: str | None) -> Reaction:
        said = f"Invalid value: '{kind[:100]}'."
        return self._refuse("invalid_value", said, name, "type")

    def _unfit(self, reason: str, name: str | None, place: str) -> Reaction:
        """Refuse what does not fit there, by the words of the decoder."""
        path, field = _PATH.search(reason), _FIELD.search(reason)
        parts = (place, path and path[1], field and field[2])
        param = ".".join(filter(None, parts))
        if field is None:
            return self._refuse("invalid_value", reason, name, param or None)
        if field[1] == "unknown":
            code, said = "unknown_parameter", f"Unknown parameter: '{param}'."
        else:
            code = "missing_required_parameter"
            said = f"Missing required parameter: '{param}'."
        return self._refuse(code, said, name, param)

    def _refuse(
        self, code: str, said: str, name: str | None = None, param: str | None = None
    ) -> Reaction:
        return Reaction((self._error(code, said, name, param),))

    def _error(
        self, code: str, said: str, name: str | None, param: str | None = None
    ) -> str:
        error = {
            "type": _INVALID,
            "code": code,
            "message": said,
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
    """Whether a change names a model that leaves turns to its client."""
    match change.transcription:
        case Transcription(model=str(model)):
            return model in _LIVE
    return False


def _named(frame: str) -> str | None:
    """The id that a client gave an event that is not understood, if it can be read."""
    try:
        content = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    name = content.get("event_id") if isinstance(content, dict) else None
    return name if isinstance(name, str) else None
