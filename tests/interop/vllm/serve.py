"""Serves the realtime endpoint of a released vLLM, without a GPU.

``python tests/interop/vllm/serve.py --version 0.33.0`` prints the server's URL and then
serves until it is asked to end. The endpoint, its events, its checks and its
authentication are vLLM's own; the engine behind them is a stub that has one of our
recognisers.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

import prometheus_client
import uvicorn
import uvloop
from engine import NAME, STAND_INS, Engine
from fastapi import FastAPI
from release import AUTHENTICATION, REALTIME, Release, fetch
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pytest_realtime_asr import corpus
from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser

STOPPING = 3  # s that open sessions may take to end


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    try:
        release = Release(fetch(options.version), STAND_INS)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: there is no wheel: {error}", file=sys.stderr)
        return 2
    release.install()
    uvloop.run(_serve(options, release))  # as vLLM does
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--version", required=True, help="of vLLM, such as 0.33.0")
    add("--port", type=int, default=0, help="default: a free one")
    add("--recogniser", choices=("scripted", "pocketsphinx"), default="scripted")
    add(
        "--corpus",
        action="append",
        metavar="NAME|PATH",
        help="what the scripted one knows (repeatable; default: all that is bundled)",
    )
    add(
        "--api-key-env",
        dest="key",
        type=_key,
        metavar="VARIABLE",
        help="ask for the key that this environment variable holds",
    )
    add("--lifeline", action="store_true", help="end when standard input closes")
    return parser


def _key(variable: str) -> str:
    if not os.environ.get(variable):
        raise argparse.ArgumentTypeError(f"the variable {variable} is not set")
    return os.environ[variable]


async def _serve(options: argparse.Namespace, release: Release) -> None:
    recogniser = await _recogniser(options)
    app = _app(release, Engine(recogniser), options.version, options.key)
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=STOPPING
    )
    server = uvicorn.Server(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # uvicorn raises it again at its end
    if options.lifeline:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), _hang_up, server)
    try:
        with socket.create_server(("127.0.0.1", options.port)) as listening:
            print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
            await server.serve(sockets=[listening])
    finally:
        await recogniser.close()


async def _recogniser(options: argparse.Namespace) -> Recogniser:
    if options.recogniser == "pocketsphinx":
        # The extra is optional, and so is this import.
        from pytest_realtime_asr.fake.recognisers.pocketsphinx import (
            PocketsphinxRecogniser,
        )

        return await PocketsphinxRecogniser.start()
    names = options.corpus or [f"bundled:{name}" for name in corpus.BUNDLED]
    return ScriptedRecogniser(
        [utterance for name in names for utterance in corpus.load(name)]
    )


def _app(release: Release, engine: Engine, version: str, key: str | None) -> FastAPI:
    app = FastAPI(openapi_url=None)
    serving = release.load("serving", REALTIME)
    router = release.load("api_router", REALTIME)
    assert serving is not None
    assert router is not None
    app.state.openai_serving_realtime = serving.OpenAIServingRealtime(
        engine, engine, request_logger=None
    )
    app.include_router(router.router)

    models = [{"id": NAME, "object": "model", "created": 0, "owned_by": "vllm"}]
    answers: dict[str, Callable[[Request], Response]] = {
        "/health": lambda _: Response(),
        "/version": lambda _: JSONResponse({"version": version}),
        "/v1/models": lambda _: JSONResponse({"object": "list", "data": models}),
        "/metrics": lambda _: Response(prometheus_client.generate_latest()),
    }
    for path, answer in answers.items():
        app.add_route(path, answer)

    if key:
        authentication = release.load("", AUTHENTICATION)
        assert authentication is not None
        app.add_middleware(authentication.AuthenticationMiddleware, tokens=[key])
    metrics = release.load("metrics", REALTIME)  # since 0.22
    if metrics is not None:
        app.add_middleware(metrics.WebSocketMetricsMiddleware)
    return app


def _hang_up(server: uvicorn.Server) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
