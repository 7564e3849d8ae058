"""The meaning of a session, the same for every dialect.

All times are integer nanoseconds on the clock of the trace. An *item* is one utterance
of the session; items are numbered from 0 in the order in which they were started.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import StringIO
from reprlib import Repr
from typing import overload

from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace.records import NO_LAG, End, Lag, Ping

_LONGEST = 500  # characters of an error that are shown


@dataclass(frozen=True, slots=True)
class Heard:
    """Audio was sent up to sample ``samples`` of an item; times as in `Record`."""

    item: int
    samples: int
    due: int
    woke: int
    sent: int
    size: int  # bytes of PCM in this frame


@dataclass(frozen=True, slots=True)
class Commit:
    """The client told the server that the audio of an item is complete."""

    item: int
    due: int
    woke: int
    sent: int


@dataclass(frozen=True, slots=True)
class Partial:
    """The text keeps its first ``kept`` characters and continues with ``added``."""

    item: int
    at: int
    kept: int
    added: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage that the server reports; ``None`` for what it does not report.

    The first three count tokens, ``seconds`` are of audio.
    """

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """The final text of an item, which the server does not change any more."""

    item: int
    at: int
    text: str
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server detected the end of the speech of an item, or of a part of it."""

    item: int
    at: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server refused something or failed; ``item`` is the item concerned."""

    at: int
    code: str
    message: str
    item: int | None = None

    def __str__(self) -> str:
        return shortened(printable(f"{self.message} ({self.code})"), _LONGEST)


Event = Heard | Commit | Partial | Endpoint | Final | Refusal


@dataclass(frozen=True, slots=True)
class Edit:
    """The change that a partial or a final makes to the text before it.

    The text keeps its first ``kept`` characters, loses ``removed`` after them, and
    continues with ``added``. ``removed`` and ``added`` start with different characters,
    so that an update without a change has neither. ``blank`` says that the whole new
    text is blank.
    """

    at: int
    kept: int
    removed: str
    added: str
    blank: bool
    final: bool


class Texts(Sequence[str]):
    """The full text after each edit, built on access.

    All texts together would take memory quadratic in the length of the text. One text
    takes time in its own length, and in the number of edits between it and the text
    that was accessed before. A slice is of the same type.
    """

    __hash__ = None  # type: ignore[assignment]  # it equals a list

    def __init__(self, edits: Sequence[Edit], places: range | None = None) -> None:
        self._edits = edits
        self._places = range(len(edits)) if places is None else places
        self._near = (-1, "")  # the place and the text of the last access

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Texts: ...

    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self._edits, self._places[index])
        return self._text(self._places[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Texts | tuple | list):
            return NotImplemented
        if len(self) != len(other):
            return False
        return all(one == another for one, another in zip(self, other, strict=True))

    def __repr__(self) -> str:
        last = f", the last one {_SHORT.repr(self[-1])}" if self else ""
        return f"<{len(self)} texts{last}>"

    def _text(self, place: int) -> str:
        """Return the text after this edit, put together from its end to its start."""
        near, known = self._near
        parts: list[str] = []
        kept = None  # characters that later edits keep, ``None`` for all
        for at in range(place, -1, -1):
            if at == near:
                parts.append(known[:kept])
                break
            edit = self._edits[at]
            if kept is None or kept > edit.kept:
                parts.append(edit.added[: None if kept is None else kept - edit.kept])
                kept = edit.kept
            if not kept:
                break
        text = "".join(reversed(parts))
        self._near = (place, text)
        return text


@dataclass(frozen=True)
class Timeline:
    """What happened in a session, in order.

    ``opened`` is when the connection was open, ``ready`` when the server said that the
    session may start; ``None`` if that never happened. ``rate`` is in Hz, ``session``
    the id that the server gave the session, "" without one.
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
        """Return the session with the events of one item alone."""
        return replace(self, events=tuple(self._items.get(number, ())))

    @cached_property
    def _items(self) -> dict[int | None, list[Event]]:
        items: dict[int | None, list[Event]] = defaultdict(list)
        for event in self.events:
            items[event.item].append(event)
        return items

    @cached_property
    def heard(self) -> tuple[Heard, ...]:
        """The audio that was sent, in order."""
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
        """The ends of speech that the server detected, in order."""
        return tuple(event for event in self.events if isinstance(event, Endpoint))

    @property
    def final(self) -> Final | None:
        """The first final, or ``None``."""
        return next((e for e in self.events if isinstance(e, Final)), None)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """The refusals of the server, in order."""
        return tuple(event for event in self.events if isinstance(event, Refusal))

    @cached_property
    def edits(self) -> tuple[Edit, ...]:
        """The changes of the text of one item, the final included, in order.

        Meant for the timeline of one item; the texts of several would be mixed. The
        cost is linear in what was received.
        """
        return tuple(_edits(self.events))

    @property
    def texts(self) -> Texts:
        """The full text of one item after each partial and the final, in order."""
        return Texts(self.edits)

    def hypotheses(self) -> Iterator[tuple[int, str]]:
        """Yield time and full text of each partial of one item, and of the final.

        Each text is as long as all text before it: code that has to be linear in a
        session reads `edits`.
        """
        times = (edit.at for edit in self.edits)
        return zip(times, self.texts, strict=True)

    @property
    def text(self) -> str:
        """The final text of one item; without a final, its last partial."""
        return self.texts[-1] if self.edits else ""

    def due(self, seconds: float) -> int | None:
        """Return when the audio of one item was due to be sent up to ``seconds``.

        That is the due time of the first frame that ends at or after this position;
        ``None`` if the session did not send so much audio.
        """
        heard = self.heard
        index = bisect_left(self._ends, round(seconds * self.rate))
        return heard[index].due if index < len(heard) else None


_SHORT = Repr()
_SHORT.maxstring = 40


def _edits(events: Iterable[Event]) -> Iterator[Edit]:
    text, length = StringIO(), 0
    visible = 0  # characters of the text that are not blank
    for event in events:
        match event:
            case Partial(at=at, kept=kept, added=added):
                kept = min(kept, length)
            case Final(at=at, text=added):
                kept = 0
            case _:
                continue
        text.seek(kept)
        removed = text.read()
        same = common_prefix(removed, added)
        kept, removed, added = kept + same, removed[same:], added[same:]
        text.seek(kept)
        text.truncate()
        text.write(added)
        length = kept + len(added)
        visible += _visible(added) - _visible(removed)
        yield Edit(at, kept, removed, added, not visible, type(event) is Final)


def common_prefix(one: Sequence[object], other: Sequence[object]) -> int:
    """Return the length of the common prefix of two texts, or of two sequences."""
    length = min(len(one), len(other))
    same, step = 0, length
    while step:  # compares whole halves, never single characters
        if one[same : same + step] == other[same : same + step]:
            same += step
            step = min(step, length - same)
        else:
            step //= 2
    return same


def _visible(text: str) -> int:
    return sum(map(len, text.split()))
