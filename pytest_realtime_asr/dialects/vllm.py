"""vLLM's own protocol on ``/v1/realtime``, as of release 0.33 (November 2026).

    server  session.created
    client  session.update {model}                  (answered only where it is refused)
    client  input_audio_buffer.commit               the utterance begins
    client  input_audio_buffer.append {audio} ...   PCM16 mono 16 kHz, base64
    server  transcription.delta {delta} ...
    client  input_audio_buffer.commit {final: true} its audio is complete
    server  transcription.done {text, usage}

The next utterance begins with the next commit, once the last one is done. An error
leaves the connection open. Nothing carries an id, so that utterances are told apart by
their order alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Union

import msgspec

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.rules import (
    Judge,
    Level,
    Message,
    Observation,
    Outcome,
    Requirement,
    Satisfied,
    Table,
    Undecided,
    Violated,
    order,
)
from pytest_realtime_asr.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Usage,
)
from pytest_realtime_asr.trace import Ending, Record, Sender

DOCUMENTED = "vLLM 0.33.0, speech_to_text/realtime/api_router.py"
CODES = "vLLM 0.33.0, speech_to_text/realtime/connection.py"


class Typed(msgspec.Struct, frozen=True, tag_field="type"):
    """An event that the protocol knows; fields beyond its own are allowed."""

    @property
    def move(self) -> str:
        """The event's type."""
        return str(self.__struct_config__.tag)


class SessionUpdate(Typed, frozen=True, tag="session.update"):
    """Client: use this model. Newer servers also take language, prompt, include."""

    model: str


class Append(Typed, frozen=True, tag="input_audio_buffer.append"):
    """Client: more audio."""

    audio: str


class CommitEvent(Typed, frozen=True, tag="input_audio_buffer.commit"):
    """Client: the utterance begins or, where ``final``, its audio is complete."""

    final: bool = False

    @property
    def move(self) -> str:
        """``FINISH`` or ``BEGIN``: one type, two meanings."""
        return FINISH if self.final else BEGIN


class SessionCreated(Typed, frozen=True, tag="session.created"):
    """Server: the session may begin."""

    id: str
    created: int


class SessionUpdated(Typed, frozen=True, tag="session.updated"):
    """Server, newer than 0.33: the update was accepted."""


class Delta(Typed, frozen=True, tag="transcription.delta"):
    """Server: the text goes on with this; may be empty."""

    delta: str


