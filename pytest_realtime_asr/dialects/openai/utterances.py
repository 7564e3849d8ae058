"""The text of an utterance, which a server may divide into several turns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import StringIO
from typing import TypeVar

from pytest_realtime_asr.trace.timeline import Usage, common_prefix

_N = TypeVar("_N", int, float)


@dataclass(slots=True, eq=False)
class Turn:
    """An item of the server.

    ``number`` is the number of the utterance to which the item belongs.
    """

    number: int
    pieces: list[str] = field(default_factory=list)  # of the text of the turn
    start: int = 0  # position of the turn in the shown text of its utterance
    usage: Usage | None = None
    committed: str = ""  # the item id in the committed event of the turn
    ended: bool = False  # the server detected the end of the speech
    over: bool = False  # the turn was completed or has failed
    failed: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Utterance:
    """The turns of an utterance, and their joined text so far.

    ``shown`` is the text of the turns; if there are several, their texts are joined
    with single spaces. After a change, the text is written again only from the changed
    turn to the end. So the cost of a session is linear in the length of the received
    text.
    """

    turns: list[Turn] = field(default_factory=list)
    shown: StringIO = field(default_factory=StringIO)
    length: int = 0  # of ``shown``, in characters
    right: int = 0  # number of first characters of ``shown`` that are up to date
    known: int = 0  # number of first turns whose shown text is up to date
    alone: bool = True  # ``shown`` was written for a single turn
    blanks: list[str] = field(default_factory=list)  # white space after ``shown``
    end: int = 0  # of the last turn in the audio of the session, in ms
    at: int = 0  # when the last turn was completed, in ns
    final: bool = False  # the final was reported
    _over: int = 0  # how many turns, from the first one on, are over
    _failed: int = 0  # how many of these turns have failed

    @property
    def over(self) -> bool:
        """Return whether all turns are over and at least one has not failed."""
        for turn in self.turns[self._over :]:
            if not turn.over:
                return False
            self._over += 1
            self._failed += turn.failed
        return self._failed < len(self.turns)

    def fail(self, turn: Turn) -> None:
        """Record that a turn has failed."""
        if turn.over:  # `_over` may count this turn
            self._over = self._failed = 0
        turn.over = turn.failed = True

    def drop(self, turn: Turn) -> None:
        """Remove a turn that belongs to another utterance."""
        place = self.turns.index(turn)
        del self.turns[place]
        if place < self.known:  # write the previous turn again
            self.known = max(0, place - 1)
            self.right = self.turns[self.known].start if place else 0
        self._over = self._failed = 0

    @property
    def text(self) -> str:
        if len(self.turns) == 1:
            return self.turns[0].text
        return " ".join(filter(None, (turn.text.strip() for turn in self.turns)))

    def add(self, turn: Turn, added: str) -> tuple[int, str] | None:
        """Add text to a turn, and return the change of the shown text.

        The change is a pair: how many characters stay at the start of the shown text,
        and the new text that follows them. It is ``None`` if the shown text stays the
        same.
        """
        turn.pieces.append(added)
        known = self.known == len(self.turns) and self.right == self.length
        if not known or turn is not self.turns[-1] or self.alone != self._single:
            return self.show(self._place(turn))
        if self.alone:
            return self._put(self.length, added)
        words = added.rstrip()
        if not words:
            self.blanks.append(added)
            return None
        if turn.start == self.length:  # the first words of the turn
            return self.show(self.known - 1)
        new = "".join((*self.blanks, words))
        self.blanks = [added[len(words) :]]
        return self._put(self.length, new)

    def set_text(self, turn: Turn, text: str) -> tuple[int, str] | None:
        """Set the text of a turn; return the change of the shown text as `add` does."""
        if turn.text == text:
            return self.show(self.known)
        turn.pieces = [text]
        return self.show(self._place(turn))

    def show(self, place: int) -> tuple[int, str] | None:
        """Write the shown text again, from the turn at index ``place`` to the end.

        Return the change of the shown text, as `add` does.
        """
        place = min(self.known, place)
        if self.alone != self._single:
            place, self.alone = 0, self._single
        begin = self.turns[place].start if place < self.known else self.right
        at, parts, text = begin, [], ""
        for turn in self.turns[place:]:
            turn.start = at
            text = turn.text
            part = text if self.alone else text.strip()
            if part:
                parts.append(f" {part}" if at else part)
                at += len(parts[-1])
        if self.turns[place:]:
            self.blanks = [text[len(text.rstrip()) :]]
        self.known = len(self.turns)
        self.shown.seek(begin)
        new, old = "".join(parts), self.shown.read()
        same = common_prefix(old, new)
        return self._put(begin + same, new[same:])

    @property
    def _single(self) -> bool:
        return len(self.turns) == 1

    def _place(self, turn: Turn) -> int:
        last = turn is self.turns[-1]
        return len(self.turns) - 1 if last else self.turns.index(turn)

    def _put(self, kept: int, added: str) -> tuple[int, str] | None:
        same = kept == self.length and not added
        self.shown.seek(kept)
        self.shown.truncate()
        self.shown.write(added)
        self.length = self.right = kept + len(added)
        return None if same else (kept, added)

    @property
    def usage(self) -> Usage | None:
        """The summed usage figures of the turns that did not fail.

        The value is ``None`` if one of these turns has no usage figures.
        """
        usages = [turn.usage for turn in self.turns if not turn.failed]
        known = [usage for usage in usages if usage is not None]
        if len(known) < len(usages):
            return None
        return Usage(
            _sum(usage.prompt for usage in known),
            _sum(usage.completion for usage in known),
            _sum(usage.total for usage in known),
            _sum(usage.seconds for usage in known),
        )


def _sum(numbers: Iterable[_N | None]) -> _N | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
