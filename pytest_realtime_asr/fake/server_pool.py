"""Many fake servers in one child process, each on its own port, with its own faults.

``python -m pytest_realtime_asr.fake.server_pool`` reads JSON lines on standard input,
each of which is a `FakeSpec`. For each line, the process starts a server and prints the
URL of the server. The process ends when standard input closes. The servers share a
recogniser, because loading a recogniser is slow.
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
_STARTING = (
    60.0  # s within which a server must listen; the first start loads the corpus
)
_ENDING = 10.0  # s within which the process must end


class FakeSpec(msgspec.Struct, frozen=True):
    """The configuration of a server to start; delays are in seconds."""

    dialect: str
    faults: tuple[str, ...] = ()
    variety: int | None = None
    key: str = ""
    word_delay: float = 0.0
    final_delay: float = 0.02


class ServerPool(ProgramServer):
    """Starts servers in one child process; the methods may be called in any thread.

    ``corpus`` is the name of the corpus whose clips the servers recognise.
    """

    def __init__(self, corpus: str) -> None:
        super().__init__(["-m", __name__, corpus], patience=_ENDING)
        self._lock = threading.Lock()

    def start(self, spec: FakeSpec) -> str:
        """Start a server in the child process, and return its URL.

        Raises RuntimeError if the process has ended or does not answer in time.
        """
        with self._lock:
            try:
                self._write(msgspec.json.encode(spec))
                url = self._line(_STARTING)
            except (BrokenPipeError, TimeoutError) as error:
                raise RuntimeError(
                    f"the process of the fake servers started no server: {error!r}"
                ) from error
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
        os._exit(0)  # at once, even while sessions are open


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