class Tokens(msgspec.Struct, frozen=True):
    """What the server counted for one utterance."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Done(Typed, frozen=True, tag="transcription.done"):
    """Server: the whole text of the utterance."""

    text: str
    usage: Tokens | None = None


class Error(Typed, frozen=True, tag="error"):
    """Server: a refusal or a failure, in words and as a code."""

    error: str
    code: str | None = None


class Unknown(msgspec.Struct, frozen=True):
    """A JSON object whose type the protocol does not know (``None``: it has none)."""

    type: str | None
    move: str = "unknown"


class Malformed(msgspec.Struct, frozen=True):
    """A frame that is no event: what is wrong, and whether it is JSON at all."""

    reason: str
    json: bool
    move: str = "malformed"


BEGIN = "input_audio_buffer.commit"
FINISH = "input_audio_buffer.commit final"
_UPDATE = "session.update"
_APPEND = "input_audio_buffer.append"

TABLE: Table = {
    Sender.CLIENT: {
        "fresh": {_UPDATE: ("idle",), _APPEND: ("fresh",)},
        "idle": {_UPDATE: ("idle",), _APPEND: ("idle",), BEGIN: ("hearing",)},
        "hearing": {
            _UPDATE: ("hearing",),
            _APPEND: ("hearing",),
            BEGIN: ("hearing",),  # a second one is ignored
            FINISH: ("finishing",),
        },
        "finishing": {_UPDATE: ("finishing",)},
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

_EVENTS: Mapping[Sender, tuple[type[Typed], ...]] = {
    Sender.CLIENT: (SessionUpdate, Append, CommitEvent),
    Sender.SERVER: (SessionCreated, SessionUpdated, Delta, Done, Error),
}
_DECODERS = {
    sender: msgspec.json.Decoder(Union[kinds])  # noqa: UP007
    for sender, kinds in _EVENTS.items()
}
_TYPES = {
    sender: {str(kind.__struct_config__.tag) for kind in kinds}
    for sender, kinds in _EVENTS.items()
}


def _parse(text: str, sender: Sender) -> Message:
    try:
        return _event(text, sender)
    except msgspec.ValidationError as error:
        return Malformed(f"a JSON value that cannot be held: {error}", json=True)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return Malformed(f"not JSON: {error}", json=False)


def _event(text: str, sender: Sender) -> Message:
    try:
        event: Message = _DECODERS[sender].decode(text)
        return event
    except msgspec.ValidationError as error:
        reason = str(error)
    # It may yet be no JSON: the decoder stops at the first thing that is wrong.
    value = msgspec.json.decode(text)
    if not isinstance(value, dict):
        return Malformed(f"a JSON {type(value).__name__}, not an object", json=True)
    kind = value.get("type")
    if not isinstance(kind, str):
        return Unknown(None)
    if kind not in _TYPES[sender]:
        return Unknown(kind)
    return Malformed(f"{kind}: {reason}", json=True)


class _Reader:
    """Numbers the utterances by their order, since nothing in a frame tells them.

    An utterance that an error has ended gets no final; that it has ended shows when the
    client begins the next.
    """

    def __init__(self) -> None:
        self.ready: int | None = None
        self.session = ""
        self._asked = 0  # the utterance that the client's frames belong to
        self._told = 0  # the utterance that the server's frames belong to
        self._samples = 0
        self._length = 0
        self._begun = False
        self._failed = False  # an error came since the utterance began

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        match message:
            case Append():
                return (self._heard(record, message),)
            case CommitEvent(final=True):
                due, woke = _times(record)
                commit = Commit(self._asked, due, woke, record.at)
                if self._begun:
                    self._asked += 1
                    self._samples = 0
                    self._begun = False
                return (commit,)
            case CommitEvent():
                if self._failed:
                    self._told = self._asked
                    self._length = 0
                    self._failed = False
                self._begun = True
            case SessionCreated(id=session) if self.ready is None:
                self.ready = record.at
                self.session = session
            case Delta(delta=added) if added:
                partial = Partial(self._told, record.at, self._length, added)
                self._length += len(added)
                return (partial,)
            case Done(text=text, usage=tokens):
                final = Final(self._told, record.at, text, _usage(tokens))
                self._told += 1
                self._length = 0
                self._failed = False
                return (final,)
            case Error():
                busy = self._begun or self._told < self._asked
                self._failed |= busy
                item = self._told if busy else None
                code = message.code or ""
                return (Refusal(record.at, code, message.error, item),)
        return ()

    def _heard(self, record: Record, message: Append) -> Heard:
        if record.span is not None:
            samples = record.span.stop - record.span.start
        else:
            filler = message.audio[-2:].count("=")
            samples = (len(message.audio) * 3 // 4 - filler) // 2
        self._samples += samples
        due, woke = _times(record)
        return Heard(self._asked, self._samples, due, woke, record.at, 2 * samples)


def _times(record: Record) -> tuple[int, int]:
    """Due and woke; a frame that was only received has them where it arrived."""
    due = record.at if record.due is None else record.due
    woke = record.at if record.woke is None else record.woke
    return due, woke


def _usage(tokens: Tokens | None) -> Usage | None:
    if tokens is None:
        return None
    return Usage(tokens.prompt_tokens, tokens.completion_tokens, tokens.total_tokens)


class _Server:
    """The server's half, as vLLM 0.33 does it; a binary frame is refused politely."""

    def __init__(self, models: Sequence[str]) -> None:
        self._models = models
        self._state = "fresh"

    def open(self, session: str, created: int) -> Iterable[str]:
        return (_encode(SessionCreated(session, created)),)

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return _refuse("invalid_frame", "Binary frames are not supported")
        message = _parse(frame, Sender.CLIENT)
        match message:
            case Malformed(json=False):
                return _refuse("invalid_json", "Invalid JSON")
            case Malformed(reason=reason):
                missing = reason.startswith(f"{_UPDATE}:")
                code = "invalid_event" if missing else "processing_error"
                return _refuse(code, reason)
            case Unknown(type=kind):
                return _refuse("unknown_event", f"Unknown event type: {kind}")
            case SessionUpdate(model=model) if model not in self._models:
                return _refuse("model_not_found", f"The model `{model}` does not exist")
            case Append(audio=audio):
                return self._append(audio)
        moves = TABLE[Sender.CLIENT][self._state]
        if message.move in (BEGIN, FINISH) and self._state == "fresh":
            return _refuse("model_not_validated", "Send session.update first")
        if message.move not in moves:
            return Reaction()  # a final commit with nothing begun, or one too many
        before, (self._state,) = self._state, moves[message.move]
        return Reaction(
            begin=self._state == "hearing" and before == "idle",
            finish=self._state == "finishing" and before == "hearing",
        )

    def _append(self, audio: str) -> Reaction:
        try:
            pcm = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            pcm = b""
        if not pcm or len(pcm) % 2:
            return _refuse("invalid_audio", "Invalid audio data")
        if self._state == "finishing":
            return Reaction()  # lost, as the documented queue is cleared with `done`
        return Reaction(audio=pcm)

    def partial(self, added: str) -> Iterable[str]:
        return (_encode(Delta(added)),)

    def final(self, text: str, usage: Usage) -> Iterable[str]:
        self._state = "idle"
        prompt, completion = usage.prompt or 0, usage.completion or 0
        tokens = Tokens(prompt, completion, prompt + completion)
        return (_encode(Done(text, tokens)),)


