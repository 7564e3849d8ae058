"""vLLM's own realtime endpoint in front of the stub engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import prometheus_client
from bench import add_pages
from fastapi import FastAPI
from release import Release
from starlette.applications import Starlette
from starlette.responses import Response
from vllm_engine import STAND_INS, Engine

from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser

# Up to 0.16, and since; a module that a release does not have is not asked for.
REALTIME = (
    "vllm.entrypoints.openai.realtime",
    "vllm.entrypoints.speech_to_text.realtime",
)
AUTHENTICATION = (
    "vllm.entrypoints.openai.server_utils",
    "vllm.entrypoints.serve.middleware.authenticate",
)
REAL = {
    "vllm.envs",
    "vllm.exceptions",
    "vllm.entrypoints.utils",
    "vllm.entrypoints.generate.base.serving",
    "vllm.entrypoints.openai.engine.protocol",
    "vllm.entrypoints.openai.engine.serving",
    "vllm.entrypoints.serve",
    "vllm.entrypoints.serve.engine.protocol",
    "vllm.entrypoints.serve.engine.serving",
    "vllm.entrypoints.serve.exception_handling.error_response",
    "vllm.entrypoints.serve.exception_handling.utils",
    *AUTHENTICATION,
    *REALTIME,
    *(
        f"{package}.{module}"
        for package in REALTIME
        for module in ("api_router", "connection", "metrics", "protocol", "serving")
    ),
}


def application(
    files: Sequence[Path], *, version: str, recogniser: Recogniser, key: str | None
) -> Starlette:
    """Return the application of a release; it asks for the key if there is one."""
    release = Release(files, real=REAL, emptied=("vllm", "openai"), stand_ins=STAND_INS)
    app = served(release, Engine(recogniser), version=version, key=key)
    router = release.load("api_router", REALTIME)
    assert router is not None
    app.include_router(router.router)
    return app


def served(
    release: Release, engine: Engine, *, version: str, key: str | None
) -> FastAPI:
    """Return an application that has all of vLLM's but the endpoint."""
    app = FastAPI(openapi_url=None)
    serving = release.load("serving", REALTIME)
    assert serving is not None
    app.state.openai_serving_realtime = serving.OpenAIServingRealtime(
        engine, engine, request_logger=None
    )
    add_pages(app, {"/version": {"version": version}}, owner="vllm")
    app.add_route("/metrics", lambda _: Response(prometheus_client.generate_latest()))
    if key:
        authentication = release.load("", AUTHENTICATION)
        assert authentication is not None
        app.add_middleware(authentication.AuthenticationMiddleware, tokens=[key])
    metrics = release.load("metrics", REALTIME)  # since 0.22
    if metrics is not None:
        app.add_middleware(metrics.WebSocketMetricsMiddleware)
    return app
