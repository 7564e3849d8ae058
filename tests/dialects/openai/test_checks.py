"""Tests of the checks of OpenAI's dialect, on sessions written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects.openai.checks import session
from pytest_realtime_asr.dialects.openai.profile import PROFILES
from pytest_realtime_asr.requirements import checks, shared
from pytest_realtime_asr.requirements.capability import PLAIN
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import Satisfied, Undecided, Violated
from pytest_realtime_asr.requirements.shared.selection import NEEDS
from pytest_realtime_asr.trace.records import (
    NO_LAG,
    TAIL,
    End,
    Ending,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)
from tests.support.sessions import MS, STARTED

Event = dict[str, Any]
BUFFER = "input_audio_buffer"
ITEM = "conversation.item"
TRANSCRIPTION = f"{ITEM}.input_audio_transcription"
OURS = ("session.update", f"{BUFFER}.append", f"{BUFFER}.commit", f"{BUFFER}.clear")
TWO, BESIDE = shared.TWO_SET_UPS, shared.BESIDE
REQUIREMENTS = {each.id: each for each in dialects.load("openai").requirements}
USAGE = {"type": "tokens", "input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def said(kind: str, **content: object) -> Event:
    return {"type": kind, **content}


def by_hand(event: Event) -> Event:
    return {**event, "by hand": True}


def committed(item: str, before: str | None = None) -> Event:
    return said(f"{BUFFER}.committed", item_id=item, previous_item_id=before)


def delta(item: str, text: str, **more: object) -> Event:
    return said(f"{TRANSCRIPTION}.delta", item_id=item, delta=text, **more)


def completed(item: str, text: str, **more: object) -> Event:
    given = {"content_index": 0, "usage": USAGE, **more}
    return said(f"{TRANSCRIPTION}.completed", item_id=item, transcript=text, **given)


def failed(item: str) -> Event:
    error = {"type": "server_error", "code": "x", "message": "no"}
    return said(f"{TRANSCRIPTION}.failed", item_id=item, content_index=0, error=error)


def error(code: str | None = "x", event_id: str | None = None) -> Event:
    told = {"type": "t", "message": "no", "code": code, "event_id": event_id}
    return said("error", error=told)


def started(item: str, ms: int) -> Event:
    return said(f"{BUFFER}.speech_started", item_id=item, audio_start_ms=ms)


def stopped(item: str, ms: int) -> Event:
    return said(f"{BUFFER}.speech_stopped", item_id=item, audio_end_ms=ms)


def audio(asset: str, start: int, stop: int) -> Event:
    """Return an event with the audio of an asset between two positions in ms."""
    return said(f"{BUFFER}.append", audio="", span=(asset, 24 * start, 24 * stop))


def updated(**session: object) -> Event:
    return said("session.updated", session=session)


UPDATE = said("session.update", session={"type": "transcription"})
INCLUDING = said("session.update", session={"include": ["y"]})
COMMIT, CLEAR = said(f"{BUFFER}.commit"), said(f"{BUFFER}.clear")
CREATED = said("session.created", session={"id": "sess-1", "type": "transcription"})


def expiring(at: datetime) -> Event:
    session = {"id": "sess-1", "expires_at": at.timestamp()}
    return said("session.created", session=session)


HELD = (CREATED, UPDATE, updated(type="transcription"), COMMIT, committed("a"))


def part(
    *events: Event, role: str = "x", how: Ending = Ending.CLOSED_BY_US, code: int = 1000
) -> Part:
    records = []
    for number, event in enumerate(events, 1):
        content = dict(event)
        raw, span = content.pop("by hand", False), content.pop("span", None)
        ours = content["type"] in OURS
        if not ours:
            content.setdefault("event_id", f"event_{number}")
        records.append(
            Record(
                Sender.CLIENT if ours else Sender.SERVER,
                number * MS,
                json.dumps(content),
                due=number * MS if ours else None,
                woke=number * MS if ours else None,
                span=Span(*span) if span else None,
                raw=raw,
            )
        )
    end = End(how, (len(events) + 1) * MS, code, "")
    trace = Trace(
        Vantage.CLIENT,
        "openai",
        24_000,
        "ws://test",
        STARTED,
        MS,
        tuple(records),
        end,
        NO_LAG,
    )
    return dialects.part(dialects.load("openai"), trace, role=role)


LATE: dict[str, Any] = {"how": Ending.DEADLINE}
YES, NO, UNKNOWN = Satisfied, Violated, Undecided


@pytest.mark.parametrize(
    ("id", "events", "ending", "outcome"),
    [
        # Frames cross: what we said last may not have been heard.
        ("commit-answered", (*HELD, COMMIT), {}, UNKNOWN),
        ("commit-answered", (*HELD, COMMIT), LATE, NO),
        ("commit-answered", (*HELD, COMMIT, error()), {}, YES),
        ("commit-answered", (UPDATE, COMMIT, COMMIT, completed("a", "")), {}, UNKNOWN),
        ("update-answered", (CREATED, UPDATE), {}, UNKNOWN),
        ("update-answered", (CREATED, UPDATE, COMMIT, committed("a")), {}, NO),
        ("clear-answered", (*HELD, CLEAR), LATE, NO),
        # An item may be named before its commit, and ends by the same name.
        ("items-are-committed", (delta("a", "x"), *HELD, completed("a", "x")), {}, YES),
        ("items-are-committed", (*HELD, completed("b", "x")), {}, NO),
        ("items-are-committed", (completed("a", "x"), *HELD), {}, NO),
        ("items-are-committed", (*HELD, failed("a")), {}, YES),
        ("items-are-committed", HELD, {}, UNKNOWN),
        ("item-ids-are-unique", (*HELD, committed("a")), {}, NO),
        ("item-ids-are-unique", (committed(""),), {}, NO),
        ("items-are-chained", (*HELD, committed("b", "a")), {}, YES),
        ("items-are-chained", (*HELD, committed("b")), {}, NO),
        ("items-are-chained", (committed("b", "a"),), {}, NO),
        ("items-are-chained", (committed("a", ""),), {}, YES),
        # Several are in transcription, and end in any order, each of them once.
        (
            "items-end",
            (*HELD, committed("b", "a"), completed("b", ""), failed("a")),
            LATE,
            YES,
        ),
        ("items-end", HELD, LATE, NO),
        ("items-end", HELD, {}, UNKNOWN),
        ("items-end", (CREATED, COMMIT, committed("a")), LATE, UNKNOWN),
        ("items-end-once", (*HELD, failed("a"), completed("a", "x")), {}, NO),
        (
            "items-end-once",
            (*HELD, completed("a", "x", is_last_result=False), completed("a", "y")),
            {},
            YES,
        ),
        ("nothing-after-the-end", (*HELD, completed("a", ""), delta("a", "x")), {}, NO),
        # Text: whole, piece by piece, tidied up, or anew each time.
        ("deltas-add-up", (*HELD, completed("a", "x y")), {}, UNKNOWN),
        ("deltas-add-up", (*HELD, delta("a", "x y"), completed("a", "x y")), {}, YES),
        (
            "deltas-add-up",
            (*HELD, delta("a", " x  "), delta("a", "y"), completed("a", "x y")),
            {},
            YES,
        ),
        ("deltas-add-up", (*HELD, delta("a", "x"), completed("a", "x y")), {}, NO),
        ("deltas-add-up", (*HELD, delta("a", "x"), failed("a")), {}, UNKNOWN),
        (
            "deltas-are-new",
            (*HELD, delta("a", "x"), delta("a", "x y"), completed("a", "x y")),
            {},
            NO,
        ),
        (
            "deltas-are-new",
            (*HELD, delta("a", "no"), delta("a", "no no"), completed("a", "nono no")),
            {},
            YES,
        ),
        (
            "one-content-index",
            (delta("a", "x"), delta("a", "y", content_index=1), *HELD),
            {},
            YES,
        ),
        (
            "one-content-index",
            (*HELD, delta("a", "y", content_index=1), completed("a", "y")),
            {},
            NO,
        ),
        # Usage, which counts tokens or seconds.
        ("usage-adds-up", (completed("a", "x", usage=None),), {}, NO),
        (
            "usage-adds-up",
            (completed("a", "x", usage={"type": "duration", "seconds": 0.5}),),
            {},
            YES,
        ),
        (
            "usage-adds-up",
            (completed("a", "x", usage={**USAGE, "total_tokens": 4}),),
            {},
            NO,
        ),
        ("usage-adds-up", (completed("a", "", usage={"type": "tokens"}),), {}, NO),
        # What is shown of a session
        ("update-shows-what-holds", HELD, {}, YES),
        ("update-shows-what-holds", (UPDATE, updated(type="realtime")), {}, NO),
        ("update-shows-what-holds", (UPDATE, error(), updated(type="x")), {}, UNKNOWN),
        ("update-shows-what-holds", (INCLUDING, updated(include=["x"])), {}, NO),
        ("update-shows-what-holds", (INCLUDING, updated(include=None)), {}, YES),
        ("session-type", (said("session.created", session={"id": "a"}),), {}, NO),
        ("expires-later", (CREATED,), {}, UNKNOWN),
        ("expires-within-a-day", (CREATED,), {}, UNKNOWN),
        ("expires-within-a-day", (expiring(STARTED + timedelta(hours=1)),), {}, YES),
        ("expires-within-a-day", (expiring(STARTED - timedelta(days=9)),), {}, YES),
        ("expires-within-a-day", (expiring(STARTED + timedelta(days=2)),), {}, NO),
        # Ids of events
        ("event-ids-are-unique", (CREATED, committed("a")), {}, YES),
        ("event-ids-are-unique", ({**CREATED, "event_id": ""},), {}, NO),
        (
            "event-ids-are-unique",
            (CREATED, said("ping", event_id="event_1")),  # no event of the protocol
            {},
            YES,
        ),
        (
            "items-are-added-in-place",
            (*HELD, said(f"{ITEM}.added", item={"id": "a"}, previous_item_id="b")),
            {},
            NO,
        ),
        (
            "items-are-added-in-place",
            (*HELD, said(f"{ITEM}.created", item={"id": "a"})),
            {},
            YES,
        ),
    ],
)
def test_a_session(
    id: str, events: Sequence[Event], ending: dict[str, Any], outcome: type
) -> None:
    found = REQUIREMENTS[id].check(Evidence((part(*events, **ending),)))
    assert isinstance(found, outcome), found


NAMED = by_hand(said(f"{BUFFER}.commit", event_id="mine"))
TURN = (started("a", 0), stopped("a", 1500), committed("a"))
SPOKEN = (audio("one", 0, 1000), audio(TAIL, 0, 1000))


@pytest.mark.parametrize(
    ("id", "role", "events", "outcome"),
    [
        ("errors-name-their-cause", "empty-commit", (NAMED, error(None, "mine")), YES),
        ("errors-name-their-cause", "empty-commit", (NAMED, error(None, "its")), NO),
        ("errors-name-their-cause", "empty-commit", (NAMED,), UNKNOWN),
        ("clear-empties", "clear-commit", (CLEAR, NAMED, committed("a")), NO),
        ("clear-of-nothing", "clear-nothing", (by_hand(CLEAR), error()), NO),
        ("big-audio-accepted", "big-audio", (by_hand(audio("x", 0, 9)), error()), NO),
        ("big-audio-accepted", "big-audio", (by_hand(audio("x", 0, 9)),), UNKNOWN),
        (
            "big-audio-accepted",
            "big-audio",
            (UPDATE, updated(), by_hand(audio("x", 0, 9))),
            YES,
        ),
        ("turn-order", "turns", (*SPOKEN, *TURN), YES),
        ("turn-order", "turns", (*SPOKEN, TURN[0], TURN[2], TURN[1]), NO),
        ("turn-order", "turns", (*SPOKEN, *TURN[:2], committed("b")), NO),
        ("turn-order", "turns", SPOKEN, UNKNOWN),
        ("turn-times", "turns", (*SPOKEN, *TURN), YES),
        ("turn-times", "turns", (SPOKEN[0], *TURN), NO),  # it knows what is to come
        ("turn-times", "turns", (*SPOKEN, started("a", 9), stopped("a", 9)), NO),
        ("turn-times", "turns", (*SPOKEN, started("a", 990), stopped("a", 1500)), NO),
        (
            "turn-times",
            "turns",
            (*SPOKEN, *TURN, *SPOKEN, started("b", 1400), stopped("b", 3500)),
            YES,
        ),
        (
            "turn-times",
            "turns",
            (*SPOKEN, *TURN, *SPOKEN, started("b", 0), stopped("b", 1500)),
            NO,
        ),
        ("no-turn-in-silence", "hush", (audio("s", 0, 9), *TURN, audio("c", 0, 9)), NO),
        (
            "no-turn-in-silence",
            "hush",
            (audio("s", 0, 9), audio("c", 0, 9), *TURN),
            YES,
        ),
        ("no-turn-in-silence", "hush", (audio("s", 0, 9), audio("c", 0, 9)), UNKNOWN),
        ("commit-after-turn-is-wordless", "turn-commit", (*TURN, NAMED), UNKNOWN),
        (
            "commit-after-turn-is-wordless",
            "turn-commit",
            (*TURN, NAMED, committed("b", "a"), completed("b", "Thank you.")),
            NO,
        ),
        (
            "commit-after-turn-is-wordless",
            "turn-commit",
            (*TURN, NAMED, committed("b", "a"), completed("b", " ")),
            YES,
        ),
        (
            "commit-after-turn-is-wordless",
            "turn-commit",
            (*TURN, NAMED, error(), *SPOKEN, committed("b"), completed("b", "more")),
            YES,
        ),
        (
            "refused-update-unconfirmed",
            "refused-update",
            (UPDATE, updated(), by_hand(UPDATE), error(), updated()),
            NO,
        ),
        (
            "refused-update-unconfirmed",
            "refused-update",
            (UPDATE, updated(), by_hand(UPDATE), error()),
            YES,
        ),
        (
            "refused-update-unconfirmed",
            "refused-update",
            (UPDATE, error(), by_hand(UPDATE), error(), error()),
            UNKNOWN,
        ),
        ("refused-fields-unshown", "refused-update", (UPDATE, updated()), UNKNOWN),
        (
            "update-keeps-the-rest",
            "partial-update",
            (updated(audio={"input": {"a": 1}}), updated(audio=None)),
            NO,
        ),
        ("update-keeps-the-rest", "partial-update", (updated(), updated()), UNKNOWN),
    ],
)
def test_a_session_of_a_scenario(
    id: str, role: str, events: Sequence[Event], outcome: type
) -> None:
    found = REQUIREMENTS[id].check(Evidence((part(*events, role=role),)))
    assert isinstance(found, outcome), found


WITHOUT_TEXT = (*HELD, completed("a", ""))
WITHOUT_LOGPROBS = (*HELD, delta("a", "x"), completed("a", "x"))
SCORED = [{"token": "x", "logprob": -0.1}]
WITH_LOGPROBS = (*HELD, delta("a", "x", logprobs=SCORED), completed("a", "x"))


@pytest.mark.parametrize(
    ("sessions", "outcome"),
    [
        ((WITHOUT_TEXT,), UNKNOWN),
        ((WITH_LOGPROBS,), YES),
        ((WITHOUT_TEXT, WITH_LOGPROBS), YES),
        ((WITHOUT_TEXT, WITHOUT_LOGPROBS), NO),
        ((WITH_LOGPROBS, WITHOUT_LOGPROBS), NO),
    ],
)
def test_a_session_without_text_hides_no_missing_logprobs(
    sessions: Sequence[Sequence[Event]], outcome: type
) -> None:
    parts = tuple(part(*events, role="logprobs") for events in sessions)
    found = REQUIREMENTS["logprobs-come"].check(Evidence(parts))
    assert isinstance(found, outcome), found


# What is asked of whom


@pytest.mark.parametrize("lost", [True, False])
def test_a_session_that_ends_without_a_final_after_a_hand_written_frame(
    lost: bool,
) -> None:
    session = part(
        *(UPDATE, updated(), by_hand(CLEAR)),
        role="clear-nothing",
        how=Ending.DEADLINE if lost else Ending.CLOSED_BY_PEER,
    )
    clip = Utterance("a clip", "a", silence(1.0))
    session = replace(session, spoken={0: clip} if lost else {})
    outcome = REQUIREMENTS["clear-of-nothing"].check(Evidence((session,)))
    assert isinstance(outcome, Violated)
    assert outcome.by_end
    assert outcome.by_loss is lost


def test_a_profile_has_no_requirement_on_what_it_does_not_support() -> None:
    def ids(name: str) -> set[str]:
        return {each.id for each in dialects.load(name).requirements}

    every, some = ids("openai"), ids("openai:sglang")
    lost = {each for each in every - some if not each.startswith("client-")}
    assert {each for each in lost if "turn" in each} == {
        each for each in every if "turn" in each
    }
    assert {"same-text-pcmu", "same-text-pcma"} <= lost
    at_rates = {"same-text-16000hz", "same-text-48000hz"}
    assert some - every == {*at_rates, "audio-limit-answered"}
    assert "short-commit-refused" not in ids("openai:least=0")
    assert every - ids("openai-beta") == {"session-type", "unknown-rate-refused"}
    assert "empty-commit-code" not in ids("openai:localai")


@pytest.mark.parametrize("profile", PROFILES)
def test_each_requirement_can_be_provoked(profile: str) -> None:
    shape = "openai-beta" if PROFILES[profile].beta else "openai"
    dialect = dialects.load(f"{shape}:{profile}")
    known = scenarios(dialect)
    for each in dialect.requirements:
        assert set(each.scenarios) <= set(known), each.id
    assert len({each.id for each in dialect.requirements}) == len(dialect.requirements)
    named = {name for each in dialect.requirements for name in each.scenarios}
    assert set(known) == named


def test_the_requirements_and_misuses_of_a_profile_are_cached() -> None:
    one, other = dialects.load("openai:sglang"), dialects.load("openai:sglang")
    assert one.requirements is other.requirements
    assert one.misuses is other.misuses


@pytest.mark.parametrize("name", ["expires-later", "expires-within-a-day"])
def test_a_replayed_session_may_have_expired(name: str) -> None:
    found = part(expiring(STARTED - timedelta(days=9)))
    trace = replace(found.recording.trace, replayed=True)
    replayed = replace(found, recording=replace(found.recording, trace=trace))
    outcome = REQUIREMENTS[name].check(Evidence((replayed,)))
    assert isinstance(outcome, Undecided)
    assert outcome.reason == (
        "the session was replayed, so expires_at is as old as the recording"
    )


def test_a_time_in_milliseconds_is_named() -> None:
    at = STARTED.timestamp() + 3600
    created = said("session.created", session={"id": "a", "expires_at": 1000 * at})
    outcome = REQUIREMENTS["expires-within-a-day"].check(Evidence((part(created),)))
    assert isinstance(outcome, Violated)
    assert outcome.message.endswith(
        "days ahead; the server sent milliseconds, but the field is in seconds"
    )


def two_set_ups(first: object, then: object, beside: object) -> Evidence:
    """Sessions that show these formats: one at first and later, one beside it."""

    def shown(value: object) -> Event:
        return updated(audio={"input": {"format": value}})

    def opened(name: str, value: object) -> Event:
        held = {"id": name, "audio": {"input": {"format": value}}}
        return said("session.created", session=held)

    own = part(opened("a", "pcm"), UPDATE, shown(first), shown(then), role=TWO)
    return Evidence((own, part(opened("b", beside), UPDATE, shown(1), role=BESIDE)))


def test_set_ups_of_different_sessions_do_not_mix() -> None:
    alike, kept = session.opens_alike(TWO, BESIDE), session.keeps_the_rest(TWO)
    sound = two_set_ups("pcm", "pcm", "pcm")
    assert alike(sound) == kept(sound) == Satisfied()
    own = kept(two_set_ups("pcm", "pcmu", "pcm"))
    assert isinstance(own, Violated)
    assert own.part == 0
    other = alike(two_set_ups("pcm", "pcm", "pcmu"))
    assert isinstance(other, Violated)
    assert other.part == 1
    assert other.message.startswith("a session opened with the settings Identity(")
    refused = part(CREATED, UPDATE, error(), role=BESIDE)
    accepted = checks.set_up_accepted(BESIDE)
    assert accepted(sound) == Satisfied()
    assert isinstance(accepted(Evidence((refused,))), Undecided)


def test_each_dialect_has_the_requirements_of_all_dialects() -> None:
    every = {
        id: each
        for id, each in shared.SHARED.items()
        if each.clause and NEEDS.get(id, PLAIN) <= PLAIN
    }
    for name, but in (
        ("vllm", set()),
        # It may send no text before the commit, and has no utterance without audio.
        # Its sessions show what was set up, which is checked too.
        (
            "openai",
            {
                *("no-stall", "text-while-speaking", "set-ups-kept-apart"),
                "empty-utterance-is-wordless",
            },
        ),
    ):
        found = {
            each.id: replace(
                each, proof=every[each.id].proof, clause=every[each.id].clause
            )
            for each in dialects.load(name).requirements
            if each.id in every
        }
        assert {id for id in every if found.get(id) != every[id]} == but