def _encode(event: Typed) -> str:
    return msgspec.json.encode(event).decode()


def _refuse(code: str, message: str) -> Reaction:
    return Reaction(replies=(_encode(Error(message, code)),))


def _records(observation: Observation, kind: type, sender: Sender) -> list[int]:
    """The indexes of the records of ``sender`` that hold a message of this kind."""
    return [
        index
        for index, (record, message) in enumerate(
            zip(observation.trace.records, observation.messages, strict=True)
        )
        if record.sender is sender and isinstance(message, kind)
    ]


def _cut(observation: Observation) -> bool:
    """Whether it was we who ended the session, so that the rest is not known."""
    return observation.trace.end.how in (Ending.CLOSED_BY_US, Ending.CANCELLED)


def _why(observation: Observation) -> str:
    """Why the session ended."""
    end = observation.trace.end
    return end.reason or end.how.value


def _first_event(observation: Observation) -> Outcome:
    """The first frame of the server is session.created with an id."""
    records = observation.trace.records
    first = next((i for i, r in enumerate(records) if r.sender is Sender.SERVER), None)
    if first is None:
        if observation.trace.opened is None or _cut(observation):
            return Undecided("the session was over before the server could speak")
        return Violated(f"nothing came: {_why(observation)}", ())
    message = observation.messages[first]
    if not isinstance(message, SessionCreated):
        return Violated(f"the first event was {_name(message)}", (first,))
    if not message.id:
        return Violated("session.created has an empty id", (first,))
    return Satisfied()


def _name(message: Message) -> str:
    match message:
        case Unknown(type=kind):
            return f"of unknown type {kind!r}"
        case Malformed(reason=reason):
            return reason
    return message.move


def _refused(kind: type, what: str, code: str) -> Judge:
    """A judge: each ``kind`` of message of the client is answered by this error."""

    def judge(observation: Observation) -> Outcome:
        asked = [
            index
            for index in _records(observation, kind, Sender.CLIENT)
            if kind is not Malformed or not _is_json(observation.messages[index])
        ]
        return _answered(observation, asked, what, code)

    return judge


def _is_json(message: Message) -> bool:
    return isinstance(message, Malformed) and message.json


def _early_commit(observation: Observation) -> Outcome:
    """A commit before any session.update is refused."""
    updates = _records(observation, SessionUpdate, Sender.CLIENT)
    first = updates[0] if updates else len(observation.messages)
    asked = [
        index
        for index in _records(observation, CommitEvent, Sender.CLIENT)
        if index < first
    ]
    what = "a commit before session.update"
    return _answered(observation, asked, what, "model_not_validated")


