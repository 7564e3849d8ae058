"""Reads events whose fields are missing or have a wrong type.

The type of such an event still says what the server means. The event is read with
neutral values (an empty string, 0, an empty list) in place of the wrong fields, so that
the session can go on. Each flaw names its field and the type that the field must have.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, TypeVar, get_type_hints

import msgspec
from msgspec import inspect

from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.trace.recording import Flaw

_Event = TypeVar("_Event", bound=msgspec.Struct)
_LONGEST_VALUE = 40  # characters of a wrong value that are quoted
_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "a string",
    inspect.IntType: "an integer of 64 bits",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
    inspect.ListType: "a list",
    inspect.DictType: "an object",
    inspect.StructType: "an object",
}
_NEUTRAL: dict[type[inspect.Type], object] = {
    inspect.StrType: "",
    inspect.IntType: 0,
    inspect.FloatType: 0.0,
    inspect.BoolType: False,
}


class NotJson:
    """A number that is not allowed in JSON: NaN, Infinity or -Infinity."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def value_of(text: str) -> tuple[object, tuple[str, ...]]:
    """Parse a JSON text; return its value, and the names of invalid numbers in it.

    The names are NaN, Infinity and -Infinity, which are not allowed in JSON; the value
    has `NotJson` in their place. Raises ValueError or RecursionError if the text is
    invalid JSON in another way.
    """
    found: dict[str, NotJson] = {}
    value = json.loads(
        text, parse_constant=lambda name: found.setdefault(name, NotJson(name))
    )
    return value, tuple(found)


def read(value: dict[str, Any], kind: type[_Event]) -> tuple[_Event, tuple[Flaw, ...]]:
    """Read a JSON object as an event; return the event and its flaws.

    A field that is missing or wrong has a neutral value in the event.
    """
    flaws: list[Flaw] = []
    return _struct(value, kind, "", flaws), tuple(flaws)


def _struct(
    value: dict[str, Any], kind: type[_Event], path: str, flaws: list[Flaw]
) -> _Event:
    found = {}
    for field, annotation, shape in _fields(kind):
        where = f"{path}{field.encode_name}"
        if field.encode_name in value:
            given = value[field.encode_name]
            found[field.name] = _value(given, annotation, shape, where, flaws)
        elif field.required:
            flaws.append(Flaw(f"`{where}`", "is missing", named(shape)))
            found[field.name] = _neutral(shape)
    return kind(**found)


def _value(
    value: object, annotation: Any, shape: inspect.Type, where: str, flaws: list[Flaw]
) -> object:
    """Return the value of a field, or a neutral value if ``value`` is wrong."""
    try:
        return msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        pass
    for each in choices(shape):
        if isinstance(each, inspect.StructType) and isinstance(value, dict):
            return _struct(value, each.cls, f"{where}.", flaws)
    spelled = repr(value) if isinstance(value, NotJson) else _spelled(value)
    shown = shortened(spelled, _LONGEST_VALUE)
    flaws.append(Flaw(f"`{where}`", f"is {shown}", named(shape)))
    return _neutral(shape)


def _spelled(value: object) -> str:
    """Return a value as JSON; NaN and infinite numbers are written by name."""
    return json.dumps(value, ensure_ascii=False, default=repr)


@cache
def _fields(
    kind: type[msgspec.Struct],
) -> tuple[tuple[inspect.Field, Any, inspect.Type], ...]:
    """Return the fields of an event, each with its annotation and its type."""
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    annotations = get_type_hints(kind, include_extras=True)
    return tuple((each, annotations[each.name], each.type) for each in shape.fields)


def choices(shape: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the members of a union type; for any other type, the type alone."""
    return shape.types if isinstance(shape, inspect.UnionType) else (shape,)


def named(shape: inspect.Type) -> str:
    """Return the name of a type as part of a sentence, such as "a string"."""
    return " or ".join(dict.fromkeys(map(_name, choices(shape))))


def _name(shape: inspect.Type) -> str:
    if isinstance(shape, inspect.LiteralType):
        return " or ".join(json.dumps(each) for each in shape.values)
    return _NAMES.get(type(shape), "any value")


def _neutral(shape: inspect.Type) -> object:
    """Return the neutral value of a type, for a field that is missing or wrong."""
    possible = choices(shape)
    if any(isinstance(each, inspect.NoneType) for each in possible):
        return None
    first = possible[0]
    match first:
        case inspect.StructType(cls=kind):
            return _struct({}, kind, "", [])
        case inspect.ListType():
            return []
        case inspect.DictType():
            return {}
    return _NEUTRAL.get(type(first))
