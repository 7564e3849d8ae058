"""The protocol of vosk-server's WebSocket server; see `events` for its messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Dialect,
    HttpRefusal,
    Reaction,
    Request,
    Traits,
)
from pytest_realtime_asr.dialects.vosk.client import Caller
from pytest_realtime_asr.dialects.vosk.events import START, parse, table
from pytest_realtime_asr.dialects.vosk.profile import (
    PROFILES,
    Profile,
    changes,
    chosen,
)
from pytest_realtime_asr.dialects.vosk.reader import Reader
from pytest_realtime_asr.dialects.vosk.reference import reference
from pytest_realtime_asr.dialects.vosk.requirements import capabilities, requirements
from pytest_realtime_asr.dialects.vosk.scenario_steps import exercises, misuses
from pytest_realtime_asr.dialects.vosk.server import Server
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record


class _Vosk:
    path = "/"
    start = START
    profiles: Mapping[str, str] = {
        each.name: changes(each) for each in PROFILES.values()
    }

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.rate = profile.rate
        self.requirements = requirements(profile)
        self.misuses = misuses(profile)
        self.exercises = exercises(profile)
        self.table = table(several=profile.reset)
        self.traits = Traits(
            capabilities=capabilities(profile),
            final="the result after reset" if profile.reset else "the result after eof",
        )
        self.reference = reference(several=profile.reset)
        self._profile = profile

    def profiled(self, words: Sequence[str]) -> Dialect:
        found = chosen(words, base=self._profile)
        own = self.name.partition(":")[0]
        return _Vosk(f"{own}:{' '.join(words)}", found)

    def parse(self, record: Record) -> Message:
        return parse(record)

    def reader(self) -> Reader:
        return Reader(self.rate)

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def greets(self, record: Record) -> bool:
        return False  # the server sends nothing before it has audio

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return Caller(self._profile, options)

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        return None

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return Server(self._profile)


VOSK = _Vosk("vosk", PROFILES["vosk"])
