"""Finds where a requirement is documented, and which fields it is about.

The functions cache what they return, since they are called for each result of a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

import msgspec
from msgspec import inspect

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements.reference import (
    Documented,
    Field,
    Reference,
    event_name,
)
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.trace.flawed_events import choices, named
from pytest_realtime_asr.trace.records import Sender

DOCUMENTATION = "docs"
"""The directory of the documentation in the project, or the URL of its site."""


def page(dialect: str, id: str) -> str | None:
    """Return the address of the documentation of a requirement, or ``None``.

    ``None`` means that the requirement is not documented. ``dialect`` may name a
    profile, such as ``openai:sglang``.
    """
    name = dialect.partition(":")[0]
    if reference(name) is None:
        return None
    described = (each.id for found in requirements(name).values() for each in found)
    if id not in described:
        return None
    return f"{DOCUMENTATION}/protocols/{name}.md#{anchor(id)}"


@cache
def requirements(name: str) -> Mapping[str, tuple[Requirement, ...]]:
    """Return the requirements of a dialect on servers, grouped by dialect and profile.

    A requirement of the dialect is listed under the name of the dialect, such as
    ``openai``. Any other requirement is listed under the first profile that has it,
    such as ``openai:sglang``.
    """
    found: dict[str, tuple[Requirement, ...]] = {}
    seen: set[str] = set()
    profiles = [f"{name}:{profile}" for profile in dialects.load(name).profiles]
    for each in (name, *profiles):
        new = tuple(
            it
            for it in dialects.load(each).requirements
            if it.binds is Sender.SERVER and it.id not in seen
        )
        seen.update(it.id for it in new)
        if new:
            found[each] = new
    return found


@cache
def fields(dialect: str, id: str) -> tuple[str, ...]:
    """Return a text with path and type for each field that a requirement is about.

    If the requirement demands certain error codes, the text for the field of the code
    lists these codes.
    """
    found = reference(dialect)
    if found is None:
        return ()
    codes = next(
        (each.codes for each in dialects.load(dialect).requirements if each.id == id),
        (),
    )
    wanted = " or ".join(f'"{code}"' for code in codes)
    return tuple(
        f"{each.path} of {each.event or 'every event'}: {type_of(found, each)}"
        + (f", here {wanted}" if wanted and each.path.endswith("code") else "")
        for each in found.fields.get(id, ())
    )


@cache
def reference(dialect: str) -> Reference | None:
    """Return the reference of a dialect, or ``None`` if the dialect has none."""
    try:
        found = dialects.load(dialect)
    except LookupError:
        return None
    return found.reference if isinstance(found, Documented) else None


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and the documentation site make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower().replace(" ", "-"))


def kinds_by_type(found: Reference) -> dict[str, type[msgspec.Struct]]:
    """Return the struct of each event, by the type of the event."""
    return {event_name(kind): kind for kinds in found.kinds.values() for kind in kinds}


def rows(kind: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, str, bool]]:
    """Yield, for each field of a struct, its path, its type and whether it is required.

    If a field contains an object, the fields of this object follow. ``[]`` in a path
    means any element of a list.
    """
    tag, name = kind.__struct_config__.tag, kind.__struct_config__.tag_field
    if name is not None:
        yield f"{path}{name}", f'"{tag}"', True
    shape = inspect.type_info(kind)
    assert isinstance(shape, inspect.StructType)
    for each in shape.fields:
        where = f"{path}{each.encode_name}"
        yield where, named(each.type), each.required
        for choice in choices(each.type):
            inner = where
            if isinstance(choice, inspect.ListType):
                choice, inner = choice.item_type, f"{where}[]"
            if isinstance(choice, inspect.StructType):
                yield from rows(choice.cls, f"{inner}.")


def type_of(found: Reference, field: Field) -> str:
    """Return the name of the type of a field. Raises KeyError for an unknown field."""
    if field.path == "type":
        return "a string"
    return _types(kinds_by_type(found)[field.event])[field.path]


@cache
def _types(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    """Return the name of the type of each field of an event, by the field's path."""
    return {path: name for path, name, _ in rows(kind)}
