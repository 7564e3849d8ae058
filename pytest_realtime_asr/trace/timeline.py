"""Timelines: the meaning of a session, in the same form for every dialect.

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
from pytest_realtime_asr.trace.word_times import WordTime as WordTime

_LONGEST = 500  # characters of an error that are shown


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of audio that the client sent.

    ``samples`` is the number of samples of the item up to the end of this frame.
    ``due`` is the time at which the audio clock says that the frame should leave.
    ``woke`` is the time at which the client started to send the frame, and ``sent`` is
    the time at which the socket had accepted it.
    """

    item: int
    samples: int
    due: int
    woke: int
    sent: int
    size: int  # bytes of PCM in this frame


@dataclass(frozen=True, slots=True)
class Commit:
    """The client's event that says that the audio of an item is complete."""

    item: int
    due: int
    woke: int
    sent: int


@dataclass(frozen=True, slots=True)
class Partial:
    """A partial, given as a change of the text before it.

    The new text is the first ``kept`` characters of the text before it, followed by
    ``added``.
    """

    item: int
    at: int
    kept: int
    added: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The server's statement that the start of an item's text will not change.

    ``length`` is the number of characters that will not change.
    """

    item: int
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage figures that the server reports; a missing figure is ``None``.

    ``prompt``, ``completion`` and ``total`` are numbers of tokens. ``seconds`` is the
    length of the audio.
    """

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """The final of an item: a text that the server does not change any more.

    ``words`` has the times of the words, empty if the server sent no times.
    """

    item: int
    at: int
    text: str
    usage: Usage | None = None
    words: tuple[WordTime, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server's report that the speech of an item, or of a part of it, is over."""

    item: int
    at: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's report of an error; ``item`` is the item concerned, if known.

    ``cause`` is the index, counted from 0, of the client's frame that caused the error;
    ``None`` if the error names no frame.
    """

    at: int
    code: str
    message: str
    item: int | None = None
    cause: int | None = None

    def __str__(self) -> str:
        return shortened(printable(f"{self.message} ({self.code})"), _LONGEST)


Event = Heard | Commit | Partial | Settled | Endpoint | Final | Refusal


@dataclass(frozen=True, slots=True)
class Edit:
    """The change that a partial or a final makes to the text before it.

    The text keeps its first ``kept`` characters; after these, ``removed`` is replaced
    by ``added``. ``kept`` is as large as possible, so ``removed`` and ``added`` are
    empty if the text does not change. ``blank`` says that the new text is empty or
    consists of white space. ``final`` says that the change comes from a final.
    """

    at: int
    kept: int
    removed: str
    added: str
    blank: bool
    final: bool


class Texts(Sequence[str]):
    """The full text after each edit, built when it is accessed.

    To store all texts would take memory quadratic in the length of the last text. The
    time of an access is linear in the length of the text plus the number of edits since
    the previously accessed text. A slice is a `Texts`, too.
    """

    __hash__ = None  # type: ignore[assignment]  # equal to lists

    def __init__(self, edits: Sequence[Edit], places: range | None = None) -> None:
        self._edits = edits
        self._places = range(len(edits)) if places is None else places
        self._near = (-1, "")  # the index and the text of the last access

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
        """Return the text after the edit at index ``place``.

        The text is built from its end to its start.
        """
        near, known = self._near
        parts: list[str] = []
        kept = None  # characters that later edits keep; ``None``: all
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
    """The events of a session, in order.

    ``rate`` is the sample rate in Hz. ``opened`` is the time at which the connection
    opened, and ``ready`` is the time at which the server said that the session may
    start; each is ``None`` if this never happened. In a protocol without a greeting,
    ``ready`` is equal to ``opened``. ``session`` is the id that the server gave the
    session, "" if it gave none.
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
        """Return the timeline with only the events of one item."""
        return replace(self, events=tuple(self._items.get(number, ())))

    @cached_property
    def _items(self) -> dict[int | None, list[Event]]:
        items: dict[int | None, list[Event]] = defaultdict(list)
        for event in self.events:
            items[event.item].append(event)
        return items

    @cached_property
    def heard(self) -> tuple[Heard, ...]:
        """The frames of audio that the client sent, in order."""
        return tuple(event for event in self.events if isinstance(event, Heard))

    @cached_property
    def _ends(self) -> list[int]:
        return [heard.samples for heard in self.heard]

    @property
    def pace(self) -> float | None:
        """The seconds of audio that were due in each second; 1.0 in real time.

        Only useful for the timeline of one item. ``None`` if there are not two frames
        of audio that were due at different times.
        """
        heard = self.heard
        if not heard:
            return None
        due = (heard[-1].due - heard[0].due) / 1e9
        seconds = (heard[-1].samples - heard[0].samples) / self.rate
        return seconds / due if due > 0 and seconds > 0 else None

    @property
    def commit(self) -> Commit | None:
        """The first commit, or ``None``."""
        return next((e for e in self.events if isinstance(e, Commit)), None)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that the server reported, in order."""
        return tuple(event for event in self.events if isinstance(event, Endpoint))

    @property
    def settled(self) -> tuple[Settled, ...]:
        """The statements about text that will not change, in order."""
        return tuple(event for event in self.events if isinstance(event, Settled))

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
        """The changes of the text by the partials and the final, in order.

        Only useful for the timeline of one item; the texts of several items would be
        mixed. The cost is linear in the length of the received events.
        """
        return tuple(_edits(self.events))

    @property
    def texts(self) -> Texts:
        """The full text of one item after each partial and the final, in order."""
        return Texts(self.edits)

    def hypotheses(self) -> Iterator[tuple[int, str]]:
        """Yield the time and the full text of each partial and the final of one item.

        Each text repeats the text before it, so the cost is quadratic in the length of
        the session; code that must be linear uses `edits`.
        """
        times = (edit.at for edit in self.edits)
        return zip(times, self.texts, strict=True)

    @property
    def text(self) -> str:
        """The text of the final of one item; if there is none, of the last partial."""
        return self.texts[-1] if self.edits else ""

    def due(self, seconds: float) -> int | None:
        """Return the due time of the audio of one item at the position ``seconds``.

        This is the due time of the first frame that ends at or after this position. The
        result is ``None`` if the session sent less audio.
        """
        heard = self.heard
        index = bisect_left(self._ends, round(seconds * self.rate))
        return heard[index].due if index < len(heard) else None


_SHORT = Repr()
_SHORT.maxstring = 40


def _edits(events: Iterable[Event]) -> Iterator[Edit]:
    """Yield the edit of each partial and each final."""
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
    while step:  # compare slices, which is faster than single characters
        if one[same : same + step] == other[same : same + step]:
            same += step
            step = min(step, length - same)
        else:
            step //= 2
    return same


def _visible(text: str) -> int:
    """Return the number of characters that are not blank."""
    return sum(map(len, text.split()))
