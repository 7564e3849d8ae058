"""Finds where two recorded sessions differ: in frames, in texts and in times.

The frames of the client are compared first, since a difference in them can explain
different answers of the server. Ids and the times that a server states are left out,
since they differ in every session. The division of the audio into frames is left out,
too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from pytest_realtime_asr.metrics.alignment import align
from pytest_realtime_asr.metrics.emission import Emission, Script, emissions
from pytest_realtime_asr.text.frame_fields import decoded
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Record, Sender

_OF_SESSION = frozenset({"id", "created", "created_at", "expires_at", "sha256"})
_HIDDEN = "..."
_DEEPEST = 32  # levels of nested JSON


@dataclass(frozen=True, slots=True)
class Step:
    """A frame of a session, or consecutive frames of audio.

    ``index`` is the index of its first frame in the trace. ``at`` is the time of this
    frame in ns, and ``move`` is the name of its event. ``content`` is what the step
    says, without ids and times. ``heard`` is the length in s of the audio that the
    client had sent before this step. ``frames`` is the number of frames. ``audio`` is
    the name of the audio, or "" for a frame without audio.
    """

    index: int
    at: int
    move: str
    content: str
    heard: float
    frames: int = 1
    audio: str = ""


@dataclass(frozen=True, slots=True)
class Parting:
    """The first step of one side that differs between two sessions.

    ``place`` is the index of the step among the steps of this side. ``one`` and
    ``other`` are the steps in the two sessions. A step is ``None`` if its session has
    fewer steps.
    """

    place: int
    one: Step | None
    other: Step | None


@dataclass(frozen=True, slots=True)
class WordTimes:
    """A word, and the times at which each of two sessions first showed it.

    ``one`` and ``other`` are these times in ns. A time is ``None`` if the text of the
    session does not have the word at this position.
    """

    word: str
    one: int | None
    other: int | None


def steps(recording: Recording, sender: Sender) -> list[Step]:
    """Return the steps of one side of a session, in order."""
    trace = recording.trace
    heard, sent = [], 0
    for record in trace.records:
        heard.append(sent / trace.rate)
        if record.span is not None:
            sent += record.span.stop - record.span.start
    groups: list[list[int]] = []
    for index, record in enumerate(trace.records):
        if record.sender is not sender:
            continue
        if groups and _continues(trace.records[groups[-1][-1]], record):
            groups[-1].append(index)
        else:
            groups.append([index])
    return [
        Step(
            index=group[0],
            at=trace.records[group[0]].at,
            move=recording.messages[group[0]].move,
            content=_content(recording, group),
            heard=heard[group[0]],
            frames=len(group),
            audio=_asset(trace.records[group[0]]),
        )
        for group in groups
    ]


def parting(one: Sequence[Step], other: Sequence[Step]) -> Parting | None:
    """Return the first step in which two sequences differ, or ``None`` if none does."""
    for place, (left, right) in enumerate(zip_longest(one, other)):
        same = left is not None and right is not None
        if not same or (left.move, left.content) != (right.move, right.content):
            return Parting(place, left, right)
    return None


def word_times(
    one: Recording, other: Recording, items: tuple[int, int], script: Script | None
) -> list[WordTimes]:
    """Return the times at which each of two sessions first showed each word.

    The texts of the sessions are aligned. ``items`` are the numbers of the utterance's
    item in each session. ``script`` is the reference of the utterance, or ``None`` if
    it is not known. The language of ``script`` decides what a word is.
    """
    left = emissions(one.timeline.item(items[0]), script).words
    right = emissions(other.timeline.item(items[1]), script).words
    found = []
    place = index = 0
    for pair in align([each.word for each in left], [each.word for each in right]):
        here: Emission | None = None
        there: Emission | None = None
        if pair.reference is not None:
            here, place = left[place], place + 1
        if pair.hypothesis is not None:
            there, index = right[index], index + 1
        same = here is not None and there is not None and here.word == there.word
        if here is not None:
            at = there.first if same and there is not None else None
            found.append(WordTimes(here.word, here.first, at))
        if there is not None and not same:
            found.append(WordTimes(there.word, None, there.first))
    return found


def _continues(before: Record, record: Record) -> bool:
    """Return whether ``record`` continues the audio of ``before``."""
    one, other = before.span, record.span
    if one is None or other is None or before.raw != record.raw:
        return False
    return (one.asset, one.stop) == (other.asset, other.start)


def _asset(record: Record) -> str:
    return "" if record.span is None else record.span.asset


def _content(recording: Recording, group: Sequence[int]) -> str:
    """Return what a step says, without ids and times."""
    trace = recording.trace
    first, last = trace.records[group[0]], trace.records[group[-1]]
    if first.span is not None and last.span is not None:
        digests = {each.asset: each.digest for each in trace.spoken}
        start, stop = first.span.start / trace.rate, last.span.stop / trace.rate
        digest = digests.get(first.span.asset, "")
        samples = f" (samples {digest})" if digest else ""
        return f"{start:.3f} to {stop:.3f} s of {first.span.asset}{samples}"
    if first.text is None:
        data = first.data or b""
        return f"{first.length} bytes, sha256 {hashlib.sha256(data).hexdigest()[:16]}"
    value = decoded(first.text)
    if isinstance(value, str):
        return value
    kind = value.get("type") if isinstance(value, Mapping) else None
    if isinstance(kind, str) and recording.messages[group[0]].move.startswith(kind):
        value = {name: each for name, each in value.items() if name != "type"}
    return msgspec.json.encode(_lasting(value), order="sorted").decode()


def _lasting(value: Any, depth: int = 0) -> Any:
    """Return a value of JSON with a placeholder for each id and time of the server."""
    if depth > _DEEPEST:
        return _HIDDEN
    if isinstance(value, Mapping):
        return {
            name: _HIDDEN
            if name in _OF_SESSION or name.endswith("_id")
            else _lasting(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_lasting(each, depth + 1) for each in value]
    return value
