"""The faults of servers whose utterances are items, each beside a correct server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.openai.session_setup import LOGPROBS
from pytest_realtime_asr.fake.faults import FAULTS, Faults
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.trace.timeline import Usage

OPENAI = dialects.load("openai")
Event = dict[str, Any]
LOUD = (np.sin(np.arange(24_000)) * 8_000).astype("<i2").tobytes()  # 1 s
HUSH = bytes(2 * 24_000)


class Talk:
    """A session with a server that has faults, or none."""

    def __init__(self, *faults: str, state: ServerState | None = None) -> None:
        self.state = state or ServerState(OPENAI, ["m"])
        self.state.open_session()
        self.server = Faults(faults, self.state).wrap(OPENAI.server(["m"]))
        self.events: list[Event] = []
        self.closed: int | None = None
        self.take(self.server.open("sess-1", 1_800_000_000))

    def take(self, frames: Iterable[str | bytes]) -> None:
        self.events += map(json.loads, frames)

    def hear(self, kind: str, **content: object) -> Talk:
        reaction = self.server.hear(json.dumps({"type": kind, **content}))
        self.take(reaction.replies)
        self.closed = reaction.close
        return self

    def update(self, name: str = "client", **content: object) -> Talk:
        session = {"type": "transcription", **content}
        return self.hear("session.update", event_id=name, session=session)

    def set_up(self, **content: object) -> Talk:
        given = {"transcription": {"model": "m"}, "turn_detection": None, **content}
        return self.update(audio={"input": given})

    def append(self, pcm: bytes) -> Talk:
        audio = base64.b64encode(pcm).decode()
        return self.hear("input_audio_buffer.append", audio=audio)

    def commit(self) -> Talk:
        return self.hear("input_audio_buffer.commit", event_id="mine")

    def clear(self) -> Talk:
        return self.hear("input_audio_buffer.clear")

    def speak(self, item: int, *words: str) -> Talk:
        for place, word in enumerate(words):
            self.take(self.server.partial(f" {word}" if place else word, item))
        return self

    def end(self, item: int, text: str = "turn right") -> Talk:
        self.take(self.server.final(text, Usage(2, 2), item))
        return self

    def utter(self, item: int) -> Talk:
        return self.append(LOUD).speak(item, "turn", "right").commit().end(item)

    def all(self, end: str) -> list[Event]:
        return [event for event in self.events if event["type"].endswith(end)]

    def kinds(self) -> list[str]:
        return [event["type"].rpartition(".")[2] for event in self.events]


def whole(*faults: str) -> Talk:
    """A session of two utterances, with log probabilities."""
    talk = Talk(*faults).set_up().update(include=[LOGPROBS])
    return talk.utter(0).utter(1)


def turns(*faults: str) -> Talk:
    """A session in which the server detects turns between silences."""
    talk = Talk(*faults).set_up(turn_detection={"type": "server_vad"})
    return talk.append(HUSH).append(LOUD).append(HUSH).append(LOUD).append(HUSH)


def refusing(*faults: str) -> Talk:
    """A session in which one update is refused and the next one accepted."""
    talk = Talk(*faults).set_up()
    talk.update("bad", audio={"input": {"format": {"type": "audio/no-such"}}})
    return talk.update("good")


def ids(talk: Talk, end: str, name: str = "item_id") -> list[Any]:
    return [event.get(name) for event in talk.all(end)]


def shown(talk: Talk) -> Any:
    return talk.all("session.updated")[-1]["session"]


def times(talk: Talk) -> list[int]:
    names = ("audio_start_ms", "audio_end_ms")
    return [event[name] for event in talk.events for name in names if name in event]


# Each check is true with the fault and false without it.
def shares_its_set_up(faults: tuple[str, ...]) -> bool:
    one = Talk(*faults).set_up()
    other = Talk(*faults, state=one.state).set_up(format={"type": "audio/pcmu"})
    assert shown(other)["audio"]["input"]["format"]["type"] == "audio/pcmu"
    kind = shown(one.update())["audio"]["input"]["format"]["type"]
    return bool(kind == "audio/pcmu")


CHECKS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "same-event-ids": lambda f: len({e["event_id"] for e in whole(*f).events}) == 1,
    "no-event-ids": lambda f: not any("event_id" in e for e in whole(*f).events),
    "other-item-ids": lambda f: set(ids(whole(*f), ".completed")).isdisjoint(
        ids(whole(*f), ".committed")
    ),
    "same-item-ids": lambda f: len(set(ids(whole(*f), ".completed"))) == 1,
    "unchained": lambda f: (
        ids(whole(*f), ".committed", "previous_item_id") == [None, None]
    ),
    "displaced": lambda f: (
        ids(whole(*f), ".added", "previous_item_id")
        != ids(whole(*f), ".committed", "previous_item_id")
    ),
    "adds-nothing": lambda f: not whole(*f).all(".added"),
    "silent-commit": lambda f: not whole(*f).all(".committed"),
    "foretells": lambda f: bool(Talk(*f).set_up().all(".delta")),
    "cumulative": lambda f: ids(whole(*f), ".delta", "delta")[1] == "turn right",
    "counts-content": lambda f: (
        ids(whole(*f), ".delta", "content_index") == [0, 1, 0, 1]
    ),
    "fails-first": lambda f: whole(*f).kinds().count("failed") == 2,
    "no-logprobs": lambda f: not any("logprobs" in e for e in whole(*f).events),
    "odd-logprobs": lambda f: whole(*f).all(".delta")[0]["logprobs"][0]["logprob"] > 0,
    "conversing": lambda f: Talk(*f).events[0]["session"]["type"] == "realtime",
    "expires-in-ms": lambda f: Talk(*f).events[0]["session"]["expires_at"] > 10**12,
    "shares-setup": shares_its_set_up,
    "silent-update": lambda f: not whole(*f).all(".updated"),
    "unset": lambda f: "audio" not in shown(whole(*f)),
    "forgets-rest": lambda f: shown(whole(*f))["audio"] is None,
    "shows-refused": lambda f: "audio/no-such" in json.dumps(shown(refusing(*f))),
    "confirms-refused": lambda f: len(refusing(*f).all("session.updated")) == 3,
    "typeless": lambda f: not refusing(*f).all("error")[0]["error"]["type"],
    "causeless": lambda f: not refusing(*f).all("error")[0]["error"]["event_id"],
    "paramless": lambda f: not refusing(*f).all("error")[0]["error"]["param"],
    "acknowledges-empty": lambda f: Talk(*f).set_up().commit().kinds()[-1] == "done",
    "babbles-of-empty": lambda f: bool(Talk(*f).set_up().commit().all(".completed")),
    "silent-clear": lambda f: not Talk(*f).set_up().append(LOUD).clear().all("cleared"),
    "strict-clear": lambda f: bool(Talk(*f).set_up().clear().all("error")),
    "keeps-cleared": lambda f: bool(
        Talk(*f).set_up().append(LOUD).clear().commit().all(".committed")
    ),
    "odd-audio-closes": lambda f: Talk(*f).set_up().append(b"\0").closed == 1011,
    "refuses-big": lambda f: bool(
        Talk(*f).set_up().append(bytes(4 * 2**20)).all("error")
    ),
    "one-rate": lambda f: (
        Talk(*f).set_up(format={"type": "audio/pcmu"}).server.rate == 24_000
    ),
    "endless-speech": lambda f: not turns(*f).all("speech_stopped"),
    "other-turns": lambda f: (
        ids(turns(*f), "speech_started") != ids(turns(*f), "speech_stopped")
    ),
    "restarts-times": lambda f: times(turns(*f))[::2] == [0, 0],
    "hears-things": lambda f: times(turns(*f))[0] < 500,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_fault_is_seen_and_a_correct_server_has_none(name: str) -> None:
    assert CHECKS[name]((name,))
    assert not CHECKS[name](())


def test_only_texts_in_transcription_are_swapped() -> None:
    def ends(*faults: str) -> list[tuple[str, str]]:
        talk = Talk(*faults).set_up().append(LOUD).commit().append(LOUD).commit()
        talk.end(0, "one").end(1, "two").append(LOUD).commit().end(2, "three")
        finals = talk.all(".completed")
        return sorted((event["item_id"][-1], event["transcript"]) for event in finals)

    assert ends() == [("1", "one"), ("2", "two"), ("3", "three")]
    assert ends("mixes-items") == [("1", "two"), ("2", "one"), ("3", "three")]


def test_each_check_belongs_to_a_declared_fault() -> None:
    assert set(CHECKS) <= set(FAULTS)


def test_seconds_are_counted_in_milliseconds() -> None:
    def seconds(*faults: str) -> float:
        server = Faults(faults).wrap(dialects.load("openai:sglang").server(["m"]))
        tuple(server.open("sess-1", 1_800_000_000))
        audio = base64.b64encode(LOUD).decode()
        server.hear(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        server.hear('{"type":"input_audio_buffer.commit"}')
        (frame,) = server.final("a", Usage(1, 1, seconds=1.5), 0)
        counted: float = json.loads(frame)["usage"]["seconds"]
        return counted

    assert seconds() == 1.5
    assert seconds("usage-in-ms") == 1500
