"""The dialect of Deepgram's live audio on ``/v1/listen``.

The module `events` describes the protocol. The name of the dialect is ``deepgram``, or
with a profile ``deepgram:whisperlivekit-listen``. Changes of capabilities may follow
the profile, as in ``deepgram:whisperlivekit-listen refusals=yes``. The module `profile`
lists the capabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Dialect,
    HttpRefusal,
    IdleClose,
    Reaction,
    Request,
    Traits,
)
from pytest_realtime_asr.dialects.deepgram import events, options
from pytest_realtime_asr.dialects.deepgram.client import ALIVE, Caller
from pytest_realtime_asr.dialects.deepgram.invalid_frames import misuses
from pytest_realtime_asr.dialects.deepgram.options import Listening
from pytest_realtime_asr.dialects.deepgram.profile import (
    PROFILES,
    Profile,
    capabilities,
    changes,
    chosen,
)
from pytest_realtime_asr.dialects.deepgram.reader import Reader
from pytest_realtime_asr.dialects.deepgram.reference import reference
from pytest_realtime_asr.dialects.deepgram.requirements import requirements
from pytest_realtime_asr.dialects.deepgram.scenario_steps import exercises
from pytest_realtime_asr.dialects.deepgram.server import Server
from pytest_realtime_asr.trace.json_events import encode
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record

_IDLE = IdleClose(
    10.0, 1011, "NET-0001: neither audio nor KeepAlive came within 10 seconds"
)


class _Deepgram:
    path = events.PATH
    profiles: Mapping[str, str] = {
        each.name: changes(each) for each in PROFILES.values()
    }

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.rate = profile.rates[0]
        self.table = events.table(finalizes=profile.finalizes, greets=profile.greeting)
        self.reference = reference(self.table)
        self.start = events.OPENING if profile.greeting else events.IDLE
        self.requirements = requirements(profile)
        self.misuses = misuses(profile)
        self.exercises = exercises(profile)
        self.traits = Traits(
            capabilities=capabilities(profile),
            keepalive=ALIVE,
            idle=_IDLE,
            final="Results with from_finalize"
            if profile.finalizes
            else "Metadata after CloseStream",
        )
        self._profile = profile

    def profiled(self, words: Sequence[str]) -> Dialect:
        own = self.name.partition(":")[0]
        return _Deepgram(f"{own}:{' '.join(words)}", chosen(words, base=self._profile))

    def parse(self, record: Record) -> Message:
        return events.parse(record)

    def reader(self) -> Reader:
        return Reader(self._profile)

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"{self._profile.key} {key}"} if key else {}

    def greets(self, record: Record) -> bool:
        return isinstance(self.parse(record), events.Metadata)

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return Caller(self._profile, model, options)

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        try:
            model = options.asked(request, self._profile).model
            if self._profile.models and model is not None and model not in models:
                raise ValueError(f"model: there is no model {model[:100]!r}")
        except ValueError as error:
            return self._refuse(str(error))
        return None

    def _refuse(self, why: str) -> HttpRefusal | Reaction:
        code = self._profile.refused
        if code < 1000:
            body = {"err_code": "INVALID_QUERY_PARAMETER", "err_msg": why}
            return HttpRefusal(code, msgspec.json.encode(body).decode())
        return Reaction((encode(events.Error(why)),), close=code, reason="bad options")

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        try:
            listening = options.asked(request, self._profile)
        except ValueError:  # only a faulty server opens such a session
            listening = Listening(rate=self.rate)
        return Server(self._profile, listening)


DEEPGRAM = _Deepgram("deepgram", PROFILES["deepgram"])
