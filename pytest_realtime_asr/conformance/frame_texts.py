"""Shows frames without the parts that differ from run to run, such as ids and times."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.trace.records import Record

NOW = 1_795_960_800  # the start of each session that is shown, in Unix seconds
_LONGEST = 60  # characters of a string in a frame
LONGEST_RAW = 100  # characters of a text that is not JSON
_NEAR = 48 * 3600  # s from the start of the session; other times are no dates of it
_IDS = ("id", "item_id", "event_id", "previous_item_id", "request_id")
_TIMES = ("created", "expires_at")
_AUDIO = "..."
_LEFT_OUT = "\0"
_HIDDEN = frozenset({"session", "item", "logprobs", "usage"})  # long fields


class FrameTexts:
    """Shows the frames of a session, with short names in place of its ids.

    ``subjects`` are the fields that a reader has to see. Long fields and the ids of
    events are left out if they are not in ``subjects``.
    """

    def __init__(self, part: Part, subjects: frozenset[str]) -> None:
        self._started = part.trace.started.timestamp()
        self._hidden = _HIDDEN - subjects
        self._ids = "event_id" in subjects
        self._names: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        for record in part.trace.records:  # an id is named by its place in the session
            self.shown(record)

    def shown(self, record: Record, *, whole: bool = False) -> str:
        """Return the text that shows a frame.

        If ``whole`` is true, the text keeps long fields.
        """
        if record.text is None:
            if record.span is not None:
                return "a binary frame with audio"
            return f"a binary frame of {record.length} bytes"
        try:
            value = json.loads(record.text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return beginning(record.text, LONGEST_RAW)
        if not isinstance(value, dict) or _repeats_keys(record.text):
            return beginning(record.text, LONGEST_RAW)
        hidden = frozenset() if whole or record.raw else self._hidden
        kept = dict(self._fields(value, hidden))
        if record.span is not None:
            kept["audio"] = _AUDIO
        text = json.dumps(kept, ensure_ascii=True, separators=(",", ":"))
        return text.replace(json.dumps(_LEFT_OUT), "{...}")

    def sentence(self, reason: str) -> str:
        """Return the reason for a violation, with ids, addresses and dates replaced."""
        text = reason.partition("\n")[0].partition("; events received")[0]
        for id, name in self._names.items():
            text = text.replace(id, name)
        text = re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", text)
        text = re.sub(r"--realtime-fuzz-seed=\d+", "--realtime-fuzz-seed=...", text)
        return re.sub(r"\b17[5-9]\d{7}(\d{3})?\b", rf"{NOW}\1", text)

    def _fields(
        self, value: Mapping[str, Any], hidden: frozenset[str] = frozenset()
    ) -> Iterator[tuple[str, Any]]:
        for name, content in value.items():
            if name in _IDS and isinstance(content, str):
                named = self._named(content)
                if name == "event_id" and named != content and not self._ids:
                    continue
                yield name, named
            elif name in _TIMES and isinstance(content, int | float):
                yield name, self._moved(content)
            elif name in hidden and isinstance(content, dict | list):
                self._value(content)  # names its ids
                yield name, _LEFT_OUT
            else:
                yield name, self._value(content)

    def _value(self, value: Any) -> Any:
        match value:
            case dict():
                return dict(self._fields(value))
            case list():
                return [self._value(each) for each in value[:3]]
            case str():
                return beginning(value, _LONGEST)
        return value

    def _named(self, id: str) -> str:
        """Return a short name for an id; an id without a random part is not renamed."""
        found = re.match(r"([a-z]+)([_-]).*\d", id)
        if found is None:
            return beginning(id, _LONGEST)
        kind, line = found.groups()
        if id not in self._names:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            self._names[id] = f"{kind}{line}{self._numbers[kind]}"
        return self._names[id]

    def _moved(self, time: float) -> float:
        """Return a Unix time as it would be if the session had started at `NOW`.

        A time that is far from the start of the session stays the same.
        """
        for scale in (1, 1000):
            after = time / scale - self._started
            if abs(after) < _NEAR:
                return (NOW + round(after / 60) * 60) * scale
        return time


def beginning(text: str, most: int) -> str:
    """Return a text, or its start if it has more than ``most`` characters."""
    return text if len(text) <= most else f"{text[:most]}..."


def _refuse(number: str) -> None:
    raise ValueError(f"JSON has no number {number}")


def _repeats_keys(text: str) -> bool:
    """Return whether any object in a JSON text has the same key twice."""
    repeated = False

    def read(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        found = dict(items)
        repeated |= len(found) < len(items)
        return found

    json.loads(text, object_pairs_hook=read)
    return repeated
