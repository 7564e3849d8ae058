"""The dialect of OpenAI's realtime transcription on ``/v1/realtime``.

The module `events` describes the protocol. A dialect is named ``openai`` or, with a
profile, ``openai:sglang``. Words that change the capabilities may follow, as in
``openai:sglang rates=16000 least=0.2``; the module `profile` lists the capabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Dialect,
    HttpRefusal,
    Operations,
    Reaction,
    Request,
    Traits,
)
from pytest_realtime_asr.dialects.openai.client import Caller
from pytest_realtime_asr.dialects.openai.events import (
    COMPLETED,
    SHAPES,
    START,
    TABLE,
    BetaCreated,
    ConversationCreated,
    SessionCreated,
)
from pytest_realtime_asr.dialects.openai.invalid_frames import misuses
from pytest_realtime_asr.dialects.openai.profile import (
    PROFILES,
    Profile,
    changes,
    chosen,
)
from pytest_realtime_asr.dialects.openai.reader import Reader
from pytest_realtime_asr.dialects.openai.reference import BETA as BETA_REFERENCE
from pytest_realtime_asr.dialects.openai.reference import GENERAL as GENERAL_REFERENCE
from pytest_realtime_asr.dialects.openai.requirements import requirements
from pytest_realtime_asr.dialects.openai.scenario_steps import exercises
from pytest_realtime_asr.dialects.openai.server import Server
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record

# What `GET /metrics` shows, by profile. SGLang documents it, and each session is one
# running request; the hosted services show no metrics.
_OPERATIONS = {
    "sglang": Operations(
        gauge="sglang:num_running_reqs",
        running="sglang:num_running_reqs",
        waiting="sglang:num_queue_reqs",
        kv_cache="sglang:token_usage",
    )
}


class _OpenAI:
    path = "/v1/realtime"
    table = TABLE
    start = START

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.requirements = requirements(profile)
        self.misuses = misuses(profile)
        self.exercises = exercises(profile)
        self.reference = BETA_REFERENCE if profile.beta else GENERAL_REFERENCE
        self.rate = profile.rates[0]
        self.profiles: Mapping[str, str] = {
            each.name: changes(each)
            for each in PROFILES.values()
            if each.beta == profile.beta
        }
        self.traits = Traits(
            operations=_OPERATIONS.get(profile.name, Operations()),
            most=profile.most,
            final=COMPLETED,
        )
        self._profile = profile

    def profiled(self, words: Sequence[str]) -> Dialect:
        own = self.name.partition(":")[0]
        return _OpenAI(f"{own}:{' '.join(words)}", chosen(words, base=self._profile))

    def parse(self, record: Record) -> Message:
        return SHAPES.parse(record)

    def reader(self) -> Reader:
        return Reader(self.rate)

    def headers(self, key: str) -> Mapping[str, str]:
        headers = {"OpenAI-Beta": "realtime=v1"} if self._profile.beta else {}
        if key:
            bearer = self._profile.key == "Authorization"
            headers[self._profile.key] = f"Bearer {key}" if bearer else key
        return headers

    def greets(self, record: Record) -> bool:
        message = self.parse(record)
        if message.move != self._profile.greeting:
            return False
        if isinstance(message, SessionCreated):  # may open either shape
            return message.session.has_shape(beta=self._profile.beta)
        return isinstance(message, BetaCreated | ConversationCreated)

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return Caller(self._profile, model, options)

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
        return Server(models, self._profile, limit)


OPENAI = _OpenAI("openai", PROFILES["openai"])
BETA = _OpenAI("openai-beta", PROFILES["beta"])
