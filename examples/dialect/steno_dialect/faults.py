"""Faults of the fake server that violate the requirements of Steno."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_realtime_asr.dialect_api import Frame, encode
from pytest_realtime_asr.fault_api import EventChanger, ServerWrapper, fault
from steno_dialect.events import Interim


@fault("overlapping-segments", "starts each segment at the start of the audio")
class OverlappingSegments(EventChanger):
    """Sets the start of each segment to 0 s."""

    def change(self, content: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if content["type"] == "segment":
            content["start"] = 0.0
        return (content,)


@fault("rewritten-end", "changes settled text in the last event of a session")
class RewrittenEnd(EventChanger):
    """Puts another word before the text of the event that ends a session."""

    def change(self, content: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if content["type"] == "end":
            content["text"] = f"so {content['text']}"
        return (content,)


@fault("always-interim", "sends interim texts even if they are turned off")
class AlwaysInterim(ServerWrapper):
    """Sends one more interim text for each recognised word."""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        yield from self._server.partial(added, item)
        yield encode(Interim(added.strip()))
