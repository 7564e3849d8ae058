"""A released server in a process of its own, while a test needs it."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import server_environments
from released import Server

STARTING, STOPPING = 60, 10  # s
KEY_VARIABLE = "REALTIME_API_KEY"  # where the plugin reads the key


@dataclass(frozen=True)
class Served:
    """A running server, its URL, and the key that it asks for."""

    server: Server
    url: str
    key: str | None


@contextmanager
def serving(server: Server, *, key: str | None = None) -> Iterator[Served]:
    """Run a server with the English corpus, in its environment, which is made first.

    If there is a key, the server asks for it.
    """
    server_environments.make(server)
    server_environments.wheels(server)
    script = str(Path(__file__).with_name("bench.py"))
    command = [str(server_environments.program(server)), script, server.name]
    command += ["--lifeline", "--corpus", "bundled:english"]
    environment = {**os.environ, "PYTHONPATH": str(server_environments.PROJECT)}
    if key is not None:
        environment[KEY_VARIABLE] = key
        command += ["--api-key-env", KEY_VARIABLE]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], STARTING)
            url = process.stdout.readline().strip() if ready else ""
            assert url, f"{server.name} did not start"
            yield Served(server, url, key)
            process.stdin.close()
            assert process.wait(STOPPING) == 0
        finally:
            process.kill()
