"""The faults of servers with segments, each beside a correct server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pytest_realtime_asr.fake.faults import FAULTS, Faults, lacking
from pytest_realtime_asr.fake.faults.registry import Needs
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.omni import OMNI
from tests.support.servers import VLLM

Event = dict[str, Any]
SECOND = base64.b64encode(bytes(2 * OMNI.rate)).decode()


class Talk:
    """A session of two utterances with a server that has faults, or none."""

    def __init__(self, *faults: str) -> None:
        state = ServerState(OMNI, ["m"])
        state.open_session()
        self.server = Faults(faults, state).wrap(OMNI.server(["m"]))
        self.events: list[Event] = []
        self.take(self.server.open("sess-1", 0))
        self.hear("session.update", session={"language": "en"})
        self.utter("one", 0)
        self.append()
        self.take(self.server.partial("two", 1))
        self.hear("input_audio_buffer.commit")

    def take(self, frames: Iterable[str | bytes]) -> None:
        self.events += map(json.loads, frames)

    def hear(self, kind: str, **content: object) -> None:
        reaction = self.server.hear(json.dumps({"type": kind, **content}))
        self.take(reaction.replies)
        self.dropped = reaction.drop

    def append(self) -> None:
        self.hear("input_audio_buffer.append", audio=SECOND)

    def utter(self, text: str, item: int) -> None:
        self.append()
        self.take(self.server.partial(text, item))
        self.hear("input_audio_buffer.commit")
        self.final(text, item)

    def final(self, text: str, item: int) -> None:
        self.take(self.server.final(text, Usage(), item))

    def end(self) -> Talk:
        self.final("two", 1)
        self.hear("transcription.done")
        return self

    def all(self, kind: str, field: str) -> list[Any]:
        return [event[field] for event in self.events if event["type"] == kind]


SEGMENT = "transcription.segment"
COMMITTED = "input_audio_buffer.committed"
COMPLETED = "transcription.completed"


def ended(faults: tuple[str, ...], kind: str, field: str) -> list[Any]:
    return Talk(*faults).end().all(kind, field)


def drops_at_the_end(faults: tuple[str, ...]) -> bool:
    talk = Talk(*faults)
    talk.append()
    talk.hear("transcription.done")
    return talk.dropped


def loses_committed(faults: tuple[str, ...]) -> bool:
    talk = Talk(*faults)
    talk.hear("input_audio_buffer.clear")
    talk.final("two", 1)
    return talk.all(SEGMENT, "is_final").count(True) == 1


CHECKS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "skips-indexes": lambda f: (
        [e["event_index"] for e in Talk(*f).end().events][:4] == [1, 2, 4, 5]
    ),
    "counts-segments-down": lambda f: ended(f, COMMITTED, "segment_id") == [1000, 999],
    "other-segment-ids": lambda f: set(ended(f, SEGMENT, "segment_id")).isdisjoint(
        ended(f, COMMITTED, "segment_id")
    ),
    "silent-segments": lambda f: not ended(f, COMMITTED, "segment_id"),
    "commits-twice": lambda f: ended(f, COMMITTED, "segment_id") == [0, 0, 1, 1],
    "unsettles-segments": lambda f: (
        ended(f, SEGMENT, "is_final") == [False, True, False] * 2
    ),
    "overlaps-segments": lambda f: ended(f, SEGMENT, "audio_start_ms") == [0, 0, 0, 0],
    "runs-ahead": lambda f: (
        ended(f, SEGMENT, "audio_end_ms") == [61_000, 1_000, 62_000, 2_000]
    ),
    "hides-language": lambda f: (
        [e["language"] for e in ended(f, "session.updated", "session")] == [None]
    ),
    "completes-twice": lambda f: ended(f, COMPLETED, "text") == ["one two"] * 2,
    "completes-in-part": lambda f: ended(f, COMPLETED, "text") == ["one"],
    "done-discards": drops_at_the_end,
    "clear-discards-all": loses_committed,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_fault_is_seen_and_a_correct_server_has_none(name: str) -> None:
    assert CHECKS[name]((name,))
    assert not CHECKS[name](())


def test_every_fault_of_segments_is_shown() -> None:
    named = {name for name, it in FAULTS.items() if it.needs is Needs.SEGMENTS}
    assert set(CHECKS) == {*named, "skips-indexes"}


def test_other_dialects_have_no_segments() -> None:
    assert lacking("commits-twice", OMNI) is None
    assert lacking("commits-twice", VLLM) is Needs.SEGMENTS