def _answered(
    observation: Observation, asked: list[int], what: str, code: str
) -> Outcome:
    if not asked:
        return Undecided(f"{what} was not sent")
    later = observation.messages[asked[0] :]
    codes = [message.code for message in later if isinstance(message, Error)]
    if codes.count(code) >= len(asked):
        return Satisfied()
    if _cut(observation):
        return Undecided(f"we closed before {what} was answered")
    got = ", ".join(sorted(set(map(str, codes)))) or "no error"
    return Violated(f"{what} was answered by {got}, not by {code}", tuple(asked))


def _deltas_add_up(observation: Observation) -> Outcome:
    """The deltas of an utterance, joined, are the text of its done.

    An error may have ended an utterance, so that the next begins anew after it.
    """
    wrong, example, judged = [], "", 0
    pieces: list[str] = []
    starts = [0]
    for index, message in enumerate(observation.messages):
        match message:
            case Delta(delta=delta):
                pieces.append(delta)
            case Error():
                starts.append(len(pieces))
            case Done(text=said):
                judged += 1
                if all("".join(pieces[start:]) != said for start in starts):
                    text = "".join(pieces)
                    example = example or f"{text!r}, but done says {said!r}"
                    wrong.append(index)
                pieces, starts = [], [0]
    if wrong:
        return Violated(f"the deltas add up to {example}", tuple(wrong))
    return Satisfied() if judged else Undecided("no transcription.done came")


def _one_final(observation: Observation) -> Outcome:
    """Each utterance whose audio was completed ends in one done, or in an error.

    An error while an utterance is open may have ended it, or may refuse but one frame
    and let the utterance go on; a done that comes yet shows the latter.
    """
    begun, doubtful, failed, finals = False, False, 0, 0
    owed, extra = [], []
    for index, message in enumerate(observation.messages):
        match message:
            case CommitEvent(final=False):
                begun, doubtful = True, False
            case CommitEvent() if begun:
                owed.append(index)
                failed += doubtful
                begun, doubtful = False, False
            case Done() if finals == len(owed):
                extra.append(index)
            case Done():
                finals += 1
                failed = min(failed, len(owed) - finals)
            case Error():
                doubtful = begun
                failed = min(failed + (not begun), len(owed) - finals)
    if extra:
        return Violated("a transcription.done that no commit asked for", tuple(extra))
    if not owed:
        return Undecided("no audio was completed")
    missing = tuple(owed[finals + failed :])
    if not missing:
        return Satisfied()
    if _cut(observation):
        return Undecided("we closed before the transcription was done")
    return Violated(f"no transcription.done came: {_why(observation)}", missing)


def _usage_adds_up(observation: Observation) -> Outcome:
    """The usage of each done is there, not negative, and its parts give its total."""
    done = _records(observation, Done, Sender.SERVER)
    if not done:
        return Undecided("no transcription.done came")
    for index in done:
        message = observation.messages[index]
        assert isinstance(message, Done)
        tokens = message.usage
        if tokens is None:
            return Violated("transcription.done carries no usage", (index,))
        prompt, completion = tokens.prompt_tokens, tokens.completion_tokens
        if min(prompt, completion) < 0 or prompt + completion != tokens.total_tokens:
            counts = f"{prompt} + {completion} is not {tokens.total_tokens}"
            return Violated(f"usage does not add up: {counts}", (index,))
    return Satisfied()


def _spoke(observation: Observation, sender: Sender) -> Outcome:
    """Whether this side sent anything by which it could be judged."""
    if any(record.sender is sender for record in observation.trace.records):
        return Satisfied()
    return Undecided(f"the {sender.value} said nothing")


def _well_formed(sender: Sender) -> Judge:
    """A judge: every frame of this side is an event with the fields of its type."""

    def judge(observation: Observation) -> Outcome:
        wrong = _records(observation, Malformed, sender)
        if wrong:
            return Violated(_name(observation.messages[wrong[0]]), tuple(wrong))
        return _spoke(observation, sender)

    return judge


def _known_events(sender: Sender) -> Judge:
    """A judge: this side sends no event that the protocol does not know."""

    def judge(observation: Observation) -> Outcome:
        wrong = _records(observation, Unknown, sender)
        if wrong:
            name = _name(observation.messages[wrong[0]])
            return Violated(f"an event {name}", tuple(wrong))
        return _spoke(observation, sender)

    return judge


REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        id="first-event",
        title="session.created comes first and carries an id",
        level=Level.MUST,
        clause=f"{DOCUMENTED}: the server sends session.created on connection",
        judge=_first_event,
    ),
    Requirement(
        id="order",
        title="events come in the documented order",
        level=Level.MUST,
        clause=f"{DOCUMENTED}: the order of events",
        judge=order(TABLE, start="opening"),
    ),
    Requirement(
        id="well-formed",
        title="every frame is an event with the fields of its type",
        level=Level.MUST,
        clause="vLLM 0.33.0, speech_to_text/realtime/protocol.py",
        judge=_well_formed(Sender.SERVER),
    ),
    Requirement(
        id="known-events",
        title="no event that the protocol does not know",
        level=Level.SHOULD,
        clause="vLLM 0.33.0, speech_to_text/realtime/protocol.py",
        judge=_known_events(Sender.SERVER),
    ),
    Requirement(
        id="unknown-event-refused",
        title="an unknown event is refused by name",
        level=Level.MUST,
        clause=f"{CODES}: code unknown_event",
        judge=_refused(Unknown, "an unknown event", "unknown_event"),
    ),
    Requirement(
        id="bad-json-refused",
        title="a frame that is no JSON is refused",
        level=Level.MUST,
        clause=f"{CODES}: code invalid_json",
        judge=_refused(Malformed, "a frame that is no JSON", "invalid_json"),
    ),
    Requirement(
        id="early-commit-refused",
        title="a commit before session.update is refused",
        level=Level.MUST,
        clause=f"{CODES}: code model_not_validated",
        judge=_early_commit,
    ),
    Requirement(
        id="deltas-add-up",
        title="the deltas, joined, are the final text",
        level=Level.MUST,
        clause=f"{CODES}: done.text is the concatenation of the deltas",
        judge=_deltas_add_up,
    ),
    Requirement(
        id="one-final",
        title="each utterance ends in exactly one final",
        level=Level.MUST,
        clause=f"{DOCUMENTED}: transcription.done ends each utterance; vllm#33962",
        judge=_one_final,
    ),
    Requirement(
        id="usage-adds-up",
        title="usage is sane and adds up",
        level=Level.MUST,
        clause=f"{CODES}: total_tokens is the sum of its parts",
        judge=_usage_adds_up,
    ),
    Requirement(
        id="client-order",
        title="the client keeps the documented order",
        level=Level.MUST,
        clause=f"{DOCUMENTED}: the order of events",
        judge=order(TABLE, start="opening"),
        blames=Sender.CLIENT,
    ),
    Requirement(
        id="client-well-formed",
        title="every frame of the client is an event with the fields of its type",
        level=Level.MUST,
        clause="vLLM 0.33.0, speech_to_text/realtime/protocol.py",
        judge=_well_formed(Sender.CLIENT),
        blames=Sender.CLIENT,
    ),
    Requirement(
        id="client-known-events",
        title="the client sends no event that the protocol does not know",
        level=Level.MUST,
        clause=f"{CODES}: code unknown_event",
        judge=_known_events(Sender.CLIENT),
        blames=Sender.CLIENT,
    ),
)


class _VLLM:
    name = "vllm"
    rate = 16_000
    path = "/v1/realtime"
    requirements = REQUIREMENTS

    def parse(self, record: Record) -> Message:
        if record.text is None:
            return Malformed("a binary frame", json=True)
        return _parse(record.text, record.sender)

    def reader(self) -> _Reader:
        return _Reader()

    def configure(self, model: str, options: Mapping[str, object]) -> Sequence[str]:
        update = {"type": _UPDATE, "model": model, **options}
        return (msgspec.json.encode(update).decode(),)

    def begin(self) -> Sequence[str]:
        return (_encode(CommitEvent()),)

    def append(self, pcm: bytes) -> bytes:
        audio = binascii.b2a_base64(pcm, newline=False)
        return b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'

    def finish(self) -> Sequence[str]:
        return (_encode(CommitEvent(final=True)),)

    def server(self, models: Sequence[str]) -> _Server:
        return _Server(models)


VLLM = _VLLM()
