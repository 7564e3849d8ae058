"""Faults in the times that the server states for words."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.trace.timeline import WordTime

SHIFT = 0.3  # s by which `shifts-word-times` is late
WIDER = 0.2  # s by which `widens-word-times` is early at a start and late at an end


@fault(
    "shifts-word-times",
    "states word times that are 300 ms too late",
    needs=Needs.WORD_TIMES,
)
class ShiftsWordTimes(Hooks):
    """Adds ``SHIFT`` seconds to the stated start and end of each word."""

    def word_time(self, word: WordTime) -> WordTime:
        return replace(word, start=word.start + SHIFT, end=word.end + SHIFT)


@fault(
    "widens-word-times",
    "states for each word a start that is too early and an end that is too late",
    needs=Needs.WORD_TIMES,
)
class WidensWordTimes(Hooks):
    """States for each word a start that is too early and an end that is too late."""

    def word_time(self, word: WordTime) -> WordTime:
        return replace(word, start=max(0.0, word.start - WIDER), end=word.end + WIDER)
