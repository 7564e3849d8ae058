"""Serves the realtime endpoint of a released server, without a GPU.

``bench.py vllm-0.33.0`` prints the server's URL and then serves until its input ends.
It runs in the environment that ``server_environments.py`` makes for the server. The
endpoint, its events and its checks are the server's own; the engine behind them is a
stub that has the scripted recogniser.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import uvicorn
from released import SERVERS, Server
from server_environments import wheels
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pytest_realtime_asr import corpus
from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord, Recogniser
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser

STOPPING = 3  # s that open sessions may take to end
PIECE = 32000  # bytes of audio that are recognised before others have their turn
MODEL = "stub"  # the name under which an engine offers its model


class Application(Protocol):
    """The module that makes the application of a server."""

    def application(
        self,
        files: Sequence[Path],
        *,
        version: str,
        recogniser: Recogniser,
        key: str | None,
    ) -> Starlette:
        """Return the server of these wheels, which asks for the key if there is one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args(arguments)
    shown = logging.StreamHandler()
    shown.setLevel(logging.WARNING)  # also if a server lowers the level of its loggers
    logging.basicConfig(handlers=[shown], level=logging.WARNING)
    server = SERVERS[options.server]
    try:
        files = wheels(server)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: there is no wheel: {error}", file=sys.stderr)
        return 2
    asyncio.run(_serve(options, server, files))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("server", choices=SERVERS)
    add("--port", type=int, default=0, help="default: a free one")
    add(
        "--corpus",
        action="append",
        metavar="NAME|PATH",
        help="what the recogniser knows (repeatable; default: all that is bundled)",
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


async def _serve(
    options: argparse.Namespace, released: Server, files: Sequence[Path]
) -> None:
    names = options.corpus or [f"bundled:{name}" for name in corpus.BUNDLED]
    clips = [utterance for name in names for utterance in corpus.load(name)]
    module = cast(Application, importlib.import_module(released.application))
    app = module.application(
        files,
        version=released.version,
        recogniser=ScriptedRecogniser(clips),
        key=options.key,
    )
    settings = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=STOPPING
    )
    server = uvicorn.Server(settings)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # uvicorn raises it again at its end
    if options.lifeline:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), _hang_up, server)
    with socket.create_server(("127.0.0.1", options.port)) as listening:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await server.serve(sockets=[listening])


def _hang_up(server: uvicorn.Server) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        server.should_exit = True


async def recognised(recogniser: Recogniser, pcm: bytes) -> list[RecognisedWord]:
    """Return the words of complete PCM16 audio at the rate of the recogniser."""
    listener = await recogniser.listen()
    words: list[RecognisedWord] = []
    for start in range(0, len(pcm), PIECE):
        words += await listener.hear(pcm[start : start + PIECE])
        await asyncio.sleep(0)  # a real engine does not hold up the server
    words += await listener.finish()
    await listener.close()
    return words


def add_pages(app: Starlette, pages: Mapping[str, object], *, owner: str) -> None:
    """Add what the plugin asks a server before the first session.

    These pages belong to the servers' own HTTP applications, which are not loaded:
    ``/v1/models`` with the one model, and each path of ``pages`` with its JSON.
    """
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": owner}
    models = {"object": "list", "data": [model]}
    app.add_route("/health", lambda _: Response())
    for path, content in {"/v1/models": models, **pages}.items():
        app.add_route(path, partial(_page, JSONResponse(content)))


def _page(page: Response, request: Request) -> Response:
    return page


if __name__ == "__main__":
    # The modules of the applications import this file by its name.
    sys.modules["bench"] = sys.modules["__main__"]
    sys.exit(main())
