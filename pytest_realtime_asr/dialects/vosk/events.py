"""The protocol of vosk-server's WebSocket server, as read in November 2026.

The module `reference` has an outline of a session.

No message has a type: the fields of a message say what it is. The server sends one
answer to each message of the client, except to the configuration, and answers in order.
An answer to audio is usually a partial. If the server detects the end of a phrase, the
answer is the result of the segment that ends there. The answer to the end of the audio
is the result of the last segment.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.trace import flawed_events
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Flawed, Message
from pytest_realtime_asr.trace.records import Record, Sender

CONFIG = "config"
AUDIO = "audio"
EOF = "eof"
RESET = "reset"
PARTIAL = "partial"
RESULT = "result"

EOF_TEXT = '{"eof" : 1}'
RESET_TEXT = '{"reset" : 1}'
"""A server accepts ``eof`` and ``reset`` only as these exact texts, with the spaces."""

DEFAULT_RATE = 8_000  # Hz, of a server without a configuration


class Settings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The configuration of a session; a server ignores fields that it does not know."""

    sample_rate: float | None = None
    words: bool | int | None = None
    max_alternatives: int | None = None
    phrase_list: list[str] | None = None


class Config(msgspec.Struct, frozen=True):
    """Client: the configuration; it has no effect after the first audio."""

    move: ClassVar[str] = CONFIG
    config: Settings


class Audio(msgspec.Struct, frozen=True):
    """Client: more audio, as a binary message of ``size`` bytes."""

    move: ClassVar[str] = AUDIO
    size: int


class Eof(msgspec.Struct, frozen=True):
    """Client: the audio is complete, and the session ends."""

    move: ClassVar[str] = EOF
    eof: int = 1


class Reset(msgspec.Struct, frozen=True):
    """Client: the audio of the utterance is complete; the next utterance may follow."""

    move: ClassVar[str] = RESET
    reset: int = 1


class Word(msgspec.Struct, frozen=True):
    """A recognised word; ``start`` and ``end`` are in s from the start of the session.

    ``conf`` is the confidence, from 0 to 1. Words of alternatives have no confidence.
    """

    word: str
    start: float
    end: float
    conf: float | None = None


class PartialResult(msgspec.Struct, frozen=True):
    """Server: the text of the open segment so far. It replaces the last partial."""

    move: ClassVar[str] = PARTIAL
    partial: str


class Alternative(msgspec.Struct, frozen=True):
    """One of several possible texts of a segment."""

    text: str
    confidence: float | None = None
    result: list[Word] = []


class Result(msgspec.Struct, frozen=True):
    """Server: the text of a segment; it does not change any more.

    A session with the option ``max_alternatives`` gets ``alternatives`` in place of
    ``text``; the first alternative is the best.
    """

    move: ClassVar[str] = RESULT
    text: str = ""
    result: list[Word] = []
    alternatives: list[Alternative] = []

    @property
    def best(self) -> Alternative:
        """The best alternative, or the text itself if there are no alternatives."""
        if self.alternatives:
            return self.alternatives[0]
        return Alternative(self.text, None, self.result)


START = "configuring"
_ANSWERS = (PARTIAL, RESULT)


def table(*, several: bool) -> Table:
    """Return the order of messages; if ``several`` is true, it includes ``reset``."""
    ends = {EOF: ("finishing",)}
    if several:
        ends[RESET] = ("resetting",)
    order: dict[Sender, dict[str, dict[str, tuple[str, ...]]]] = {
        Sender.CLIENT: {
            "configuring": {CONFIG: ("configuring",), AUDIO: ("hearing",), **ends},
            # A configuration after the first audio is ignored.
            "hearing": {CONFIG: ("hearing",), AUDIO: ("hearing",), **ends},
            "finishing": {},
        },
        Sender.SERVER: {
            "configuring": {},
            "hearing": {move: ("hearing",) for move in _ANSWERS},
            # Audio that was sent before the end may still be unanswered.
            "finishing": {PARTIAL: ("finishing",), RESULT: ("finishing", "over")},
            "over": {},
        },
    }
    if several:
        client, server = order[Sender.CLIENT], order[Sender.SERVER]
        client["resetting"] = {
            CONFIG: ("resetting",),
            AUDIO: ("resetting",),
            **ends,
        }
        # The result may be the answer to the reset, or to audio before the reset.
        server["resetting"] = {
            PARTIAL: ("resetting",),
            RESULT: ("resetting", "hearing"),
        }
    return order


def parse(record: Record) -> Message:
    """Return the message in a frame.

    The result is `Unknown` or `Malformed` for a frame that is not a message of the
    protocol. It is `Flawed` for a server's message that has missing or wrong fields.
    """
    if record.sender is Sender.CLIENT:
        if record.text is None:
            return Audio(_size(record))
        return read_client(record.text)
    if record.data is None:
        return _read_server(record.text or "")
    try:
        return _read_server(record.data.decode())
    except UnicodeDecodeError as error:
        return Malformed(f"a binary frame that is not text: {error}", json=False)


def read_client(text: str) -> Message:
    """Return the message in a text frame of the client."""
    if text == EOF_TEXT:
        return Eof()
    if text == RESET_TEXT:
        return Reset()
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return Malformed(f"not JSON: {error}", json=False)
    if not isinstance(value, dict):
        return Malformed(f"a JSON {type(value).__name__}, not an object", json=True)
    for name, exact in ((EOF, EOF_TEXT), (RESET, RESET_TEXT)):
        if name in value:
            return Malformed(
                f"{name}: a server accepts only the exact text {exact}", json=True
            )
    if CONFIG not in value:
        return Unknown(None)
    try:
        return msgspec.convert(value, Config)
    except msgspec.ValidationError as error:
        return Malformed(f"config: {error}", json=True)


def _read_server(text: str) -> Message:
    try:
        value, numbers = flawed_events.value_of(text)
    except (ValueError, RecursionError) as error:
        return Malformed(f"not JSON: {error}", json=False)
    if not isinstance(value, dict):
        return Malformed(f"a JSON {type(value).__name__}, not an object", json=True)
    kind = _kind(value)
    if kind is None:
        return Unknown(None)
    event, flaws = flawed_events.read(value, kind)
    if numbers:
        names = " and no number ".join(numbers)
        return Flawed(event, f"{event.move}: JSON has no number {names}", flaws)
    if flaws:
        texts = [f"{each.subject} {each.fault}" for each in flaws]
        return Flawed(event, f"{event.move}: {', and '.join(texts)}", flaws)
    return event


def _kind(value: dict[str, Any]) -> type[PartialResult] | type[Result] | None:
    if "partial" in value:
        return PartialResult
    if "text" in value or "alternatives" in value:
        return Result
    return None


def _size(record: Record) -> int:
    """Return the number of bytes of audio in a record."""
    if record.span is not None:
        return 2 * (record.span.stop - record.span.start)
    return record.length


def encode(message: PartialResult | Result) -> str:
    """Return a message of the server as the text of a frame."""
    fields = msgspec.to_builtins(message)
    if isinstance(message, Result):
        kept = ("alternatives",) if message.alternatives else ("text", "result")
        fields = {name: fields[name] for name in kept if name == "text" or fields[name]}
    return msgspec.json.encode(fields).decode()
