"""The meaning of a session, the same for every dialect.

All times are integer nanoseconds on the clock of the trace. An *item* is one
utterance of the session, numbered from 0 in the order in which it was begun.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_realtime_asr.figures import shortened
from pytest_realtime_asr.redaction import printable
from pytest_realtime_asr.trace import NO_LAG, End, Lag, Ping

_SAID = 500  # characters of an error that are shown


@dataclass(frozen=True, slots=True)
class Heard:
    """Audio of an item was handed over up to sample ``samples`` of the item."""

    item: int
    samples: int
    due: int
    woke: int
    sent: int
    size: int  # bytes of PCM in this frame


@dataclass(frozen=True, slots=True)
class Commit:
    """The server was told that the audio of an item is complete."""

    item: int
    due: int
    woke: int
    sent: int


@dataclass(frozen=True, slots=True)
class Partial:
    """The hypothesis keeps its first ``kept`` characters and goes on with ``added``."""

    item: int
    at: int
    kept: int
    added: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server says it counted; ``None`` where it does not say.

    The first three are tokens, ``seconds`` are of audio.
    """

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """The whole text of an item, which the server will not change again."""

    item: int
    at: int
    text: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server took the speech of an item, or a part of it, for over by itself."""

    item: int
    at: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server refused something or failed; ``item`` is the one it belongs to."""

    at: int
    code: str
    message: str
    item: int | None = None

    def __str__(self) -> str:
        return shortened(printable(f"{self.message} ({self.code})"), _SAID)


Event = Heard | Commit | Partial | Endpoint | Final | Refusal


@dataclass(frozen=True)
class Timeline:
    """What happened in a session, in order.

    ``opened`` is when the connection stood, ``ready`` when the server said that the
    session may begin; ``None`` where it did not come to that. ``rate`` is in Hz,
    ``session`` the id under which the server knows the session, empty without one.
    """

    rate: int
    opened: int | None
    ready: int | None
    events: tuple[Event, ...]
    end: End
    lag: Lag = NO_LAG
    session: str = ""
    pings: tuple[Ping, ...] = ()

    def item(self, number: int) -> Timeline:
        """The same session with the events of one item alone."""
        kept = (event for event in self.events if event.item == number)
        return replace(self, events=tuple(kept))

    @cached_property
    def heard(self) -> tuple[Heard, ...]:
        """Audio that was handed over, in order."""
        return tuple(event for event in self.events if isinstance(event, Heard))

    @cached_property
    def _ends(self) -> list[int]:
        return [heard.samples for heard in self.heard]

    @property
    def commit(self) -> Commit | None:
        """The first commit, or ``None``."""
        return next((e for e in self.events if isinstance(e, Commit)), None)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the server took the speech for over by itself, in order."""
        return tuple(event for event in self.events if isinstance(event, Endpoint))

    @property
    def final(self) -> Final | None:
        """The first final, or ``None``."""
        return next((e for e in self.events if isinstance(e, Final)), None)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What the server refused, in order."""
        return tuple(event for event in self.events if isinstance(event, Refusal))

    def hypotheses(self) -> Iterator[tuple[int, str]]:
        """Time and full text of each hypothesis of one item, the final included.

        Meant for the timeline of one item; texts of several would run together.
        """
        text = ""
        for event in self.events:
            if isinstance(event, Partial):
                text = text[: event.kept] + event.added
                yield event.at, text
            elif isinstance(event, Final):
                text = event.text
                yield event.at, text

    @property
    def text(self) -> str:
        """The final text; without a final, the last hypothesis of one item."""
        last = deque(self.hypotheses(), maxlen=1)
        return last[0][1] if last else ""

    def due(self, seconds: float) -> int | None:
        """When the audio of one item was due to be handed over up to ``seconds``.

        That is the due time of the first frame that ends at or after this position;
        ``None`` where the session did not send so much audio.
        """
        heard = self.heard
        index = bisect_left(self._ends, round(seconds * self.rate))
        return heard[index].due if index < len(heard) else None
