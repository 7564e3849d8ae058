"""The checks of SGLang-Omni's events: each is met, broken, and without evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr.dialects.sglang_omni import checks
from pytest_realtime_asr.dialects.sglang_omni.events import Completed
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending
from tests.support.omni import (
    CLEAR,
    CLEARED,
    COMMIT,
    CREATED,
    DONE,
    OMNI,
    Sent,
    append,
    asked,
    committed,
    error,
    heard,
    said,
    segment,
    session,
)

NOTHING = ()
UPDATE = asked("session.update", session={"language": "en"})
UPDATED = said("session.updated", session=session(language="en"))
ONE = (append(100), COMMIT, committed(0), segment(0, 0, 100, "one"))
TWO = (*ONE, append(100), COMMIT, committed(1), segment(1, 100, 200, "two"))
COMPLETED = said("transcription.completed", text="one two")
LATE = (DONE, COMPLETED, append(1, raw=True))

OF_FRAMES: dict[str, tuple[SessionCheck, tuple[Sent, ...], tuple[Sent, ...]]] = {
    "event-index": (
        checks.indexes_count_up,
        (CREATED, UPDATED),
        (CREATED, said("session.updated", session=session(), event_index=3)),
    ),
    "event-ids": (
        checks.event_ids,
        (CREATED, UPDATED),
        (CREATED, said("session.updated", session=session(), event_id="evt_1")),
    ),
    "empty-event-id": (
        checks.event_ids,
        (CREATED,),
        (said("session.created", session=session(), event_id=""),),
    ),
    "intent": (
        checks.transcribes,
        (CREATED,),
        (said("session.created", session=session(intent="conversation")),),
    ),
    "interval": (
        checks.transcribes,
        (CREATED,),
        (said("session.created", session=session(decode_interval_ms=0)),),
    ),
    "updates": (
        checks.updates_answered,
        (CREATED, UPDATE, UPDATED, *ONE),
        (CREATED, UPDATE, *ONE),
    ),
    "clears": (
        checks.clears_answered,
        (append(100), CLEAR, CLEARED, *ONE),
        (append(100), CLEAR, *ONE),
    ),
    "commits": (
        checks.commits_answered,
        TWO,
        (*ONE, append(100), COMMIT, segment(1, 100, 200, "two"), append(1), COMMIT),
    ),
    "ids": (
        checks.ids_count_up,
        TWO,
        (*TWO, segment(0, 0, 100, "one")),
    ),
    "negative-id": (checks.ids_count_up, ONE, (segment(-1, 0, 100, "one"),)),
    "settled-once": (
        checks.settled_once,
        TWO,
        (*ONE, segment(0, 0, 100, "one", final=False)),
    ),
    "committed-first": (checks.committed_first, TWO, (segment(0, 0, 100, "one"),)),
    "committed-once": (checks.committed_once, TWO, (*ONE, committed(0))),
    "committed-end": (
        checks.committed_end,
        TWO,
        (committed(0), committed(1), segment(1, 0, 9, "one")),
    ),
    "overlap": (
        checks.times_in_order,
        TWO,
        (*ONE, segment(1, 99, 200, "two")),
    ),
    "start-moves": (
        checks.times_in_order,
        TWO,
        (segment(0, 0, 50, "o", final=False), segment(0, 10, 100, "one")),
    ),
    "ends-before-start": (checks.times_in_order, ONE, (segment(0, 50, 40, "one"),)),
    "beyond": (
        checks.inside_the_audio,
        TWO,
        (append(100), segment(0, 0, 102, "one"), append(100)),
    ),
    "joins": (
        checks.completed_joins,
        (*TWO, DONE, COMPLETED),
        (*TWO, DONE, said("transcription.completed", text="one")),
    ),
    "completed-once": (
        checks.completed_once,
        (DONE, COMPLETED),
        (DONE, COMPLETED, COMPLETED),
    ),
    "completed-unasked": (checks.completed_once, (DONE, COMPLETED), (COMPLETED,)),
    "error-types": (
        checks.errors_have_types,
        (error("invalid_json"),),
        (error("invalid_json", kind=""),),
    ),
}


@pytest.mark.parametrize("name", OF_FRAMES)
def test_a_check_of_frames(name: str) -> None:
    check, right, wrong = OF_FRAMES[name]
    assert check(heard(*right)) == Satisfied()
    assert isinstance(check(heard(*wrong)), Violated)
    assert isinstance(check(heard()), Undecided)


def outcome(check: Check, recording: Recording) -> Outcome:
    return check(Evidence((Part("it", recording, {}),)))


ROLE: dict[str, tuple[Callable[[str], Check], tuple[Sent, ...], tuple[Sent, ...]]] = {
    "language": (
        checks.update_shown,
        (
            CREATED,
            asked("session.update", session={}),
            said("session.updated", session=session()),
            UPDATE,
            UPDATED,
        ),
        (CREATED, UPDATE, said("session.updated", session=session())),
    ),
    "done-commits": (
        checks.ends_with_final,
        (append(100), DONE, committed(0), segment(0, 0, 100, "one")),
        (append(100), DONE, COMPLETED),
    ),
    "after-done": (
        lambda role: checks.answered_by(role, Completed, "it", codes=("late",)),
        (*LATE, error("late")),
        (*LATE, error("other")),
    ),
    "after-done-silence": (
        lambda role: checks.answered_by(role, Completed, "it", codes=("late",)),
        (*LATE, error("late")),
        LATE,
    ),
}


@pytest.mark.parametrize("name", ROLE)
def test_a_check_of_a_role(name: str) -> None:
    check, right, wrong = ROLE[name]
    assert outcome(check("it"), heard(*right)) == Satisfied()
    assert isinstance(outcome(check("it"), heard(*wrong)), Violated)
    assert isinstance(outcome(check("it"), heard(CREATED)), Undecided)
    assert isinstance(outcome(check("other"), heard(*right)), Undecided)


def test_a_final_that_may_still_come_is_undecided() -> None:
    check = checks.ends_with_final("it")
    frames = (append(100), DONE, committed(0))
    assert isinstance(outcome(check, heard(*frames)), Undecided)
    late = heard(*frames, end=Ending.DEADLINE)
    assert isinstance(outcome(check, late), Violated)


def test_much_audio_may_be_accepted_or_refused_with_the_code() -> None:
    check = checks.overflow_code("it")
    much = append(9, raw=True)
    assert outcome(check, heard(CREATED, UPDATE, UPDATED, much)) == Satisfied()
    full = heard(CREATED, much, error("audio_buffer_overflow"))
    assert outcome(check, full) == Satisfied()
    assert isinstance(outcome(check, heard(CREATED, much, error("other"))), Violated)
    # A server that answers nothing may have accepted nothing.
    assert isinstance(outcome(check, heard(CREATED, UPDATE, much)), Undecided)
    assert isinstance(outcome(check, heard(CREATED, UPDATE, UPDATED)), Undecided)


def test_the_text_of_a_script_without_spaces() -> None:
    first = (committed(0), segment(0, 0, 9, "门"))
    chinese = (*first, committed(1), segment(1, 9, 20, "开"), DONE)
    whole = said("transcription.completed", text="门开")
    assert checks.completed_joins(heard(*chinese, whole)) == Satisfied()


def test_an_utterance_that_the_client_ends_early_is_undecided() -> None:
    assert isinstance(checks.updates_answered(heard(CREATED, UPDATE)), Undecided)
    late = heard(CREATED, UPDATE, end=Ending.DEADLINE)
    assert isinstance(checks.updates_answered(late), Violated)
    assert isinstance(checks.committed_end(heard(committed(0))), Undecided)
    lost = heard(committed(0), end=Ending.DEADLINE)
    assert isinstance(checks.committed_end(lost), Violated)
    failed = heard(committed(0), error("transcription_failed"))
    assert checks.committed_end(failed) == Satisfied()
    assert isinstance(checks.completed_once(heard(DONE)), Undecided)
    assert isinstance(checks.completed_once(heard(DONE, end=Ending.DEADLINE)), Violated)


def test_a_commit_without_audio_needs_no_segment() -> None:
    empty = (COMMIT, *ONE, append(1), COMMIT)
    assert isinstance(checks.commits_answered(heard(*empty)), Undecided)


def test_a_final_may_end_before_the_texts_before_it() -> None:
    frames = (segment(0, 0, 50, "o", final=False), segment(0, 0, 40, "one"))
    after = (segment(1, 40, 90, "two"),)
    assert checks.times_in_order(heard(*frames, *after)) == Satisfied()


def test_audio_written_by_hand_may_belong_to_a_segment() -> None:
    frames = (append(1), append(100, raw=True), segment(0, 0, 101, "one"))
    assert isinstance(checks.inside_the_audio(heard(*frames)), Undecided)


def test_each_requirement_has_a_clause_and_its_scenarios() -> None:
    known = {each.name for each in OMNI.misuses}
    known |= {each.name for each in OMNI.exercises}
    for each in OMNI.requirements:
        assert each.clause, each.id
    assert known <= {name for each in OMNI.requirements for name in each.scenarios}
