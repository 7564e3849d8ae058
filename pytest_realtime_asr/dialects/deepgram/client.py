"""The client's side of Deepgram's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_realtime_asr.dialects import Keepalive
from pytest_realtime_asr.dialects.deepgram import options as listening
from pytest_realtime_asr.dialects.deepgram.events import (
    CloseStream,
    Finalize,
    KeepAlive,
)
from pytest_realtime_asr.dialects.deepgram.profile import Profile
from pytest_realtime_asr.trace.json_events import encode

ALIVE = Keepalive(encode(KeepAlive()), 4.0)  # the server waits for 10 s


class Caller:
    """The client's side of a session; its options are in the query of the URL."""

    binary = True
    tail = 0.0
    headers: Mapping[str, str] = {}

    def __init__(
        self, profile: Profile, model: str, options: Mapping[str, object]
    ) -> None:
        self.query = listening.query(model, options, profile)
        self.rate = listening.rate(options, profile)
        self._law = listening.LAWS.get(str(options.get("encoding")))
        self._last = encode(Finalize() if profile.finalizes else CloseStream())

    def configure(self) -> Sequence[str]:
        return ()

    def begin(self) -> Sequence[str]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        return pcm if self._law is None else self._law.encode(pcm)

    def finish(self) -> Sequence[str]:
        return (self._last,)
