"""vLLM-Omni's own realtime connection in front of the stub engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import vllm_application
from fastapi import FastAPI, WebSocket
from release import Release
from starlette.applications import Starlette
from vllm_engine import STAND_INS, Engine, Output, StreamingInput

from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser

CONNECTION = "vllm_omni.entrypoints.openai"


@dataclass(frozen=True)
class StageOutput:
    """An output of the engine's first stage, whose outputs are the recognised text."""

    step: Output
    stage_id: int = 0

    @property
    def outputs(self) -> object:
        """The text and the tokens of the step."""
        return self.step.outputs

    @property
    def prompt_token_ids(self) -> object:
        """The tokens of the prompt."""
        return self.step.prompt_token_ids


class StagedEngine(Engine):  # type: ignore[misc]
    """The stub engine behind the interface of vLLM-Omni's engine of several stages."""

    default_sampling_params_list: Sequence[object] = ()

    async def generate(
        self, prompt: AsyncIterator[StreamingInput], request_id: str, **others: object
    ) -> AsyncIterator[StageOutput]:
        """Yield the outputs of the stub engine as those of the first stage."""
        async for step in super().generate(prompt, request_id, **others):
            yield StageOutput(step)


def application(
    files: Sequence[Path], *, version: str, recogniser: Recogniser, key: str | None
) -> Starlette:
    """Return the application of a release; it asks for the key if there is one."""
    stand_ins: dict[str, object] = {
        **STAND_INS,
        "coerce_param_message_types": lambda parameters, is_streaming: parameters,
    }
    release = Release(
        files,
        real={*vllm_application.REAL, f"{CONNECTION}.realtime_connection"},
        emptied=("vllm", "vllm_omni", "openai"),
        stand_ins=stand_ins,
    )
    app: FastAPI = vllm_application.served(
        release, StagedEngine(recogniser), version=version, key=key
    )
    connection = release.load("realtime_connection", (CONNECTION,))
    assert connection is not None

    async def endpoint(websocket: WebSocket) -> None:
        serving = websocket.app.state.openai_serving_realtime
        await connection.RealtimeConnection(websocket, serving).handle_connection()

    app.add_api_websocket_route("/v1/realtime", endpoint)
    return app
