"""A small dialect that uses every part of the seam that JSON protocols leave out.

Frames are MessagePack in both directions. The server sends nothing first, has no ids,
and ends each session after its only utterance. Options of a session are in the query
and in a header of the handshake. A keepalive frame keeps an idle session open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Union
from urllib.parse import urlencode

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Caller,
    Dialect,
    HttpRefusal,
    Keepalive,
    Reaction,
    Reader,
    Request,
    Server,
    Traits,
)
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.order import Table, order
from pytest_realtime_asr.requirements.requirement import Proof, Requirement, each
from pytest_realtime_asr.requirements.scenario_steps import Exercise
from pytest_realtime_asr.trace.json_events import Malformed
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Frame, Record, Sender
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Settled,
    Usage,
)

RATE = 16_000  # Hz
LANGUAGES = ("en", "de")
TIER = "x-packed-tier"
EXPIRED = 4000  # the close code of a session that lasted too long
INTERVAL = 0.2  # s
CLAUSE = "the packed protocol, of these tests"


class _Typed(msgspec.Struct, frozen=True, tag_field="type"):
    @property
    def move(self) -> str:
        return str(self.__struct_config__.tag)


class Audio(_Typed, frozen=True, tag="audio"):
    """Client: more audio; the first of it begins the utterance."""

    pcm: bytes


class End(_Typed, frozen=True, tag="end"):
    """Client: the audio is complete."""


class Keep(_Typed, frozen=True, tag="keep"):
    """Client: keep the session open."""


class Words(_Typed, frozen=True, tag="words"):
    """Server: text to append; the first ``settled`` characters will not change."""

    text: str
    settled: int


class Whole(_Typed, frozen=True, tag="whole"):
    """Server: the whole text; the server closes after it."""

    text: str


class Error(_Typed, frozen=True, tag="error"):
    """Server: a frame was refused."""

    error: str
    code: str


_DECODERS: Mapping[Sender, Any] = {
    Sender.CLIENT: msgspec.msgpack.Decoder(Union[Audio, End, Keep]),  # noqa: UP007
    Sender.SERVER: msgspec.msgpack.Decoder(Union[Words, Whole, Error]),  # noqa: UP007
}
START = "open"
TABLE: Table = {
    Sender.CLIENT: {
        "open": {"audio": ("hearing",), "end": ("finishing",), "keep": ("open",)},
        "hearing": {
            "audio": ("hearing",),
            "end": ("finishing",),
            "keep": ("hearing",),
        },
        "finishing": {"keep": ("finishing",)},
    },
    Sender.SERVER: {
        "open": {"error": ("open",)},
        "hearing": {"words": ("hearing",), "error": ("hearing",)},
        "finishing": {
            "words": ("finishing",),
            "error": ("finishing",),
            "whole": ("over",),
        },
    },
}
CAPABILITIES = frozenset(
    {Capability.PARTIALS, Capability.EMPTY_UTTERANCES, Capability.REFUSALS}
)


def pack(event: _Typed) -> bytes:
    return msgspec.msgpack.encode(event)


def decoded(frame: Frame, sender: Sender) -> Message:
    """Return the event of a frame, which is malformed if it is text."""
    if isinstance(frame, str):
        return Malformed("a text frame", json=True)
    try:
        event: Message = _DECODERS[sender].decode(frame)
    except msgspec.DecodeError as error:
        return Malformed(str(error), json=True)
    return event


class PackedReader:
    ready: int | None = None
    session = ""

    def __init__(self) -> None:
        self._samples = 0
        self._shown = 0
        self._complete = False

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        due, woke = record.times
        match message:
            case Audio(pcm=pcm) if not self._complete:
                span = record.span
                samples = len(pcm) // 2 if span is None else span.stop - span.start
                self._samples += samples
                size = 2 * samples
                return (Heard(0, self._samples, due, woke, record.at, size),)
            case End() if not self._complete:
                self._complete = True
                return (Commit(0, due, woke, record.at),)
            case Words(text=added, settled=settled):
                partial = Partial(0, record.at, self._shown, added)
                self._shown += len(added)
                return partial, Settled(0, record.at, settled)
            case Whole(text=text):
                return (Final(0, record.at, text),)
            case Error(error=said, code=code):
                return (Refusal(record.at, code, said),)
        return ()


class PackedCaller:
    rate = RATE
    binary = True
    tail = 0.0

    def __init__(self, options: Mapping[str, object]) -> None:
        if unknown := sorted(options.keys() - {"language", "tier"}):
            raise ValueError(f"unknown option {unknown[0]!r}")
        named = options.get("language")
        self.query = "" if named is None else urlencode({"language": named})
        tier = options.get("tier")
        self.headers: Mapping[str, str] = {} if tier is None else {TIER: str(tier)}

    def configure(self) -> Sequence[Frame]:
        return ()

    def begin(self) -> Sequence[Frame]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        return pack(Audio(pcm))

    def finish(self) -> Sequence[Frame]:
        return (pack(End()),)


class PackedServer:
    rate = RATE

    def __init__(self) -> None:
        self._begun = False
        self._complete = False
        self._sent = 0

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return ()

    def hear(self, frame: Frame) -> Reaction:
        message = decoded(frame, Sender.CLIENT)
        match message:
            case Malformed(reason=reason):
                return Reaction(replies=(pack(Error(reason, "bad_frame")),))
            case Keep():
                return Reaction()
            case _ if self._complete:
                return Reaction()
            case Audio(pcm=pcm):
                if len(pcm) % 2:
                    error = Error("half a sample", "bad_audio")
                    return Reaction(replies=(pack(error),))
                begin, self._begun = not self._begun, True
                return Reaction(begin=begin, audio=pcm)
        begin, self._complete = not self._begun, True
        return Reaction(begin=begin, finish=True, close=1000, after_finals=True)

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        settled, self._sent = self._sent, self._sent + len(added)
        return (pack(Words(added, settled)),)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return (pack(Whole(text)),)

    def expire(self) -> Reaction:
        return Reaction(close=EXPIRED, reason="the session lasted too long")


class Packed:
    name = "packed"
    rate = RATE
    path = "/v1/packed"
    profiles: Mapping[str, str] = {}
    requirements: tuple[Requirement, ...] = shared.requirements(
        CAPABILITIES,
        shared.stated(
            "order",
            CLAUSE,
            each(order(TABLE, start=START)),
            proof=Proof(("two-finals",)),
        ),
    )
    misuses = shared.misuses_for(CAPABILITIES)
    exercises: tuple[Exercise, ...] = ()
    table: Table = TABLE
    start = START
    traits: Traits = Traits(
        capabilities=CAPABILITIES, keepalive=Keepalive(pack(Keep()), INTERVAL)
    )

    def parse(self, record: Record) -> Message:
        frame = record.data if record.text is None else record.text
        return decoded(frame or b"", record.sender)

    def reader(self) -> Reader:
        return PackedReader()

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Token {key}"} if key else {}

    def greets(self, record: Record) -> bool:
        return False

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return PackedCaller(options)

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        language = request.first("language")
        if language is not None and language not in LANGUAGES:
            return HttpRefusal(400, f"unknown language {language}")
        if request.headers.get(TIER) == "none":
            error = Error("this tier has no sessions", "no_tier")
            return Reaction(replies=(pack(error),), close=1008)
        return None

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return PackedServer()

    def profiled(self, words: Sequence[str]) -> Dialect:
        raise ValueError("this dialect has no profiles; name the dialect alone")


PACKED = Packed()


def install(folder: Path) -> None:
    """Install the dialect in a folder, as a package that declares an entry point."""
    info = folder / "packed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: packed\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[{dialects.GROUP}]\npacked = {__name__}:PACKED\n"
    )
