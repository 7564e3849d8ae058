"""Adds word times to the texts that a fake server sends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, TimedServer
from pytest_realtime_asr.metrics.alignment import align
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage, WordTime


class WordTimes:
    """A server's side that adds the times of the words to each partial and each final.

    Faults and legal variation wrap this object, so they may change the words of a text
    as in any other protocol. Each word of a text gets the times of the recognised word
    with which it is aligned. A word that is aligned with no recognised word starts and
    ends where the word before it ends.
    """

    def __init__(self, server: TimedServer) -> None:
        self._server = server
        self._items: dict[int, _Words] = defaultdict(_Words)

    @property
    def rate(self) -> int:
        return self._server.rate

    def add(self, word: WordTime, item: int) -> None:
        """Add a recognised word of an utterance; words are added in their order."""
        self._items[item].recognised.append(word)

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._server.open(session, created)

    def hear(self, frame: Frame) -> Reaction:
        return self._server.hear(frame)

    def expire(self) -> Reaction:
        return self._server.expire()

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        words = self._items[item].append(added)
        return self._server.partial(added, item, words=words)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        words = self._items.pop(item, _Words()).all(text)
        return self._server.final(text, usage, item, words=words)


class _Words:
    """The words of one utterance.

    ``recognised`` are the words that the recogniser has returned.
    """

    def __init__(self) -> None:
        self.recognised: list[WordTime] = []
        self._sent: list[WordTime] = []
        self._passed = 0  # recognised words up to the last word that was sent
        self._within = False  # whether the text so far ends within a word

    def append(self, added: str) -> Sequence[WordTime]:
        """Append ``added`` to the text, and return all words of the text."""
        texts = added.split()
        if texts and self._within and not added[0].isspace():
            last = self._sent[-1]
            self._sent[-1] = replace(last, text=last.text + texts.pop(0))
        if added:
            self._within = not added[-1].isspace()
        waiting = self.recognised[self._passed :]
        places = _aligned(texts, waiting)
        self._sent += _timed(texts, places, waiting, self._end)
        known = [place for place in places if place is not None]
        self._passed += known[-1] + 1 if known else 0
        return tuple(self._sent)

    def all(self, text: str) -> Sequence[WordTime]:
        """Return the words of the final, whose text is ``text``."""
        texts = text.split()
        if texts == [word.text for word in self._sent]:
            return tuple(self._sent)
        places = _aligned(texts, self.recognised)
        return _timed(texts, places, self.recognised, 0.0)

    @property
    def _end(self) -> float:
        return self._sent[-1].end if self._sent else 0.0


def _aligned(texts: Sequence[str], words: Sequence[WordTime]) -> Sequence[int | None]:
    """Return, for each text, the index of the word with which the text is aligned."""
    known = [word.text for word in words]
    if texts == known:
        return range(len(texts))
    places: list[int | None] = []
    place = 0
    for pair in align(known, texts):
        if pair.hypothesis is not None:
            places.append(None if pair.reference is None else place)
        place += pair.reference is not None
    return places


def _timed(
    texts: Sequence[str],
    places: Sequence[int | None],
    words: Sequence[WordTime],
    end: float,
) -> Sequence[WordTime]:
    """Return the texts with their times.

    For each text, ``places`` has the index in ``words`` of the word with which the text
    is aligned. ``end`` is the end of the word before the first text, in seconds.
    """
    timed = []
    for text, place in zip(texts, places, strict=True):
        start = end if place is None else words[place].start
        end = end if place is None else words[place].end
        timed.append(WordTime(text, start, end))
    return timed
