"""The words by which a user changes a profile, as in ``rates=16000 vad=no``.

A profile is a frozen dataclass with a field ``name`` and a field for each capability.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import Field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_realtime_asr.text import inputs

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LARGEST = 192_000  # of a whole number, which is a rate in Hz or a close code

_Profile = TypeVar("_Profile", bound="DataclassInstance")


def chosen(
    profiles: Mapping[str, _Profile],
    words: Sequence[str],
    *,
    base: _Profile,
    fixed: Collection[str] = (),
) -> _Profile:
    """Return the profile that the words select, with the changes that they state.

    If the first word is a name, it selects one of the ``profiles``; otherwise ``base``
    is selected. All other words are changes, such as ``vad=no``. ``fixed`` are the
    fields that cannot be changed. Raises ValueError for an unknown name and for a word
    that cannot be parsed.
    """
    if not words or "=" in words[0]:
        return changed(base, words, fixed=fixed)
    name, *others = words
    if name not in profiles:
        there = ", ".join(profiles)
        raise ValueError(f"there is no profile {name!r}; choose from {there}")
    return changed(profiles[name], others, fixed=fixed)


def changed(
    profile: _Profile, words: Iterable[str], *, fixed: Collection[str] = ()
) -> _Profile:
    """Return the profile with changes, each written as ``rates=16000`` or ``vad=no``.

    ``fixed`` are the fields that cannot be changed. Raises ValueError for a word that
    cannot be parsed.
    """
    known = {each.name: each for each in fields(profile) if each.name not in fixed}
    changes: dict[str, object] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or name not in known:
            raise ValueError(
                f"{word!r} is not a capability; choose from {', '.join(known)}, and "
                "give the value as in name=value"
            )
        before = getattr(profile, name)
        try:
            changes[name] = _read(text, before, known[name])
        except ValueError:
            raise ValueError(
                f"the value of {word!r} is not valid; the default is "
                f"{name}={_written(before)}"
            ) from None
    return replace(profile, **changes)


def changes(profile: _Profile, *, of: _Profile) -> str:
    """Return the changes that turn the profile ``of`` into ``profile``.

    The changes are written as `changed` reads them, as in ``rates=16000 vad=no``. The
    name of the profile is left out.
    """
    pairs = (
        (each.name, getattr(profile, each.name), getattr(of, each.name))
        for each in fields(profile)
    )
    return " ".join(
        f"{name}={_written(value)}"
        for name, value, before in pairs
        if name != "name" and value != before
    )


def _read(text: str, before: object, of: Field[Any]) -> object:
    """Return the value that ``text`` states; it has the type of ``before``."""
    if isinstance(before, enum.Enum):
        return type(before)(text)
    return _READERS[type(before)](text)


def _written(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case enum.Enum():
            return str(value.value)
        case tuple():
            return ",".join(map(str, value))
        case float():
            return f"{value:g}"
    return str(value)


def _flag(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError(text)
    return text.lower() == "yes"


def _whole(text: str) -> int:
    return inputs.whole(text, 1, _LARGEST)


def _size(text: str) -> float:
    size = float(text)
    if not 0 <= size < math.inf:
        raise ValueError(text)
    return size


def _rates(text: str) -> tuple[int, ...]:
    rates = tuple(int(each) for each in text.split(","))
    if not all(8_000 <= rate <= 192_000 for rate in rates):
        raise ValueError(text)
    return rates


_READERS: Mapping[type, Callable[[str], object]] = {
    str: str,
    bool: _flag,
    int: _whole,
    float: _size,
    tuple: _rates,
}
