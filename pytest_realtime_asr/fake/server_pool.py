"""Many fakes in one process of their own, each on a port and with faults of its own.

``python -m pytest_realtime_asr.fake.server_pool`` reads JSON lines on its standard
input, each a `FakeSpec`, and answers each with a line that holds the URL of a new
fake. It ends when its input does. The fakes share one recogniser, which is slow to
make.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import msgspec

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from pytest_realtime_asr.fake.server import Fake

MODEL = "scripted"
_ENDING = 10.0  # s that the process may take to end


class FakeSpec(msgspec.Struct, frozen=True):
    """A fake that is wanted; delays are in seconds."""

    dialect: str
    faults: tuple[str, ...] = ()
    variety: int | None = None
    key: str = ""
    word_delay: float = 0.0
    final_delay: float = 0.02


class ServerPool:
    """The parent's side of the process; its methods may be called from any thread.

    ``spoken`` names the corpus that the fakes know.
    """

    def __init__(self, spoken: str) -> None:
        command = [sys.executable, "-m", __name__, spoken]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends this
        )
        self._asking = threading.Lock()

    def start(self, order: FakeSpec) -> str:
        """The URL of a new fake. RuntimeError where the process has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._asking:
            stdin.write(msgspec.json.encode(order) + b"\n")
            stdin.flush()
            url = stdout.readline().decode().strip()
        if not url:
            raise RuntimeError("the process of the fakes has ended")
        return url

    def stop(self) -> None:
        """End the process and all its fakes."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


async def _serve(spoken: str) -> None:
    recogniser = ScriptedRecogniser(corpus.load(spoken))
    async with AsyncExitStack() as stack:
        while line := await asyncio.to_thread(sys.stdin.buffer.readline):
            order = msgspec.json.decode(line, type=FakeSpec)
            config = FakeConfig(
                dialects.load(order.dialect),
                models=(MODEL,),
                word_delay=order.word_delay,
                final_delay=order.final_delay,
                faults=order.faults,
                key=order.key,
                seed=1,
                variety=order.variety,
            )
            listening = Fake(config, recogniser).listen(port=0)
            server = await stack.enter_async_context(listening)
            port = next(iter(server.sockets)).getsockname()[1]
            print(f"http://127.0.0.1:{port}", flush=True)
        os._exit(0)  # whatever the fakes were up to


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
