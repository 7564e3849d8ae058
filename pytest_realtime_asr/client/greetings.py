"""Greetings: the first event of a server, by which its dialect is recognised.

A dialect says which first events it accepts (`Dialect.greets`). Profiles of a dialect
may share this event and differ in its fields. To tell profiles apart, a first event is
compared with the first event that the fake server sends for each profile. The same
comparison finds the dialect that is nearest to an unknown server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from pytest_realtime_asr.dialects import can, installed, load
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace.records import Record

_LONGEST_VALUE = 40  # characters of a value that are quoted
_NAMING = ("type", "object")  # fields whose values name what an object is

UNSUPPORTED: Mapping[str, frozenset[str]] = {
    "Mistral": frozenset({"request_id", "audio_format"}),
}
"""Servers that no dialect of this package supports. Each server is recognised by these
fields of the session object in its first event."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The similarity of a first event to the first event of a dialect.

    ``name`` is the name of the dialect, with its profile. ``shared`` is the number of
    fields that agree. ``differences`` has one sentence for each field that differs.
    """

    name: str
    shared: int
    differences: tuple[str, ...]

    @property
    def degree(self) -> float:
        """The share of fields that agree, from 0 to 1."""
        return self.shared / (self.shared + len(self.differences))


def greeted(record: Record) -> tuple[str, ...]:
    """Return the names of the dialects whose servers may send this frame first.

    Of a dialect and its profiles, the result has only the one whose first event agrees
    with the frame in the most fields. Fields that are missing in the frame are ignored.
    """
    found = []
    for name in installed():
        names = [each for each in _with_profiles(name) if load(each).greets(record)]
        if names:
            shared = {each.name: each.shared for each in _likenesses(record, names)}
            found.append(max(names, key=lambda each: shared.get(each, 0)))
    return tuple(found)


def nearest(record: Record, *, besides: str = "") -> Likeness | None:
    """Return the dialect or profile whose first event is most similar to a frame.

    ``besides`` is the name of the dialect in use. This dialect and all dialects with
    the same first event are left out. A first event of the frame's type counts as more
    similar than any event of another type. Return ``None`` if no first event has a
    field in common with the frame.
    """
    names = [each for name in installed() for each in _with_profiles(name)]
    found = _likenesses(record, names)
    used = {
        each.differences for each in _likenesses(record, [besides] if besides else [])
    }
    found = [each for each in found if each.differences not in used]
    return max(found, key=lambda each: _nearness(each, kind(record)), default=None)


def _nearness(likeness: Likeness, kind: str) -> tuple[bool, float]:
    return _sample(likeness.name).get("type") == kind, likeness.degree


def silent() -> tuple[str, ...]:
    """Return the installed dialects whose servers send no first event."""
    return tuple(
        each for each in installed() if not can(load(each), Capability.GREETING)
    )


def kind(record: Record) -> str:
    """Return the type of a first event, or "" if it has no type."""
    return str(_fields(record.text).get("type", ""))


def unsupported(record: Record) -> str | None:
    """Return the name of the `UNSUPPORTED` server that sends this kind of first event.

    Return ``None`` if no unsupported server sends it.
    """
    session = _fields(record.text).get("session")
    if not isinstance(session, dict):
        return None
    found = (name for name, fields in UNSUPPORTED.items() if fields <= session.keys())
    return next(found, None)


def _with_profiles(name: str) -> list[str]:
    return [name, *(f"{name}:{profile}" for profile in load(name).profiles)]


def _likenesses(record: Record, names: list[str]) -> list[Likeness]:
    """Return the likeness of a frame to each dialect that shares a field with it."""
    given = _fields(record.text)
    found = []
    for name in names:
        compared = list(_compared(_sample(name), given))
        differences = tuple(each for each in compared if each is not None)
        if shared := len(compared) - len(differences):
            found.append(Likeness(name, shared, differences))
    return found


@cache
def _sample(name: str) -> Mapping[str, Any]:
    """Return the first event of a dialect's fake server, or {} if it sends none."""
    try:
        frames = load(name).server(["model"]).open("sess-1", 0)
        text = next((each for each in frames if isinstance(each, str)), None)
    except Exception:  # a dialect of another package may have no server
        return {}
    return _fields(text)


def _fields(text: str | None) -> dict[str, Any]:
    """Return the JSON object in a text frame; it is empty if there is none."""
    try:
        value = msgspec.json.decode(text or "")
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _compared(
    expected: Mapping[str, Any], given: Mapping[str, Any], path: str = ""
) -> Iterator[str | None]:
    """Yield ``None`` for a field that agrees, and a sentence for one that differs."""
    for name in {**expected, **given}:
        where = f"{path}{name}"
        one, other = expected.get(name), given.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _compared(one, other, f"{where}.")
        elif name not in given:
            yield from _each(one, f"{where}", "is missing")
        elif name not in expected:
            yield from _each(other, f"{where}", "is additional")
        elif isinstance(one, dict) != isinstance(other, dict):
            yield f"`{where}` is {_kind(other)}, not {_kind(one)}"
        elif name in _NAMING and one != other:
            yield f"`{where}` is {_shown(other)}, not {_shown(one)}"
        else:
            yield None


def _each(value: object, where: str, what: str) -> Iterator[str]:
    """Yield a sentence for each innermost field of a value."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _each(inner, f"{where}.{name}", what)
    else:
        yield f"`{where}` {what}"


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
    return _shown(value)


def _shown(value: object) -> str:
    return shortened(printable(str(value)), _LONGEST_VALUE)
