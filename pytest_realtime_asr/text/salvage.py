"""What is still said where a part of a report cannot be made.

A report is made of parts, some by the user's own code, such as a normaliser. A part
that raises is left out, and the reason stands in its place; the rest is as it was.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pytest_realtime_asr.text.redaction import printable

_SHOWN = 200  # characters of a reason
T = TypeVar("T")


class Salvage:
    """Makes parts by name; ``failed`` holds the reason for each that raised.

    In a ``private`` run a reason is the kind of the exception, since what it says may
    quote a text.
    """

    def __init__(self, *, private: bool = False) -> None:
        self.failed: dict[str, str] = {}
        self._private = private

    def __call__(self, name: str, make: Callable[[], T], otherwise: T) -> T:
        """Return what ``make`` gives, or ``otherwise`` where it raises."""
        try:
            return make()
        except Exception as error:
            self.failed[name] = reason(error, private=self._private)
            return otherwise

    @property
    def lines(self) -> list[str]:
        """One line for each reason, which names the parts that it left out."""
        parts: dict[str, list[str]] = {}
        for name, why in self.failed.items():
            parts.setdefault(why, []).append(name)
        return [f"{', '.join(names)} not known: {why}" for why, names in parts.items()]


def reason(error: Exception, *, private: bool = False) -> str:
    """Say in one short line what an exception says, and where a mistake was made.

    In a ``private`` run, say its kind alone.
    """
    if private:
        return type(error).__name__
    told = getattr(error, "strerror", None) or error
    text = " ".join(str(told).split())
    text = printable(text)
    text = f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text
    if isinstance(error, OSError) and text:
        return text
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    for frame in traceback.extract_tb(error.__traceback__)[-1:]:
        text += f" ({Path(frame.filename).name}:{frame.lineno})"
    return text
