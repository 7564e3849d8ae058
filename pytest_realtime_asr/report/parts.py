"""Computes the parts of a report; an error in one part does not affect the others.

A part that raises an error is replaced by a given value, and the error is reported.
Some parts call the user's own code, such as a normaliser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pytest_realtime_asr.text.messages import error_text

T = TypeVar("T")


class Parts:
    """Computes named parts; ``failed`` has the error of each part that failed.

    In a ``private`` run, ``failed`` has only the type of each exception, since a
    message may quote a transcript.
    """

    def __init__(self, *, private: bool = False) -> None:
        self.failed: dict[str, str] = {}
        self._private = private

    def __call__(self, name: str, make: Callable[[], T], otherwise: T) -> T:
        """Return the result of ``make``.

        If ``make`` raises, add the error to ``failed`` and return ``otherwise``.
        """
        try:
            return make()
        except Exception as error:
            self.failed[name] = error_text(error, private=self._private)
            return otherwise

    @property
    def lines(self) -> list[str]:
        """One line for each error: its message, and the parts that failed with it."""
        parts: dict[str, list[str]] = {}
        for name, why in self.failed.items():
            parts.setdefault(why, []).append(name)
        return [f"{', '.join(names)} not known: {why}" for why, names in parts.items()]
