"""SGLang-Omni's transcription protocol on ``/v1/realtime``; see `events`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Caller,
    Dialect,
    HttpRefusal,
    Reaction,
    Request,
    Traits,
)
from pytest_realtime_asr.dialects.sglang_omni.client import Caller as OmniCaller
from pytest_realtime_asr.dialects.sglang_omni.events import (
    RATE,
    SEGMENT,
    SHAPES,
    START,
    TABLE,
    SessionCreated,
)
from pytest_realtime_asr.dialects.sglang_omni.invalid_frames import MISUSES
from pytest_realtime_asr.dialects.sglang_omni.reader import Reader
from pytest_realtime_asr.dialects.sglang_omni.reference import REFERENCE
from pytest_realtime_asr.dialects.sglang_omni.requirements import (
    CAPABILITIES,
    REQUIREMENTS,
)
from pytest_realtime_asr.dialects.sglang_omni.scenario_steps import EXERCISES
from pytest_realtime_asr.dialects.sglang_omni.server import Server, refusal
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record


class _SGLangOmni:
    name = "sglang-omni"
    rate = RATE
    path = "/v1/realtime"
    profiles: Mapping[str, str] = {}
    requirements = REQUIREMENTS
    misuses = MISUSES
    exercises = EXERCISES
    table = TABLE
    start = START
    reference = REFERENCE
    traits = Traits(
        capabilities=CAPABILITIES,
        final=f"{SEGMENT} with is_final, up to the end of the audio",
    )

    def parse(self, record: Record) -> Message:
        return SHAPES.parse(record)

    def reader(self) -> Reader:
        return Reader()

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def greets(self, record: Record) -> bool:
        return isinstance(self.parse(record), SessionCreated)

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return OmniCaller(options)

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        return refusal(request)

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return Server(models)

    def profiled(self, words: Sequence[str]) -> Dialect:
        raise ValueError("this dialect has no profiles; name the dialect alone")


SGLANG_OMNI = _SGLangOmni()
