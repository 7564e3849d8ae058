"""The text of an utterance that the server transcribes in segments.

The server replaces the text of the open segment until it settles this segment. The next
result then opens a new segment. The text of the utterance consists of the texts of all
segments, joined by single spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.trace.timeline import (
    Partial,
    Settled,
    WordTime,
    common_prefix,
)


@dataclass(frozen=True, slots=True)
class _Segment:
    text: str = ""
    words: tuple[WordTime, ...] = ()


class Segments:
    """Makes the timeline events of one utterance from the results for its segments.

    The cost of `show` and `settle` is linear in the length of one segment.
    """

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, item: int, *, offset: float = 0.0) -> None:
        """Begin the utterance with the number ``item``, without any text.

        The server may count the times of words from an earlier instant than the start
        of the utterance. ``offset`` is the difference in seconds, which is subtracted
        from these times.
        """
        self._item = item
        self._offset = offset
        self._settled: list[_Segment] = []
        self._length = 0  # characters of the settled text
        self._open = _Segment()

    @property
    def count(self) -> int:
        """The number of settled segments, including segments without text."""
        return len(self._settled)

    @property
    def text(self) -> str:
        """The text of all segments, including the open segment."""
        return _joined([*self._settled, self._open])

    @property
    def words(self) -> tuple[WordTime, ...]:
        """The words of all segments.

        Their times are in seconds from the start of the utterance.
        """
        segments = [*self._settled, self._open]
        return tuple(word for segment in segments for word in segment.words)

    def show(
        self, text: str, at: int, *, words: Iterable[WordTime] = ()
    ) -> Sequence[Partial]:
        """Replace the text of the open segment; ``at`` is the time of the result (ns).

        ``words`` are the words of the segment, with the times that the server sent.
        Return the partial, or nothing if the text does not change.
        """
        before = self._piece(self._open.text)
        self._open = self._segment(text, words)
        return self._partial(at, self._length, before, self._piece(self._open.text))

    def settle(
        self, text: str, at: int, *, words: Iterable[WordTime] = ()
    ) -> Sequence[Partial | Settled]:
        """Replace the text of the open segment, and settle the segment.

        ``at`` and ``words`` are as in `show`. Return the partial if the text changes,
        and then a `Settled` if the segment has text.
        """
        partials = self.show(text, at, words=words)
        self._length += len(self._piece(self._open.text))
        self._settled.append(self._open)
        settled = bool(self._open.text)
        self._open = _Segment()
        if not settled:
            return partials
        return (*partials, Settled(self._item, at, self._length))

    def revise(
        self, index: int, text: str, at: int, *, words: Iterable[WordTime] = ()
    ) -> Sequence[Partial | Settled]:
        """Replace the text of a segment that is already settled.

        The method is for servers that change settled text. ``index`` counts the settled
        segments from 0; ``at`` and ``words`` are as in `show`. Return the partial if
        the text changes, and then a `Settled`. Raises IndexError if there is no such
        segment.
        """
        before = self.text
        self._settled[index] = self._segment(text, words)
        self._length = len(_joined(self._settled))
        partials = self._partial(at, 0, before, self.text)
        return (*partials, Settled(self._item, at, self._length))

    def _segment(self, text: str, words: Iterable[WordTime]) -> _Segment:
        offset = self._offset
        return _Segment(
            text.strip(),
            tuple(
                replace(word, start=word.start - offset, end=word.end - offset)
                for word in words
            ),
        )

    def _piece(self, text: str) -> str:
        """Return ``text``, with a space before it if it follows settled text."""
        return f" {text}" if text and self._length else text

    def _partial(
        self, at: int, start: int, before: str, after: str
    ) -> Sequence[Partial]:
        """Return the partial that replaces the text ``before`` by the text ``after``.

        Both texts begin at the index ``start`` of the text of the utterance. Return
        nothing if they are equal.
        """
        if before == after:
            return ()
        same = common_prefix(before, after)
        return (Partial(self._item, at, start + same, after[same:]),)


def _joined(segments: Iterable[_Segment]) -> str:
    return " ".join(segment.text for segment in segments if segment.text)
