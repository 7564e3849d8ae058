"""The faults of servers that answer each message, each beside a correct server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.fake.faults import FAULTS, Faults
from pytest_realtime_asr.fake.faults.registry import Needs, lacking
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage, WordTime
from tests.support.sessions import BEGIN
from tests.support.vosk import CONFIG, EOF, RESET, RESETTING, SECOND, VOSK

WORDS = (WordTime("turn", 0.0, 0.5), WordTime("right", 0.5, 1.0))


class Talk:
    """A session with a server that has a fault, or none; ``said`` are its frames."""

    def __init__(self, *faults: str) -> None:
        dialect = RESETTING if "reset-ends" in faults else VOSK
        state = ServerState(dialect, ["m"])
        state.open_session()
        self._correct: Any = dialect.server(["m"])
        self.server = Faults(faults, state).wrap(self._correct)
        self.said: list[Frame] = list(self.server.open("sess-1", 0))
        self.hear(CONFIG)

    def hear(self, frame: Frame) -> Reaction:
        reaction = self.server.hear(frame)
        self.said += reaction.replies
        return reaction

    def speak(self) -> Talk:
        """Send three seconds of audio with two words, then the end of the audio."""
        self.hear(SECOND)
        self._correct.partial("turn right", 0, words=WORDS)
        self.hear(SECOND)
        self.hear(SECOND)
        self.end = self.hear(EOF)
        self.said += self.server.final("turn right", Usage(), 0)
        return self

    @property
    def values(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.said]

    @property
    def words(self) -> list[dict[str, Any]]:
        """Return the words of the first result."""
        return next(each.get("result", []) for each in self.values if "text" in each)


SHOWS: dict[str, Callable[[Talk], bool]] = {
    "answers-first": lambda t: t.values[0] == {"partial": "hello"} and len(t.said) == 5,
    "skips-replies": lambda t: len(t.speak().said) < 4,
    "partial-at-end": lambda t: t.speak().values[-1] == {"partial": ""},
    "nameless-replies": lambda t: "hypothesis" in t.speak().values[0],
    "binary-replies": lambda t: all(isinstance(x, bytes) for x in t.speak().said),
    "open-after-end": lambda t: t.speak().end.close is None,
    "reset-ends": lambda t: t.hear(RESET).close == 1000,
    "empty-breaks": lambda t: t.hear(EOF).close == 0,
    "ignores-texts": lambda t: t.hear("hello") == Reaction(),
    "odd-bytes-end": lambda t: t.hear(b"\0").close == 1011,
    "repeats-segments": lambda t: t.speak().values[-1]["text"] == "turn right",
    "loses-word-times": lambda t: len(t.speak().words) == 1,
    "no-word-times": lambda t: t.speak().words == [],
    "word-times-in-ms": lambda t: t.speak().words[-1]["end"] == 1000,
    "percent-confidences": lambda t: t.speak().words[0]["conf"] == 100,
}


def shows(name: str, *faults: str) -> bool:
    talk = Talk(*faults)
    if name == "answers-first":
        talk.speak()
    return bool(SHOWS[name](talk))


@pytest.mark.parametrize("name", SHOWS)
def test_fault(name: str) -> None:
    assert shows(name, name)
    assert not shows(name)


def test_every_fault_of_answers_is_shown() -> None:
    assert set(SHOWS) == {n for n, it in FAULTS.items() if it.needs is Needs.ANSWERS}
    assert not any(lacking(name, RESETTING) for name in SHOWS)


def test_the_faults_leave_other_frames_unchanged() -> None:
    for name in SHOWS.keys() - {"ignores-texts"}:
        assert Talk(name).hear(BEGIN).close == 1007
