"""JSON frames as typed events: one struct for each event type of a protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Union

import msgspec

from pytest_realtime_asr.trace import flawed_events
from pytest_realtime_asr.trace.recording import Flawed, Message
from pytest_realtime_asr.trace.records import Record, Sender

Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer in an event; if it needs more than 64 bits, the frame is malformed."""


class Typed(msgspec.Struct, frozen=True, tag_field="type"):
    """An event of the protocol; additional fields are allowed.

    The field ``type`` holds the name of the event. If a protocol holds this name in
    another field, derive its events from a class that sets this field:
    ``class Named(Typed, frozen=True, tag_field="event")``.
    """

    @property
    def move(self) -> str:
        """The type of the event."""
        return str(self.__struct_config__.tag)


class Unknown(msgspec.Struct, frozen=True):
    """A JSON object of a type that its sender may not send.

    ``type`` is ``None`` if the type of the object is missing or is not a string.
    """

    type: str | None
    move: str = "unknown"


class Malformed(msgspec.Struct, frozen=True):
    """A frame that is not an event.

    ``reason`` says what is wrong. ``json`` is false for a text that is not JSON. For
    any other frame, also a binary one, it is true.
    """

    reason: str
    json: bool
    move: str = "malformed"


class Shapes:
    """Decodes the events that the client and the server may send.

    ``kinds`` has the structs of the events that each side may send. A side that sends
    no events has an empty tuple. Raises ValueError if not all events hold their name in
    the same field.
    """

    def __init__(self, kinds: Mapping[Sender, tuple[type[Typed], ...]]) -> None:
        self.kinds = kinds
        fields = {
            str(kind.__struct_config__.tag_field)
            for each in kinds.values()
            for kind in each
        }
        if len(fields) > 1:
            raise ValueError(
                "all events must hold their name in the same field, not in "
                f"{' and '.join(sorted(fields))}"
            )
        self._field = next(iter(fields), "type")
        # In a union of one struct, a value without a tag would be this struct.
        self._no_event = msgspec.defstruct(
            "NoEvent", (), frozen=True, tag_field=self._field, tag=""
        )
        self._decoders = {
            sender: msgspec.json.Decoder(Union[(*each, self._no_event)])
            for sender, each in kinds.items()
        }
        self._by_type = {
            sender: {str(kind.__struct_config__.tag): kind for kind in each}
            for sender, each in kinds.items()
        }

    def parse(self, record: Record) -> Message:
        """Return the event of a frame; `Unknown` or `Malformed` if it has none.

        An event of the server with missing or wrong fields is `Flawed`; an event of the
        client with such fields is `Malformed`, since a server refuses it.
        """
        if record.text is None:
            return Malformed("a binary frame", json=True)
        return self.read(record.text, record.sender)

    def read(self, text: str, sender: Sender) -> Message:
        """Return the event of a text frame of ``sender``.

        In a frame of the server, a lone surrogate escape is read as a question mark and
        is not an error, since the server may only repeat what the client sent.
        """
        try:
            return self._event(text, sender)
        except msgspec.ValidationError as error:
            return Malformed(f"a JSON value that cannot be decoded: {error}", json=True)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            if sender is Sender.SERVER and (whole := _whole(text)) is not None:
                return self.read(whole, sender)
            return self._not_json(text, sender, str(error))

    def _event(self, text: str, sender: Sender) -> Message:
        reason = ""
        try:
            event: Message = self._decoders[sender].decode(text)
            if not isinstance(event, self._no_event):
                return event
        except msgspec.ValidationError as error:
            reason = str(error)
        # The text may still not be JSON: the decoder stops at the first error.
        value = msgspec.json.decode(text)
        if not isinstance(value, dict):
            return Malformed(f"a JSON {type(value).__name__}, not an object", json=True)
        kind = value.get(self._field)
        if not isinstance(kind, str):
            return Unknown(None)
        if kind not in self._by_type[sender]:
            return Unknown(kind)
        if sender is Sender.SERVER:
            return self._flawed(value, kind, reason)
        return Malformed(f"{kind}: {reason}", json=True)

    def _not_json(self, text: str, sender: Sender, reason: str) -> Message:
        """Return the decoded form of a text frame that is not JSON.

        The result is `Malformed`, with one exception: if the server sent the text, and
        NaN or infinite numbers are its only fault, the result is an event with a flaw.
        """
        try:
            value, numbers = flawed_events.value_of(text)
        except (ValueError, RecursionError):
            return Malformed(f"not JSON: {reason}", json=False)
        if numbers:
            reason = f"JSON has no number {' and no number '.join(numbers)}"
        if sender is Sender.SERVER and numbers and isinstance(value, dict):
            kind = value.get(self._field)
            if isinstance(kind, str) and kind in self._by_type[sender]:
                return self._flawed(value, kind, f"not JSON: {reason}")
        return Malformed(f"not JSON: {reason}", json=False)

    def _flawed(self, value: dict[str, Any], kind: str, reason: str) -> Flawed:
        """Return an event of the server with a description of its flaws.

        If no field is missing or wrong, the description is ``reason``.
        """
        event, flaws = flawed_events.read(value, self._by_type[Sender.SERVER][kind])
        texts = [
            f"{each.subject} {each.fault}; it must be {each.wanted}" for each in flaws
        ]
        named = [replace(each, subject=f"{kind}: {each.subject}") for each in flaws]
        return Flawed(event, f"{kind}: {', and '.join(texts) or reason}", tuple(named))


def _whole(text: str) -> str | None:
    """Return the JSON text with a question mark in place of each lone surrogate.

    Returns ``None`` if ``text`` has no lone surrogate, or is not JSON.
    """
    if "\\ud" not in text.lower():
        return None
    try:
        plain = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    whole = plain.encode(errors="replace").decode()
    return None if whole == plain else whole


def encode(event: Typed) -> str:
    """Return an event as the text of a frame."""
    return msgspec.json.encode(event).decode()
