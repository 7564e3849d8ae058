"""Faults in the usage of a final, that is, in its counts of tokens and seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_realtime_asr.dialects import Server
from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage


@fault(
    "usage-in-ms", "states the milliseconds of the audio as seconds", needs=Needs.ITEMS
)
class UsageInMilliseconds(ServerWrapper):
    """Multiplies the seconds of audio by 1000; the counts of tokens are right."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        seconds = None if usage.seconds is None else usage.seconds * 1000
        return self._server.final(text, replace(usage, seconds=seconds), item)


@fault("one-token", "counts one token for each text", needs=Needs.USAGE)
class OneToken(ServerWrapper):
    """Counts 1 completion token, whatever the length of the text."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return self._server.final(text, replace(usage, completion=1), item)


@fault(
    "usage-so-far",
    "adds the counts of the earlier utterances to each usage",
    needs=Needs.USAGE,
)
class UsageSoFar(ServerWrapper):
    """Adds the counts of the earlier utterances to the counts of each final."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._so_far = Usage(0, 0, seconds=0.0)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        before = self._so_far
        self._so_far = Usage(
            (before.prompt or 0) + (usage.prompt or 0),
            (before.completion or 0) + (usage.completion or 0),
            seconds=(before.seconds or 0.0) + (usage.seconds or 0.0),
        )
        return self._server.final(text, self._so_far, item)
