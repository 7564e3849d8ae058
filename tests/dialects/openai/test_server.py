"""Tests of the answers of the server to the frames of a client."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_realtime_asr.audio import g711
from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.openai import session_setup
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.openai import (
    BUFFER,
    CLEAR,
    COMMIT,
    DONE,
    MANUAL,
    SESSION,
    SOUND,
    Talk,
    append,
    cut,
    flat,
    frame,
    loud,
    pcm,
    quiet,
    update,
)
from tests.support.sessions import CREATED_AT

AUDIO = append(quiet(0.1))


def test_a_session_is_greeted_as_openai_has_it_by_default() -> None:
    (created,) = Talk(limit=60).said
    assert created["type"] == "session.created"
    assert created["event_id"]
    assert created["session"] == {
        "type": "transcription",
        "id": "sess-abcdefghijkl",
        "object": "realtime.transcription_session",
        "expires_at": CREATED_AT + 60,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                },
                "noise_reduction": None,
            }
        },
        "include": None,
    }


def test_the_beta_session() -> None:
    talk = Talk("openai-beta")
    (created,) = talk.said
    assert created["type"] == "transcription_session.created"
    assert created["session"] == {
        "id": "sess-abcdefghijkl",
        "object": "realtime.transcription_session",
        "expires_at": CREATED_AT + 3600,
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "input_audio_transcription": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
        },
        "input_audio_noise_reduction": None,
        "include": None,
    }
    (updated,), _ = talk.hear(
        flat(input_audio_format="g711_ulaw", input_audio_transcription={"model": "m"})
    )
    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_format"] == "g711_ulaw"
    assert updated["session"]["input_audio_transcription"] == {"model": "m"}
    assert talk.server.rate == 8_000
    talk.hear(flat(turn_detection=None))
    kinds = talk.kinds(append(bytes(800)), COMMIT)
    assert kinds == [f"{BUFFER}.committed", "conversation.item.created"]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("openai", "session.created session.updated committed added done"),
        (
            "openai-beta",
            "transcription_session.created transcription_session.updated "
            "committed created",
        ),
        (
            "openai-beta:speaches",
            "session.created session.updated committed created",
        ),
        (
            "openai-beta:riva",
            "conversation.created transcription_session.updated committed created",
        ),
        ("openai:items=no", "session.created session.updated committed"),
    ],
)
def test_events_of_each_profile_for_an_utterance(name: str, kinds: str) -> None:
    talk = Talk(name)
    caller = talk.dialect.caller("m", {})
    talk.hear(*caller.configure(), AUDIO, *caller.finish())
    found = " ".join(event["type"] for event in talk.said)
    found = found.replace(f"{BUFFER}.", "").replace("conversation.item.", "")
    assert found == kinds


def test_an_update_changes_only_the_fields_that_it_contains() -> None:
    talk = Talk()
    (first,), _ = talk.hear(
        update(
            turn_detection={"type": "semantic_vad"},
            transcription={"model": "m", "language": "de"},
            noise_reduction={"type": "near_field"},
        )
    )
    assert first["session"]["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": {"model": "m", "language": "de"},
        "turn_detection": {"type": "semantic_vad", "eagerness": "auto"},
        "noise_reduction": {"type": "near_field"},
    }
    (second,), _ = talk.hear(update(format={"type": "audio/pcm"}, turn_detection=None))
    held = first["session"]["audio"]["input"] | {"turn_detection": None}
    assert second["session"]["audio"]["input"] == held
    include = {"type": "transcription", "include": [session_setup.LOGPROBS]}
    (third,), _ = talk.hear(frame("session.update", session=include))
    assert third["session"]["include"] == [session_setup.LOGPROBS]
    assert third["session"]["audio"]["input"] == held


def test_a_live_transcription_model_does_not_detect_turns() -> None:
    talk = Talk(model="gpt-live-transcribe")
    live = {"model": "gpt-live-transcribe"}
    (asked,), _ = talk.hear(update(transcription=live, turn_detection="server_vad"))
    assert asked["type"] == "error"
    turns = {"type": "server_vad"}
    (refused,), _ = talk.hear(update(transcription=live, turn_detection=turns))
    assert refused["error"]["code"] == "not_supported"
    (held,), _ = talk.hear(update(transcription=live))
    assert held["session"]["audio"]["input"]["turn_detection"] is None


def test_noise_reduction_may_have_a_strength() -> None:
    (held,), _ = Talk().hear(update(noise_reduction={"strength": 0.5}))
    shown = held["session"]["audio"]["input"]["noise_reduction"]
    assert shown["strength"] == 0.5


@dataclass(frozen=True)
class Refused:
    """A frame that a server refuses after the frames ``before``, and the error."""

    frame: str | bytes
    code: str
    param: str | None = None
    server: str = "openai"
    before: tuple[str, ...] = (MANUAL,)
    names: str | None = "c7"  # the event that the error names


def refused(*args: Any, **more: Any) -> Any:
    case = Refused(*args, **more)
    return pytest.param(case, id=f"{case.server} {str(case.frame)[:60]}")


@pytest.mark.parametrize(
    "case",
    [
        refused(b"\0\0", "invalid_payload", names=None),
        refused("{", "invalid_json", names=None),
        refused("[]", "invalid_value", names=None),
        refused('{"event_id":"c7"}', "missing_required_parameter", "type"),
        refused(
            frame("input_audio.append", event_id="c7", audio=""),
            "invalid_value",
            "type",
        ),
        refused(frame("session.created", event_id="c7"), "invalid_value", "type"),
        refused(
            frame("session.update", event_id="c7"),
            "missing_required_parameter",
            "session",
        ),
        refused(
            frame("session.update", event_id="c7", session={}),
            "missing_required_parameter",
            "session.type",
        ),
        refused(
            frame("session.update", event_id="c7", session={"type": "realtime"}),
            "invalid_value",
            "session.type",
        ),
        refused(
            frame("session.update", event_id="c7", session={**SESSION, "voice": "a"}),
            "unknown_parameter",
            "session.voice",
        ),
        refused(update(speed=2), "unknown_parameter", "session.audio.input.speed"),
        refused(
            update(turn_detection={"type": "server_vad", "hold": 1}),
            "unknown_parameter",
            "session.audio.input.turn_detection.hold",
        ),
        refused(
            update(turn_detection={"type": "server_vad", "threshold": 2}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        refused(
            update(transcription={"model": "n"}),
            "model_not_found",
            "session.audio.input.transcription.model",
        ),
        refused(
            update(transcription={"delay": "late"}),
            "invalid_value",
            "session.audio.input.transcription.delay",
        ),
        refused(
            update(format={"type": "audio/pcm", "rate": 16000}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        refused(
            update(format={"type": "audio/pcmu", "rate": 8000}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        refused(
            update(format={"type": "audio/pcmu"}),
            "invalid_value",
            "session.audio.input.format",
            before=(MANUAL, AUDIO),
        ),
        refused(flat(), "invalid_value", "type"),
        refused(
            update(format={"type": "audio/pcmu"}),
            "not_supported",
            "session.audio.input.format",
            server="openai:sglang",
        ),
        refused(
            update(turn_detection={"type": "server_vad"}),
            "not_supported",
            "session.audio.input.turn_detection",
            server="openai:sglang",
        ),
        refused(
            update(noise_reduction={"type": "near_field"}),
            "not_supported",
            "session.audio.input.noise_reduction",
            server="openai:sglang",
        ),
        refused(
            flat(input_audio_transcription={"model": "n"}),
            "model_not_found",
            "session.input_audio_transcription.model",
            server="openai-beta",
            before=(),
        ),
        refused(
            flat(input_audio_format="g711_ulaw"),
            "not_supported",
            "session.input_audio_format",
            server="openai-beta:riva",
            before=(),
        ),
        refused(
            flat(audio={}),
            "unknown_parameter",
            "session.audio",
            server="openai-beta",
            before=(),
        ),
        refused(MANUAL, "invalid_value", "type", server="openai-beta", before=()),
        refused(
            frame(
                "session.update",
                event_id="c7",
                session={"type": "transcription", "include": ["no.such"]},
            ),
            "invalid_value",
            "session.include",
        ),
        refused(
            frame(f"{BUFFER}.append", event_id="c7"),
            "missing_required_parameter",
            "audio",
        ),
        refused(
            frame(f"{BUFFER}.append", event_id="c7", audio="A"),
            "invalid_value",
            "audio",
        ),
        refused(
            frame(f"{BUFFER}.append", event_id="c7", audio="ä==="),
            "invalid_value",
            "audio",
        ),
        refused(append(b"\0\0\0", event_id="c7"), "invalid_value", "audio"),
        refused(
            frame(f"{BUFFER}.append", event_id="c7", audio="A" * (15 * 2**20 + 1)),
            "string_above_max_length",
            "audio",
        ),
        refused(COMMIT, "input_audio_buffer_commit_empty"),
        refused(
            COMMIT,
            "input_audio_buffer_commit_empty",
            before=(MANUAL, append(quiet(0.09))),
        ),
        refused(
            COMMIT,
            "input_audio_buffer_commit_empty",
            before=(MANUAL, AUDIO, COMMIT),
        ),
        refused(
            COMMIT, "input_audio_buffer_commit_empty", before=(MANUAL, AUDIO, CLEAR)
        ),
        refused(
            COMMIT, "input_audio_buffer_commit_empty", before=(append(loud(1)[:0]),)
        ),
        refused(COMMIT, "invalid_state", server="openai:sglang"),
        refused(DONE, "invalid_value", "type", before=(MANUAL, AUDIO)),
    ],
)
def test_a_server_refuses_invalid_frames(case: Refused) -> None:
    talk = Talk(case.server)
    talk.hear(*case.before)
    said, reaction = talk.hear(case.frame)
    assert reaction == Reaction()
    (error,) = said
    assert error["type"] == "error"
    assert error["event_id"]
    told = error["error"]
    assert told["type"] == "invalid_request_error"
    assert (told["code"], told["param"]) == (case.code, case.param)
    assert told["event_id"] == case.names
    assert told["message"]


def test_an_update_that_is_refused_changes_nothing() -> None:
    talk = Talk()
    before, _ = talk.hear(update(transcription={"model": "m"}))
    both = update(turn_detection=None, transcription={"model": "n"})
    assert talk.kinds(both) == ["error"]
    after, _ = talk.hear(update())
    assert after[0]["session"] == before[0]["session"]


def test_the_refusal_of_a_short_commit_names_its_length() -> None:
    talk = Talk()
    (_, error), _ = talk.hear(MANUAL, append(quiet(0.05)), COMMIT)
    assert error["error"]["message"] == (
        "Error committing input audio buffer: buffer too small. Expected at least "
        "100ms of audio, but buffer only has 50.00ms of audio."
    )
    # It is still there.
    said, reaction = talk.hear(append(quiet(0.05)), COMMIT)
    assert said[0]["type"] == f"{BUFFER}.committed"
    assert reaction == Reaction(finish=True)


def test_sglang_takes_no_more_than_it_documents() -> None:
    talk = Talk("openai:sglang most=0.1")
    assert not talk.hear(update(), append(loud(0.06)))[1].close
    said, reaction = talk.hear(append(loud(0.05)))
    assert said[-1]["error"]["code"] == "buffer_overflow"
    assert reaction.close == 1009


def test_a_commit_empties_the_buffer() -> None:
    talk = Talk("openai:sglang most=0.1")
    said, reaction = talk.hear(
        update(), append(loud(0.06)), COMMIT, append(loud(0.06)), COMMIT
    )
    assert not any(each["type"] == "error" for each in said)
    assert reaction.finish


def test_sglang_accepts_a_commit_of_any_length() -> None:
    talk = Talk("openai:sglang")
    talk.hear(MANUAL, append(pcm(1)))
    assert talk.kinds(COMMIT)[0] == f"{BUFFER}.committed"


def test_audio_is_passed_on_unless_it_is_empty() -> None:
    talk = Talk()
    talk.hear(MANUAL)
    assert talk.hear(append(b"")) == ([], Reaction())
    assert talk.hear(append(pcm(1, 2))) == ([], Reaction(begin=True, audio=pcm(1, 2)))
    assert talk.hear(append(pcm(3))) == ([], Reaction(audio=pcm(3)))


@pytest.mark.parametrize(
    ("kind", "law"), [("audio/pcmu", g711.MU), ("audio/pcma", g711.A)]
)
def test_companded_audio_is_handed_on_as_pcm(kind: str, law: g711.Law) -> None:
    talk = Talk()
    talk.hear(update(format={"type": kind}, turn_detection=None))
    assert talk.server.rate == 8_000
    _, reaction = talk.hear(append(b"\x00\x80\xaa"))
    assert reaction == Reaction(begin=True, audio=law.decode(b"\x00\x80\xaa"))


def test_several_items_are_distinguished() -> None:
    talk = Talk()
    talk.hear(MANUAL)
    names = []
    for before in (None, "item_abcdefghijkl_1", "item_abcdefghijkl_2"):
        (committed, added, done), _ = talk.hear(AUDIO, COMMIT)
        names.append(committed["item_id"])
        assert added["type"] == "conversation.item.added"
        assert done["type"] == "conversation.item.done"
        for each in (committed, added, done):
            assert each["previous_item_id"] == before
        assert added["item"] == done["item"]
        assert added["item"]["id"] == names[-1]
    assert names == [f"item_abcdefghijkl_{number}" for number in (1, 2, 3)]
    for number in (2, 0, 1):
        (delta,) = talk.tell(talk.server.partial("go", number))
        assert (delta["item_id"], delta["delta"]) == (names[number], "go")
        (end,) = talk.tell(talk.server.final("go", Usage(25, 1, seconds=2.0), number))
        assert end["item_id"] == names[number]
        assert end["transcript"] == "go"
        assert end["content_index"] == 0
        assert end["usage"] == {
            "type": "tokens",
            "input_tokens": 25,
            "output_tokens": 1,
            "total_tokens": 26,
            "input_token_details": {"audio_tokens": 25, "text_tokens": 0},
        }
    events = [event["event_id"] for event in talk.said]
    assert len(set(events)) == len(events)


def test_a_usage_may_be_a_duration() -> None:
    talk = Talk("openai:sglang")
    talk.hear(MANUAL, AUDIO, COMMIT)
    (end,) = talk.tell(talk.server.final("go", Usage(25, 1, seconds=2.0), 0))
    assert end["usage"] == {"type": "duration", "seconds": 2.0}


def test_text_may_come_before_the_commit_of_its_item() -> None:
    talk = Talk()
    talk.hear(MANUAL, AUDIO)
    (delta,) = talk.tell(talk.server.partial("go", 0))
    (committed, *_), _ = talk.hear(COMMIT)
    assert delta["item_id"] == committed["item_id"]
    assert talk.tell(talk.server.partial("", 0)) == []


def test_text_waits_for_the_commit_if_the_profile_sends_none_before() -> None:
    talk = Talk("openai-beta:speaches")
    talk.hear(frame("session.update", session={"turn_detection": None}), AUDIO)
    assert talk.tell(talk.server.partial("go", 0)) == []
    assert talk.tell(talk.server.partial(" on", 0)) == []
    said, _ = talk.hear(COMMIT)
    assert said[-1]["delta"] == "go on"
    (delta,) = talk.tell(talk.server.partial(" now", 0))
    assert delta["delta"] == " now"


def test_logprobs_are_sent_if_they_are_included() -> None:
    talk = Talk()
    asked = {**SESSION, "include": [session_setup.LOGPROBS]}
    talk.hear(MANUAL, frame("session.update", session=asked), AUDIO)
    (delta,) = talk.tell(talk.server.partial(" ja so", 0))
    assert [each["token"] for each in delta["logprobs"]] == [" ja", " so"]
    assert [bytes(each["bytes"]).decode() for each in delta["logprobs"]] == [
        " ja",
        " so",
    ]
    talk.hear(frame("session.update", session={**SESSION, "include": None}))
    (delta,) = talk.tell(talk.server.partial(" ja", 0))
    assert "logprobs" not in delta


def test_a_clear_drops_the_audio_that_is_not_committed() -> None:
    talk = Talk()
    talk.hear(MANUAL)
    assert talk.hear(CLEAR)[1] == Reaction()
    assert talk.kinds(CLEAR) == [f"{BUFFER}.cleared"]
    talk.hear(AUDIO, COMMIT, AUDIO)
    said, reaction = talk.hear(CLEAR)
    assert [event["type"] for event in said] == [f"{BUFFER}.cleared"]
    assert reaction == Reaction(drop=True)
    _, reaction = talk.hear(AUDIO)
    assert reaction.begin
    (committed, *_), _ = talk.hear(COMMIT)
    assert committed["item_id"] == "item_abcdefghijkl_3"
    assert committed["previous_item_id"] == "item_abcdefghijkl_1"


def test_riva_gets_an_event_at_the_end_of_the_audio() -> None:
    talk = Talk("openai-beta:riva")
    talk.hear(flat())
    assert talk.hear(DONE) == ([], Reaction())
    said, reaction = talk.hear(AUDIO, DONE)
    assert said[0]["type"] == f"{BUFFER}.committed"
    assert reaction == Reaction(finish=True)


def test_a_session_ends_when_it_has_lasted_long_enough() -> None:
    talk = Talk(limit=1800)
    reaction = talk.server.expire()
    (error,) = talk.tell(reaction.replies)
    said = "Your session hit the maximum duration of 30 minutes."
    assert error["error"]["code"] == "session_expired"
    assert error["error"]["message"] == said
    assert replace(reaction, replies=()) == Reaction(close=1001, reason=said)


# Where it detects turns


def detecting(talk: Talk, sound: bytes, rate: int = 24_000) -> list[dict[str, Any]]:
    """Return the server's replies to this audio, sent in pieces of 100 ms."""
    size = rate // 10 * 2
    pieces = [append(sound[at : at + size]) for at in range(0, len(sound), size)]
    return talk.hear(*pieces)[0]


