"""The faults of servers whose utterances are items, each beside a sound machine."""

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
from pytest_realtime_asr.fake.server_wrappers import EventChanger
from pytest_realtime_asr.trace.timeline import Usage

OPENAI = dialects.load("openai")
Event = dict[str, Any]
LOUD = (np.sin(np.arange(24_000)) * 8_000).astype("<i2").tobytes()  # 1 s
HUSH = bytes(2 * 24_000)


class Talk:
    """A session with a machine that has a fault, or none."""

    def __init__(self, *faults: str) -> None:
        self.world = ServerState(OPENAI, ["m"])
        self.world.open_session()
        self.machine = Faults(faults, self.world).wrap(OPENAI.server(["m"]))
        self.said: list[Event] = []
        self.closed: int | None = None
        self.tell(self.machine.open("sess-1", 1_800_000_000))

    def tell(self, frames: Iterable[str]) -> None:
        self.said += map(json.loads, frames)

    def hear(self, kind: str, **content: object) -> Talk:
        reaction = self.machine.hear(json.dumps({"type": kind, **content}))
        self.tell(reaction.replies)
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
            self.tell(self.machine.partial(f" {word}" if place else word, item))
        return self

    def end(self, item: int, text: str = "turn right") -> Talk:
        self.tell(self.machine.final(text, Usage(2, 2), item))
        return self

    def utter(self, item: int) -> Talk:
        return self.append(LOUD).speak(item, "turn", "right").commit().end(item)

    def all(self, end: str) -> list[Event]:
        return [event for event in self.said if event["type"].endswith(end)]

    def kinds(self) -> list[str]:
        return [event["type"].rpartition(".")[2] for event in self.said]


def whole(*faults: str) -> Talk:
    """A session of two utterances, with log probabilities."""
    talk = Talk(*faults).set_up().update(include=[LOGPROBS])
    return talk.utter(0).utter(1)


def turns(*faults: str) -> Talk:
    """A session in which the server finds a turn after 1 s of silence."""
    talk = Talk(*faults).set_up(turn_detection={"type": "server_vad"})
    return talk.append(HUSH).append(LOUD).append(HUSH).append(LOUD).append(HUSH)


def refusing(*faults: str) -> Talk:
    """A session in which an update is refused, and shown then what holds."""
    talk = Talk(*faults).set_up()
    talk.update("bad", audio={"input": {"format": {"type": "audio/no-such"}}})
    return talk.update("good")


def ids(talk: Talk, end: str, name: str = "item_id") -> list[Any]:
    return [event.get(name) for event in talk.all(end)]


def shown(talk: Talk) -> Any:
    return talk.all("session.updated")[-1]["session"]


def times(talk: Talk) -> list[int]:
    names = ("audio_start_ms", "audio_end_ms")
    return [event[name] for event in talk.said for name in names if name in event]


# What holds with the fault, and not without it.
CHECKS: dict[str, Callable[[tuple[str, ...]], bool]] = {
    "same-event-ids": lambda f: len({e["event_id"] for e in whole(*f).said}) == 1,
    "no-event-ids": lambda f: not any("event_id" in e for e in whole(*f).said),
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
    "no-logprobs": lambda f: not any("logprobs" in e for e in whole(*f).said),
    "odd-logprobs": lambda f: whole(*f).all(".delta")[0]["logprobs"][0]["logprob"] > 0,
    "conversing": lambda f: Talk(*f).said[0]["session"]["type"] == "realtime",
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
        Talk(*f).set_up(format={"type": "audio/pcmu"}).machine.rate == 24_000
    ),
    "endless-speech": lambda f: not turns(*f).all("speech_stopped"),
    "other-turns": lambda f: (
        ids(turns(*f), "speech_started") != ids(turns(*f), "speech_stopped")
    ),
    "restarts-times": lambda f: times(turns(*f))[::2] == [0, 0],
    "hears-things": lambda f: times(turns(*f))[0] < 500,
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_fault_is_what_a_sound_machine_is_not(name: str) -> None:
    assert CHECKS[name]((name,))
    assert not CHECKS[name](())


def test_what_is_in_transcription_is_mixed_up_and_else_nothing() -> None:
    def ends(*faults: str) -> list[tuple[str, str]]:
        talk = Talk(*faults).set_up().append(LOUD).commit().append(LOUD).commit()
        talk.end(0, "one").end(1, "two").append(LOUD).commit().end(2, "three")
        told = talk.all(".completed")
        return sorted((event["item_id"][-1], event["transcript"]) for event in told)

    assert ends() == [("1", "one"), ("2", "two"), ("3", "three")]
    assert ends("mixes-items") == [("1", "two"), ("2", "one"), ("3", "three")]


def test_what_is_no_event_is_told_again_as_it_is() -> None:
    class Doubling(EventChanger):
        def change(self, content: Event) -> Iterable[Event]:
            return (content, content)

    talk = Talk()
    talk.machine = Doubling(talk.machine, talk.world)
    talk.said.clear()
    talk.set_up()
    assert talk.kinds() == ["updated", "updated"]


def test_each_of_these_is_a_fault() -> None:
    assert set(CHECKS) <= set(FAULTS)


def test_a_sound_machine_is_played_to_in_a_session_of_its_own() -> None:
    world = ServerState(OPENAI, ["m"])
    told, final = world.correct.utterance("so it is")
    again, _ = world.correct.utterance("so it is")
    assert [json.loads(each)["type"].rpartition(".")[2] for each in told] == [
        "committed",
        "added",
        "done",
    ]
    assert json.loads(final[-1])["transcript"] == "so it is"
    assert json.loads(told[0])["item_id"] != json.loads(again[0])["item_id"]
    assert world.correct.in_utterance('{"type":"input_audio_buffer.clear"}').drop
    assert world.correct.finishes('{"type":"input_audio_buffer.commit"}')
    assert not world.correct.finishes('{"type":"input_audio_buffer.clear"}')
