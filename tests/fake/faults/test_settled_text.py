"""The fault of a server that changes what it has settled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.fake.faults import Faults, lacking
from pytest_realtime_asr.fake.faults.registry import Needs
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.metrics import measure
from pytest_realtime_asr.trace.records import Frame
from tests.support.segmented import SEGMENTED
from tests.support.servers import CLIP, VLLM, faking, plan

FAULT = "retracts-settled"
NAMES = (FAULT,)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


class _Sends(ServerWrapper):
    """Sends one frame as soon as the connection is open."""

    def __init__(self, frame: str) -> None:
        state = ServerState()
        super().__init__(VLLM.server(["m"]), state)
        self._frame = frame

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return (self._frame,)


def took(loop: Loop, *faults: str) -> Transcription:
    with faking(*faults, dialect=SEGMENTED) as (url, _):
        held = plan(url, dialect=SEGMENTED, rules=SEGMENTED.requirements)
        return loop.run(run_utterance(Live(loop, held), CLIP))


def test_a_retraction_is_counted_and_violates_the_requirement(loop: Loop) -> None:
    sound, broken = took(loop), took(loop, FAULT)
    assert sound.text == broken.text == CLIP.text
    assert sound.metrics["final_retractions"] == 0.0
    assert broken.metrics["final_retractions"] == 2.0  # of two segments
    assert sound.violations == ()
    (violation,) = broken.violations
    assert violation.requirement.id == "settled-text-stays"
    # The fault ends the utterance no earlier, so the final has the right text.
    timeline = dialects.read(SEGMENTED, broken.trace).item(0)
    assert timeline.final is not None
    assert timeline.final.text == CLIP.text
    assert measure(timeline, CLIP)["word_time_error"] is not None


def test_the_wrong_word_is_in_every_text_of_the_event() -> None:
    alternative = {
        "transcript": "Go on.",
        "words": [
            {"word": "go", "punctuated_word": "Go", "start": 0.5},
            {"word": "on", "punctuated_word": "on.", "start": 0.75},
        ],
    }
    right = {
        "type": "Results",
        "is_final": True,
        "speech_final": True,
        "channel": {"alternatives": [alternative]},
    }
    wrapped = Faults([FAULT]).wrap(_Sends(json.dumps(right)))
    wrong, sent = map(json.loads, wrapped.open("s", 0))
    assert sent == right
    assert wrong["speech_final"] is False
    (changed,) = wrong["channel"]["alternatives"]
    assert changed["transcript"] == "so on."
    assert [word["word"] for word in changed["words"]] == ["so", "on"]
    assert [word["punctuated_word"] for word in changed["words"]] == ["so", "on."]


@pytest.mark.parametrize(
    "frame",
    [
        '{"is_final":false,"text":"go"}',
        '{"is_final":true,"text":""}',
        '{"text":"go"}',
    ],
)
def test_other_events_are_not_changed(frame: str) -> None:
    wrapped = Faults([FAULT]).wrap(_Sends(frame))
    assert list(wrapped.open("s", 0)) == [frame]


def test_the_fault_needs_settled_text() -> None:
    assert lacking(FAULT, SEGMENTED) is None
    assert lacking(FAULT, VLLM) is Needs.SETTLED_TEXT