def test_turns_are_committed_by_the_server() -> None:
    talk = Talk()
    said = detecting(talk, SOUND)
    short = [event["type"].rpartition(".")[2] for event in said]
    turn = ["speech_started", "speech_stopped", "committed", "added", "done"]
    assert short == 2 * turn
    for events, start, stop in ((said[:5], 200, 1900), (said[5:], 2220, 3120)):
        assert events[0]["audio_start_ms"] == start
        assert events[1]["audio_end_ms"] == stop
        items = {event["item_id"] for event in events[:3]}
        assert items == {events[3]["item"]["id"]}
    assert said[7]["previous_item_id"] == said[2]["item_id"]


def test_the_audio_of_a_turn_is_handed_on() -> None:
    talk = Talk()
    heard = [
        talk.hear(append(SOUND[at : at + 4800]))[1] for at in range(0, len(SOUND), 4800)
    ]
    first = heard[: next(i for i, each in enumerate(heard) if each.finish) + 1]
    assert b"".join(each.audio for each in first) == cut(SOUND, 0.2, 1.9)
    begins = [number for number, each in enumerate(first) if each.begin]
    assert begins == [next(n for n, each in enumerate(first) if each.audio)]


def test_semantic_turns_end_later() -> None:
    talk = Talk()
    talk.hear(update(turn_detection={"type": "semantic_vad"}))
    said = detecting(talk, loud(0.2) + quiet(1.0))
    assert said[1]["audio_end_ms"] == 1000


