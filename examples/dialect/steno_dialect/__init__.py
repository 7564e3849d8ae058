"""The dialect of Steno, an invented protocol; see `events` for its frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_realtime_asr.dialect_api import (
    NO_REQUEST,
    Dialect,
    HttpRefusal,
    Keepalive,
    Message,
    Record,
    Request,
    Traits,
    encode,
)
from steno_dialect import events, server
from steno_dialect.client import Caller
from steno_dialect.events import RATE, START, TABLE, KeepaliveEvent
from steno_dialect.reader import Reader
from steno_dialect.requirements import CAPABILITIES, EXERCISES, MISUSES, REQUIREMENTS
from steno_dialect.server import Server

_PATHS = {"gateway": "/speech/steno"}


class Steno:
    """Steno, with the path of a profile."""

    rate = RATE
    requirements = REQUIREMENTS
    misuses = MISUSES
    exercises = EXERCISES
    table = TABLE
    start = START
    traits = Traits(
        capabilities=CAPABILITIES, keepalive=Keepalive(encode(KeepaliveEvent()), 5.0)
    )
    profiles: Mapping[str, str] = {
        name: f"path={path}" for name, path in _PATHS.items()
    }

    def __init__(self, name: str = "steno", path: str = "/steno") -> None:
        self.name = name
        self.path = path

    def profiled(self, words: Sequence[str]) -> Dialect:
        name, *changes = words
        if name not in _PATHS or changes:
            known = ", ".join(_PATHS)
            raise ValueError(f"{' '.join(words)!r} is no profile; choose from {known}")
        return Steno(f"steno:{name}", _PATHS[name])

    def parse(self, record: Record) -> Message:
        return events.parse(record)

    def reader(self) -> Reader:
        return Reader()

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Token {key}"} if key else {}

    def greets(self, record: Record) -> bool:
        return False  # the client speaks first

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return Caller(model, options)

    def refusal(self, request: Request, models: Sequence[str]) -> HttpRefusal | None:
        return server.refusal(request, models)

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return Server(request)


STENO: Dialect = Steno()
