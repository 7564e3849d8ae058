"""The reference of a dialect: examples, meanings of states and codes, and fields.

A dialect may have a reference. The reference is data for the documentation and for the
messages of failures; no server and no client needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import msgspec

from pytest_realtime_asr.trace.records import Sender

Kinds = Mapping[Sender, tuple[type[msgspec.Struct], ...]]
"""The structs of the events that each side may send."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event, given by the type of the event and the path to the field.

    ``event`` is empty for a field that every event has. ``[]`` in a path is any element
    of a list, as in ``logprobs[].token``.
    """

    event: str
    path: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference of one protocol.

    - ``about`` has paragraphs in Markdown about the connection and the audio.
    - ``outline`` is a typical session, as text.
    - ``kinds`` are the structs of the events.
    - ``inside`` are further structs. They describe the content of fields that the
      structs of the events leave open.
    - ``examples`` has a JSON text for each type of event.
    - ``states`` says what each state of the order means.
    - ``codes`` says what each code of an error means.
    - ``fields`` are the fields that each requirement is about, by the id of the
      requirement. A requirement has no fields here if it is about the connection, or
      about all fields of all events.
    """

    about: tuple[str, ...]
    outline: str
    kinds: Kinds
    examples: Mapping[str, str]
    states: Mapping[str, str]
    codes: Mapping[str, str]
    fields: Mapping[str, tuple[Field, ...]]
    inside: Mapping[Field, type[msgspec.Struct]] = field(default_factory=dict)


def event_name(kind: type[msgspec.Struct]) -> str:
    """Return the type of an event, or its move if the protocol has no event types."""
    tag = kind.__struct_config__.tag
    return str(kind.move if tag is None else tag)  # type: ignore[attr-defined]


@runtime_checkable
class Documented(Protocol):
    """A dialect that has a reference."""

    reference: Reference


def fields_by_requirement(
    ids: Mapping[tuple[str, str], str],
) -> Mapping[str, tuple[Field, ...]]:
    """Return the fields that each requirement is about, by the id of the requirement.

    A key of ``ids`` is the type of an event and the path to one of its fields. The
    value has the ids of the requirements on this field, separated by spaces.
    """
    found: dict[str, tuple[Field, ...]] = {}
    for (event, path), names in ids.items():
        for name in names.split():
            found[name] = (*found.get(name, ()), Field(event, path))
    return found
