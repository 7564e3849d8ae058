"""A fault of servers that settle their texts segment by segment.

A segment is settled by an event whose field ``is_final`` is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pytest_realtime_asr.fake.faults.registry import Needs, fault
from pytest_realtime_asr.fake.frame_edits import Event
from pytest_realtime_asr.fake.server_wrappers import EventChanger

_TEXTS = ("text", "transcript")  # names of fields with the text of a segment
_OPEN = {"speech_final": False, "from_finalize": False}  # does not end the utterance
_OTHERS = ("so", "no")  # one of them is not the word that is replaced


@fault(
    "retracts-settled",
    "changes a segment that it has settled",
    needs=Needs.SETTLED_TEXT,
)
class RetractsSettled(EventChanger):
    """Sends each settled segment twice: with a wrong first word, then correctly."""

    def change(self, content: Event) -> Iterable[Event]:
        word = _first_word(content) if content.get("is_final") is True else None
        if word is not None:
            other = next(each for each in _OTHERS if each != word.lower())
            wrong = _replaced(content, word, other)
            yield wrong | {name: _OPEN[name] for name in _OPEN if name in content}
        yield content


def _first_word(value: Any) -> str | None:
    """Return the first word of the first text in an event; ``None`` if it has none."""
    if isinstance(value, dict):
        for name in _TEXTS:
            if isinstance(text := value.get(name), str):
                found = re.search(r"\w+", text)
                return found and found.group()
    inner = value.values() if isinstance(value, dict) else value
    nested = (each for each in inner if isinstance(each, dict | list))
    return next(filter(None, map(_first_word, nested)), None)


def _replaced(value: Any, word: str, other: str) -> Any:
    """Return a copy of ``value`` in which ``other`` replaces ``word`` in all texts."""
    if isinstance(value, dict):
        return {name: _replaced(each, word, other) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, word, other) for each in value]
    if isinstance(value, str):
        return re.sub(rf"\b{re.escape(word)}\b", other, value, flags=re.IGNORECASE)
    return value
