"""Many fake servers in one child process, each on its own port, with its own faults.

``python -m pytest_realtime_asr.fake.server_pool`` reads JSON lines on its standard
input, each a `FakeSpec`, and answers each with a line that holds the URL of a new
server. It ends when its input does. The servers share a recogniser, since loading one
is slow.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import AsyncExitStack

import msgspec

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client.child_server import ProgramServer
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from pytest_realtime_asr.fake.server import Fake

MODEL = "scripted"
_STARTING = 60.0  # s within which a server must listen; the first loads the corpus
_ENDING = 10.0  # s within which the process must end


class FakeSpec(msgspec.Struct, frozen=True):
    """A server to start; delays are in s."""

    dialect: str
    faults: tuple[str, ...] = ()
    variety: int | None = None
    key: str = ""
    word_delay: float = 0.0
    final_delay: float = 0.02


class ServerPool(ProgramServer):
    """Starts servers in one child process; its methods may be called in any thread.

    ``corpus`` names the corpus that the servers know.
    """

    def __init__(self, corpus: str) -> None:
        super().__init__(["-m", __name__, corpus], patience=_ENDING)
        self._lock = threading.Lock()

    def start(self, spec: FakeSpec) -> str:
        """Return the URL of a new server. RuntimeError if the process has ended."""
        with self._lock:
            try:
                self._write(msgspec.json.encode(spec))
                url = self._line(_STARTING)
            except (BrokenPipeError, TimeoutError) as error:
                raise RuntimeError(f"no new fake server: {error!r}") from error
        if not url:
            raise RuntimeError("the process of the fake servers has ended")
        return url


async def _serve(name: str) -> None:
    recogniser = ScriptedRecogniser(corpus.load(name))
    async with AsyncExitStack() as stack:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            spec = msgspec.json.decode(line, type=FakeSpec)
            config = FakeConfig(
                dialects.load(spec.dialect),
                models=(MODEL,),
                word_delay=spec.word_delay,
                final_delay=spec.final_delay,
                faults=spec.faults,
                key=spec.key,
                seed=1,
                variety=spec.variety,
            )
            listening = Fake(config, recogniser).listen(port=0)
            server = await stack.enter_async_context(listening)
            port = next(iter(server.sockets)).getsockname()[1]
            print(f"http://127.0.0.1:{port}", flush=True)
        os._exit(0)  # without waiting for what the servers are doing


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
