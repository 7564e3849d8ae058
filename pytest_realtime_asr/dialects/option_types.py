"""Checks the types of session options before the first session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class OptionType:
    """The type of an option; ``about`` completes the sentence "it must be ..."."""

    kind: Any
    about: str


def check(options: Mapping[str, object], types: Mapping[str, OptionType]) -> None:
    """Raise ValueError for an option whose value does not have its type.

    Options without an entry in ``types`` may have any value.
    """
    for name in options.keys() & types.keys():
        wanted = types[name]
        try:
            msgspec.convert(options[name], wanted.kind)
        except msgspec.ValidationError:
            raise ValueError(
                f"{name}: {options[name]!r:.100} must be {wanted.about}"
            ) from None
