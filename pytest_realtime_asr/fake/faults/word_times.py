"""Faults of the times that the server states for words."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.trace.timeline import WordTime

SHIFT = 0.3  # s by which `shifts-word-times` is late
WIDER = 0.2  # s by which `widens-word-times` is early at a start and late at an end


@fault(
    "shifts-word-times",
    "states the times of words 300 ms too late",
    needs=Needs.WORD_TIMES,
)
class ShiftsWordTimes(Hooks):
    """States the start and the end of each word ``SHIFT`` seconds too late."""

    def word_time(self, word: WordTime) -> WordTime:
        return replace(word, start=word.start + SHIFT, end=word.end + SHIFT)


@fault(
    "widens-word-times",
    "states the start of each word too early and its end too late",
    needs=Needs.WORD_TIMES,
)
class WidensWordTimes(Hooks):
    """States the start of each word too early and its end too late."""

    def word_time(self, word: WordTime) -> WordTime:
        return replace(word, start=max(0.0, word.start - WIDER), end=word.end + WIDER)
