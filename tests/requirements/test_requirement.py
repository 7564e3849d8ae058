"""Tests of requirements and their checks, mainly of the order of frames that cross."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.order import PossibleStates, order
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Outcome,
    Requirement,
    Satisfied,
    SessionCheck,
    Undecided,
    Violated,
    each,
)
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Record,
    Sender,
    Trace,
    Vantage,
)
from tests.support.crossing import (
    CLIENT,
    SERVER,
    STARTED,
    WAIT,
    Side,
    SimulatedSession,
    Simulation,
)

JUDGE = order(VLLM.table, start=VLLM.start)
PASSIVE = [requirement for requirement in VLLM.requirements if requirement.passive]

CREATED = '{"type":"session.created","id":"sess-1","created":1}'
UPDATE = '{"type":"session.update","model":"m"}'
BEGIN = '{"type":"input_audio_buffer.commit","final":false}'
APPEND = '{"type":"input_audio_buffer.append","audio":"AAA="}'
FINISH = '{"type":"input_audio_buffer.commit","final":true}'
DELTA = '{"type":"transcription.delta","delta":"a"}'
DONE = '{"type":"transcription.done","text":"a"}'
ERROR = '{"type":"error","error":"no","code":"processing_error"}'
UNKNOWN = '{"type":"what.is.this"}'


def trace_of(
    records: Iterable[Record],
    *,
    vantage: Vantage = Vantage.CLIENT,
    how: Ending = Ending.CLOSED_BY_US,
) -> Trace:
    kept = tuple(records)
    end = End(how, kept[-1].at if kept else 0)
    return Trace(vantage, "vllm", 16_000, "ws://test", STARTED, 0, kept, end)


def spoken(*frames: str, raw: frozenset[int] = frozenset()) -> list[Record]:
    """Return records of these frames; those at the indexes ``raw`` are by hand."""
    ours = (UPDATE, BEGIN, APPEND, FINISH, UNKNOWN)
    return [
        Record(CLIENT if frame in ours else SERVER, at, frame, raw=at in raw)
        for at, frame in enumerate(frames)
    ]


def judged(trace: Trace, judge: SessionCheck = JUDGE) -> Outcome:
    return judge(dialects.recording(VLLM, trace))


def broken(trace: Trace) -> list[str]:
    """Return the ids of the requirements that the peer violated."""
    violations = observe(VLLM.requirements, dialects.part(VLLM, trace))
    return [violation.requirement.id for violation in violations]


# Sessions whose frames cross


def conversation(random: Random, *, waits: bool) -> list[str]:
    """Return the frames that a client sends in a session; at `WAIT` it waits."""
    plan = [UPDATE]
    for _ in range(random.randint(1, 4)):
        plan += [BEGIN]
        plan += random.choices(
            (APPEND, UPDATE, BEGIN), (8, 1, 1), k=random.randint(0, 6)
        )
        plan += [FINISH, *([WAIT] if waits else [])]
    if not waits:
        strange = (UPDATE.replace('"m"', '"n"'), FINISH, APPEND, BEGIN, UNKNOWN)
        for _ in range(random.randint(0, 3)):
            plan.insert(random.randrange(len(plan)), random.choice(strange))
    return plan


def hold(
    seed: int, *faults: str, waits: bool = True, hasty: bool = False, model: str = "m"
) -> SimulatedSession:
    server = Faults(faults).wrap(VLLM.server([model]))
    side = Side(partial(conversation, waits=waits), ("transcription.done",))
    return Simulation(seed, side, server, hasty=hasty).run(VLLM)


ENDS = (Ending.CLOSED_BY_US, Ending.DEADLINE, Ending.CLOSED_BY_PEER)


@pytest.mark.slow
@pytest.mark.parametrize("waits", [True, False])
def test_a_correct_server_never_fails_however_frames_cross(waits: bool) -> None:
    binding = [each for each in PASSIVE if each.binds is SERVER]
    satisfied: Counter[str] = Counter()
    for seed in range(1000):
        trace = hold(seed, waits=waits).client
        assert judged(trace) == Satisfied(), seed
        for how in ENDS:
            ended = replace(trace, end=replace(trace.end, how=how))
            evidence = Evidence((dialects.part(VLLM, ended),))
            for requirement in binding:
                outcome = requirement.check(evidence)
                assert not isinstance(outcome, Violated), (seed, how, requirement.id)
                satisfied[requirement.id] += isinstance(outcome, Satisfied)
    # They were judged, too; only a client that waits is refused nothing.
    missed = {each.id for each in binding if satisfied[each.id] < 1000}
    assert missed == ({"errors-have-codes"} if waits else set())


def test_the_sessions_do_cross() -> None:
    """In most sessions, the two sides record the frames in different orders."""
    crossed = 0
    for seed in range(100):
        held = hold(seed, waits=False)
        orders = [
            [record.text for record in t.records] for t in (held.client, held.server)
        ]
        assert sorted(map(str, orders[0])) == sorted(map(str, orders[1]))
        crossed += orders[0] != orders[1]
    assert crossed > 60


def test_a_client_that_waits_has_no_violation() -> None:
    for seed in range(500):
        assert judged(hold(seed).server) == Satisfied(), seed


def test_a_server_that_refuses_the_model_breaks_nothing() -> None:
    for seed in range(100):
        held = hold(seed, model="another")
        assert judged(held.client) == Satisfied(), seed
        assert broken(held.client) == [], seed


@pytest.mark.parametrize(
    ("fault", "move"),
    [
        ("two-finals", "transcription.done"),
        ("late-delta", "transcription.delta"),
        ("created-twice", "session.created"),
    ],
)
def test_a_broken_server_fails_if_the_client_waits(fault: str, move: str) -> None:
    for seed in range(200):
        trace = hold(seed, fault).client
        outcome = judged(trace)
        assert isinstance(outcome, Violated), seed
        assert outcome.message == f"{move} came out of order"
        assert {trace.records[index].sender for index in outcome.records} == {SERVER}


def test_a_final_before_the_commit_is_a_violation() -> None:
    judgeable = 0
    for seed in range(200):
        trace = hold(seed, hasty=True).client
        texts = [record.text or "" for record in trace.records]
        first = next(i for i, text in enumerate(texts) if "done" in text)
        if FINISH in texts[:first]:
            continue  # they crossed: it may have been in time
        judgeable += 1
        assert isinstance(judged(trace), Violated), seed
    assert judgeable > 50


def test_a_client_that_does_not_wait_has_a_violation() -> None:
    frames = (CREATED, UPDATE, BEGIN, APPEND, FINISH, APPEND, DONE)
    outcome = judged(trace_of(spoken(*frames), vantage=Vantage.SERVER))
    assert outcome == Violated("input_audio_buffer.append came out of order", (5,))


def test_a_frame_of_the_server_may_not_have_reached_the_client() -> None:
    frames = (CREATED, UPDATE, BEGIN, DELTA, ERROR, APPEND, FINISH, DONE, BEGIN)
    assert judged(trace_of(spoken(*frames), vantage=Vantage.SERVER)) == Satisfied()


# The judge of the order, step by step


@pytest.mark.parametrize(
    ("frames", "wrong"),
    [
        ((CREATED, CREATED), (1,)),
        ((DELTA, CREATED), (0,)),
        ((CREATED, UPDATE, BEGIN, FINISH, DONE, DONE), (5,)),
        ((CREATED, UPDATE, BEGIN, FINISH, DONE, DELTA, DONE), (5, 6)),
        ((CREATED, UPDATE, BEGIN, APPEND, DONE), (4,)),
        ((CREATED, UPDATE, APPEND, DELTA), (3,)),
        ((CREATED, BEGIN, FINISH, DONE), (3,)),
        ((CREATED, UPDATE, BEGIN, ERROR, FINISH, DONE, BEGIN, DELTA), ()),
        ((UPDATE, BEGIN, APPEND, CREATED, DELTA), ()),
        ((CREATED, UPDATE, BEGIN, BEGIN, UPDATE, FINISH, UPDATE, DONE), ()),
    ],
)
def test_frames_of_a_server_out_of_order_are_found(
    frames: tuple[str, ...], wrong: tuple[int, ...]
) -> None:
    outcome = judged(trace_of(spoken(*frames)))
    found = outcome.records if isinstance(outcome, Violated) else ()
    assert found == wrong


def test_a_move_that_no_table_knows_is_not_judged() -> None:
    records = spoken(CREATED, UPDATE)
    strange = [Record(SERVER, 2, "no JSON"), Record(SERVER, 3, UNKNOWN)]
    assert judged(trace_of([*records, *strange])) == Satisfied()


@pytest.mark.parametrize("frames", [(), (UPDATE, BEGIN)])
def test_the_order_of_a_silent_server_is_undecided(
    frames: tuple[str, ...],
) -> None:
    assert judged(trace_of(spoken(*frames))) == Undecided(
        "the server sent no event whose order is checked"
    )


def test_frames_before_a_stray_hand_written_frame_are_judged() -> None:
    frames = (CREATED, UPDATE, BEGIN, FINISH, DONE, DONE, FINISH, DONE)
    outcome = judged(trace_of(spoken(*frames, raw=frozenset({6}))))
    assert outcome == Violated("transcription.done came out of order", (5,))


STALE = (CREATED, UPDATE, FINISH, BEGIN, APPEND, DONE)


def test_the_order_after_a_stray_hand_written_frame_is_undecided() -> None:
    outcome = judged(trace_of(spoken(*STALE, raw=frozenset({2}))))
    assert outcome == Undecided(
        "a frame written by hand broke the order, so later events prove nothing"
    )


def test_a_stray_frame_that_was_not_written_by_hand_excuses_nothing() -> None:
    assert isinstance(judged(trace_of(spoken(*STALE))), Violated)


def test_a_frame_written_by_hand_that_keeps_the_order_excuses_nothing() -> None:
    frames = (CREATED, UPDATE, BEGIN, FINISH, DONE, DONE)
    outcome = judged(trace_of(spoken(*frames, raw=frozenset({1, 2, 3}))))
    assert outcome == Violated("transcription.done came out of order", (5,))


def test_a_stray_frame_changes_nothing_if_the_server_keeps_the_order() -> None:
    frames = (CREATED, UNKNOWN, ERROR, UPDATE, BEGIN, FINISH, DELTA, DONE)
    assert judged(trace_of(spoken(*frames, raw=frozenset({1})))) == Satisfied()


def test_a_long_session_is_judged_in_linear_time() -> None:
    """The session has half an hour of audio; a quadratic check would take minutes."""
    long = (CREATED, UPDATE, BEGIN, *((APPEND, APPEND, DELTA) * 9_000), FINISH, DONE)
    records = spoken(*long)
    assert judged(trace_of(records)) == Satisfied()
    outcome = judged(trace_of([*records, Record(SERVER, len(records), DONE)]))
    assert outcome == Violated("transcription.done came out of order", (len(records),))


def test_the_states_in_which_a_peer_may_be() -> None:
    states = PossibleStates(VLLM.table, start=VLLM.start, of=SERVER)
    created, begin, error = "session.created", "input_audio_buffer.commit", "error"
    assert states.final == {"opening"}
    assert not states.send("transcription.done")  # legal nowhere: it changes nothing
    assert states.send(created)
    assert states.final == {"fresh"}
    assert not states.receive(begin)  # illegal by now, and heard yet
    assert states.receive("session.update")
    assert states.receive(begin)
    assert states.final == {"hearing"}
    assert states.send(error)  # whichever of the three it refused
    assert states.final == {"fresh", "idle", "hearing"}


# What a requirement makes of evidence


def requirement(
    name: str, outcome: Outcome, *, binds: Sender = SERVER, passive: bool = True
) -> Requirement:
    def judge(_: Evidence) -> Outcome:
        return outcome

    return Requirement(
        name, "a title", Level.SHOULD, "a clause", judge, binds, passive=passive
    )


@pytest.mark.parametrize(
    ("since", "until", "version", "bound"),
    [
        ("", "", "0.1", True),
        ("", "", "", True),
        ("0.22", "", "0.21.9", False),
        ("0.22", "", "0.22", True),
        ("0.22", "", "0.22.0rc1", False),
        ("0.22", "", "0.33.1.dev5+g1a2b3c", True),
        ("0.22", "", "not a version", True),
        ("", "0.33", "0.32.9", True),
        ("", "0.33", "0.33", False),
        ("", "0.33", "", False),
        ("0.22", "0.33", "0.25.1", True),
        ("0.22", "0.33", "0.34", False),
    ],
)
def test_a_requirement_applies_from_a_version_up_to_another(
    since: str, until: str, version: str, bound: bool
) -> None:
    found = replace(requirement("one", Satisfied()), since=since, until=until)
    assert found.applies_to(version) is bound


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        (None, None, None),
        ("0.22", None, "since 0.22"),
        (None, "0.33", "before 0.33"),
        ("0.22", "0.33", "since 0.22 and before 0.33"),
    ],
)
def test_the_versions_of_a_requirement_are_shown(
    since: str | None, until: str | None, shown: str | None
) -> None:
    found = replace(requirement("one", Satisfied()), since=since, until=until)
    assert found.interval == shown


BAD, GOOD, OPEN = Violated("bad", (3,)), Satisfied(), Undecided("cut")


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        ([], Undecided("no session was run")),
        ([OPEN], OPEN),
        ([OPEN, GOOD, OPEN], GOOD),
        ([OPEN, GOOD, BAD, BAD], replace(BAD, part=2)),
        ([BAD], BAD),
    ],
)
def test_a_check_of_one_session_is_applied_to_each_session(
    outcomes: list[Outcome], found: Outcome
) -> None:
    given = iter(outcomes)

    def judge(_: Recording) -> Outcome:
        return next(given)

    part = dialects.part(VLLM, trace_of([]))
    assert each(judge)(Evidence((part,) * len(outcomes))) == found


def observed(*requirements: Requirement, trace: Trace) -> tuple[Violation, ...]:
    return observe(requirements, dialects.part(VLLM, trace))


def test_observe_gives_the_violations_of_the_peer_in_order() -> None:
    many = requirement("many", Violated("bad", (3, 5)))
    none = requirement("none", Violated("nothing came", ()))
    others = [
        requirement("fine", GOOD),
        requirement("open", OPEN),
        requirement("ours", Violated("ours", (1,)), binds=CLIENT),
        requirement("provoked", BAD, passive=False),
    ]
    found = observed(none, *others, many, trace=trace_of([]))
    assert found == (
        Violation(none, "nothing came", 1, None, dialect="vllm"),
        Violation(many, "bad", 2, 3, dialect="vllm"),
    )
    assert str(found[0]) == "none [SHOULD]: nothing came"
    assert str(found[1]) == "many [SHOULD]: bad (2 times)"


def test_a_check_that_raises_does_not_affect_other_checks() -> None:
    def judge(evidence: Evidence) -> Outcome:
        raise OverflowError("int too large")

    failing = replace(requirement("failing", GOOD), check=judge)
    many = requirement("many", Violated("bad", (3, 5)))
    found = observed(failing, many, trace=trace_of([]))
    assert [(each.requirement.id, each.ours) for each in found] == [
        ("failing", True),
        ("many", False),
    ]
    assert str(found[0]) == (
        "failing [harness error]: the check itself failed, not the server: "
        "OverflowError('int too large')"
    )


def test_from_the_vantage_of_the_server_the_client_is_the_peer() -> None:
    ours = requirement("ours", Violated("bad", (0,)), binds=CLIENT)
    theirs = requirement("theirs", Violated("bad", (0,)))
    trace = trace_of([], vantage=Vantage.SERVER)
    found = Violation(ours, "bad", 1, 0, dialect="vllm")
    assert observed(theirs, ours, trace=trace) == (found,)


def test_both_sides_satisfy_all_requirements_in_a_whole_session() -> None:
    for seed in range(100):
        held = hold(seed)
        assert broken(held.client) == []
        assert broken(held.server) == []
