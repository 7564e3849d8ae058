"""The client's side of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from pytest_realtime_asr.dialect_api import Frame
from steno_dialect.events import RATE

_OPTIONS = {"interim": bool, "language": str}


class Caller:
    """Sends the options of the session in the query of the URL.

    Raises ValueError for an unknown option, and for an option of a wrong type.
    """

    rate = RATE
    binary = True
    tail = 0.0
    headers: Mapping[str, str] = {}

    def __init__(self, model: str, options: Mapping[str, object]) -> None:
        for name, value in options.items():
            if name not in _OPTIONS:
                known = ", ".join(_OPTIONS)
                raise ValueError(f"{name} is not an option; choose from {known}")
            if type(value) is not _OPTIONS[name]:
                raise ValueError(
                    f"{name}: {value!r} is not a {_OPTIONS[name].__name__}"
                )
        query = {"model": model, **options}
        if "interim" in query:
            query["interim"] = "yes" if query["interim"] else "no"
        self.query = urlencode(query)

    def configure(self) -> Sequence[Frame]:
        return ()

    def begin(self) -> Sequence[Frame]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        return pcm

    def finish(self) -> Sequence[Frame]:
        return (b"",)
