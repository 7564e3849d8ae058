"""The server's side of SGLang-Omni's protocol."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_realtime_asr.dialects import HttpRefusal, Request
from pytest_realtime_asr.dialects.sglang_omni.server import LONGEST, Server
from pytest_realtime_asr.requirements.scenario_steps import Misuse
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.omni import OMNI, kinds

SECOND = 2 * OMNI.rate  # bytes
MISUSES = {each.name: each for each in OMNI.misuses}


class Talk:
    """A session with the server."""

    def __init__(self) -> None:
        self.server = Server(["m"])
        self.events: list[dict[str, Any]] = []
        self.take(self.server.open("sess-1", 0))

    def take(self, frames: Iterable[str | bytes]) -> list[str]:
        frames = list(frames)
        self.events += map(json.loads, frames)
        return kinds(frames)

    def hear(self, kind: str, **fields: object) -> list[str]:
        return self.raw(json.dumps({"type": kind, **fields}))

    def raw(self, frame: str | bytes) -> list[str]:
        return self.take(self.server.hear(frame).replies)

    def append(self, ms: int = 1000) -> list[str]:
        audio = base64.b64encode(bytes(SECOND * ms // 1000)).decode()
        return self.hear("input_audio_buffer.append", audio=audio)

    def update(self, **settings: object) -> list[str]:
        return self.hear("session.update", session=settings)

    def commit(self) -> list[str]:
        return self.hear("input_audio_buffer.commit")

    def done(self) -> list[str]:
        return self.hear("transcription.done")

    def partial(self, added: str, item: int) -> list[str]:
        return self.take(self.server.partial(added, item))

    def final(self, text: str, item: int) -> list[str]:
        return self.take(self.server.final(text, Usage(), item))

    @property
    def code(self) -> str:
        found: str = self.events[-1]["error"]["code"]
        return found


def test_the_events_are_numbered() -> None:
    talk = Talk()
    talk.update()
    talk.append()
    talk.partial("open", 0)
    talk.commit()
    talk.final("open", 0)
    assert [event["event_index"] for event in talk.events] == [1, 2, 3, 4, 5]
    assert len({event["event_id"] for event in talk.events}) == 5


def test_the_text_of_a_segment_is_replaced() -> None:
    talk = Talk()
    talk.append(500)
    talk.partial("open", 0)
    talk.append(500)
    talk.partial(" the", 0)
    assert talk.commit() == ["input_audio_buffer.committed"]
    talk.append(700)  # of the next segment
    talk.final("open a door", 0)
    keys = ("segment_id", "audio_start_ms", "audio_end_ms", "text", "is_final")
    texts = [event for event in talk.events if "text" in event]
    assert [tuple(event[key] for key in keys) for event in texts] == [
        (0, 0, 500, "open", False),
        (0, 0, 1000, "open the", False),
        (0, 0, 1000, "open a door", True),
    ]


def test_the_texts_come_in_the_order_of_the_segments() -> None:
    talk = Talk()
    for _ in range(2):
        talk.append()
        talk.commit()
    assert talk.partial("two", 1) == []
    assert talk.final("two", 1) == []
    assert talk.final("one", 0) == ["transcription.segment"] * 2
    assert [event["text"] for event in talk.events[-2:]] == ["one", "two"]


def test_an_utterance_begins_with_its_audio() -> None:
    talk = Talk()
    frame = '{"type":"input_audio_buffer.append","audio":"%s"}'
    assert not talk.server.hear(frame % "").begin
    assert talk.server.hear(frame % "AAA=").begin
    assert not talk.server.hear(frame % "AAA=").begin
    assert talk.server.hear('{"type":"input_audio_buffer.commit"}').finish


def test_the_end_of_a_session() -> None:
    talk = Talk()
    talk.append()
    talk.commit()
    talk.append()
    assert talk.done() == ["input_audio_buffer.committed"]
    assert talk.final("one", 0) == ["transcription.segment"]
    assert talk.final(" two ", 1) == [
        "transcription.segment",
        "transcription.completed",
    ]
    assert talk.events[-1]["text"] == "one two"
    talk.append()
    assert talk.code == "input_already_done"


def test_a_session_without_audio_is_completed_at_once() -> None:
    talk = Talk()
    assert talk.done() == ["transcription.completed"]
    assert talk.events[-1]["text"] == ""


def test_a_clear_drops_the_audio_that_is_not_committed() -> None:
    talk = Talk()
    talk.append()
    talk.partial("one", 0)
    reaction = talk.server.hear('{"type":"input_audio_buffer.clear"}')
    assert reaction.drop
    assert talk.take(reaction.replies) == ["input_audio_buffer.cleared"]
    talk.append()
    talk.commit()
    talk.done()
    talk.final("two", 1)
    assert talk.events[-1]["text"] == "two"


def test_the_settings_of_a_session() -> None:
    talk = Talk()
    assert talk.update(language=" de ") == ["session.updated"]
    assert talk.update(input_audio_format="pcm16") == ["session.updated"]
    assert talk.events[-1]["session"]["language"] == "de"
    talk.append()
    talk.update(language="en")
    assert talk.code == "session_active"
    assert talk.update(input_audio_format="pcm16") == ["session.updated"]
    talk.commit()
    talk.update(turn_detection={"type": "server_vad"})
    assert talk.code == "unsupported_turn_detection"
    assert talk.update(language=None, turn_detection=None) == ["session.updated"]
    assert talk.events[-1]["session"]["language"] is None
    talk.update(language=5)
    assert talk.code == "invalid_event"


def test_the_buffer_has_a_limit() -> None:
    talk = Talk()
    assert talk.append(1000 * LONGEST) == []
    talk.append(1)
    assert talk.code == "audio_buffer_overflow"
    talk.commit()
    assert talk.append() == []


@pytest.mark.parametrize("misuse", MISUSES.values(), ids=MISUSES)
def test_each_invalid_frame_is_refused(misuse: Misuse) -> None:
    for frame in misuse.frames:
        talk = Talk()
        if misuse.speaking:
            talk.append()
        assert talk.raw(frame) == ["error"], frame[:80]


def test_only_transcription_is_served() -> None:
    def refused(query: str) -> tuple[int | None, str]:
        reaction = OMNI.refusal(Request.of(f"/v1/realtime?{query}", {}), ["m"])
        assert not isinstance(reaction, HttpRefusal)
        if reaction is None:
            return None, ""
        (frame,) = reaction.replies
        return reaction.close, json.loads(frame)["error"]["code"]

    assert refused("intent=transcription") == (None, "")
    assert refused("intent=Transcription&a=b") == (None, "")
    assert refused("") == (1008, "unsupported_realtime_intent")
    assert refused("intent=conversation") == (1008, "unsupported_realtime_intent")