def test_positions_are_those_of_the_session() -> None:
    """Cleared audio and audio at another rate count towards the positions."""
    talk = Talk()
    detecting(talk, quiet(0.5))
    talk.hear(CLEAR)
    said = detecting(talk, loud(0.1) + quiet(0.5))
    assert said[0]["audio_start_ms"] == 500
    assert said[1]["audio_end_ms"] == 1100
    talk.hear(update(format={"type": "audio/pcmu"}))
    tone = g711.MU.encode(loud(0.1, 8_000) + quiet(0.5, 8_000))
    said, _ = talk.hear(append(tone))
    assert said[0]["audio_start_ms"] == 1100
    assert said[1]["audio_end_ms"] == 1700


def test_a_turn_may_be_committed_by_the_client_while_it_lasts() -> None:
    talk = Talk()
    (started,) = detecting(talk, loud(0.2))
    said, reaction = talk.hear(COMMIT)
    assert said[0]["item_id"] == started["item_id"]
    assert reaction == Reaction(finish=True)
    again = detecting(talk, loud(0.1) + quiet(0.5))
    assert again[0]["type"] == f"{BUFFER}.speech_started"
    assert again[0]["item_id"] != started["item_id"]
    assert talk.kinds(COMMIT) == ["error"]


def test_a_turn_that_is_too_short_to_be_committed_goes_on() -> None:
    talk = Talk()
    (started,) = detecting(talk, loud(0.05))
    assert talk.kinds(COMMIT) == ["error"]
    stopped, committed, *_ = detecting(talk, quiet(0.5))
    assert stopped["audio_end_ms"] == 550
    assert committed["item_id"] == started["item_id"]


def test_a_turn_that_is_cleared_is_forgotten() -> None:
    talk = Talk()
    (started,) = detecting(talk, loud(0.2))
    assert talk.hear(CLEAR)[1] == Reaction(drop=True)
    assert detecting(talk, quiet(1.0)) == []
    again = detecting(talk, loud(0.2) + quiet(0.5))
    assert again[0]["item_id"] != started["item_id"]
    assert again[2]["previous_item_id"] is None


def test_silence_is_not_a_turn() -> None:
    assert detecting(Talk(), quiet(5.0)) == []
