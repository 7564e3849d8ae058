"""The values that the metrics and limits of a level get from its rows."""

from __future__ import annotations

import math
from dataclasses import replace

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.level import Level, Witness
from pytest_realtime_asr.load.level_values import judged_level, level_values
from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.metrics import LEVELS
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.level_values import Answer
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.verdicts.budgets import budget, latency_budget
from pytest_realtime_asr.verdicts.level_limits import judge_levels
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.load_rows import level, row

TEXT = "go forward ten meters"
CLIPS = {"one": Utterance("one", TEXT, silence(1.0))}
FINAL = latency_budget("final_from_commit", p95="800ms")
GOODPUT = budget("goodput", at_least=0.99)
BUSY = ClientState(cpu=0.9)


def goodput(judged: Level) -> Verdict:
    values = judged_level(judged, [FINAL, GOODPUT], CLIPS)
    return judge_levels(GOODPUT, [values]).verdict


def test_only_the_steady_sessions_are_judged() -> None:
    rows = [
        row(TEXT, final=100.0, at=20.0),
        row(TEXT, final=9000.0, at=0.0, phase=Phase.RAMP),
        row(TEXT, final=9000.0, at=58.0, phase=Phase.DRAIN),
    ]
    values = level_values(level(rows), [FINAL], CLIPS)
    assert [each.answer.final for each in values.sessions] == [100.0]
    assert values.end == 63.0  # when the last audio of the drain ends


def test_the_values_of_a_session() -> None:
    rows = [row(TEXT, at=20.0, stream=3, final=300.0, ended=26.0)]
    (found,) = level_values(level(rows), [FINAL], CLIPS).sessions
    assert found.answer == Answer("one", 25.0, 300.0, 300.0)
    assert (found.stream, found.seconds, found.lasted) == (3, 5.0, 6.0)
    assert found.took == 5.3
    assert found.within is found.prompt_within is True
    assert found.errors is not None
    assert (found.errors.wrong, found.errors.reference) == (0, 4)


def test_a_lost_session_is_over_every_limit() -> None:
    lost = [row(lost=Loss.HUNG, ended=35.0), row(lost=Loss.REFUSED, code=503)]
    early = row(TEXT, final=-900.0, premature=Premature.FINAL_BEFORE_SPEECH_END)
    made = level([*lost, early, row(TEXT, final=None)])
    values = level_values(made, [FINAL], CLIPS)
    assert [each.answer.final for each in values.sessions] == [math.inf] * 4
    assert [each.within for each in values.sessions] == [False] * 4
    assert [each.prompt_within for each in values.sessions] == [False] * 4
    assert values.sessions[0].took == 35.0
    assert judged_level(made, [FINAL], CLIPS).lost == (("hung", 1), ("refused", 1))


def test_a_session_that_the_client_cancelled_is_left_out() -> None:
    cut = row(lost=Loss.CANCELLED)
    made = level([row(TEXT), cut], alone=[row(TEXT), cut])
    values = level_values(made, [FINAL], CLIPS)
    assert len(values.sessions) == len(values.alone) == 1
    assert judged_level(made, [FINAL], CLIPS).lost == ()


def test_without_a_latency_budget_no_session_is_within() -> None:
    values = level_values(level([row(TEXT)]), [GOODPUT], CLIPS)
    assert values.sessions[0].within is None
    assert LEVELS["goodput"](values) is None


def test_a_session_must_be_within_every_latency_budget() -> None:
    first = latency_budget("first_partial_from_speech", p95="200ms")
    made = level([row(TEXT, final=100.0, first=300.0)])
    assert level_values(made, [FINAL], CLIPS).sessions[0].within is True
    assert level_values(made, [FINAL, first], CLIPS).sessions[0].within is False


def test_the_sessions_without_load() -> None:
    beside = Witness(
        before=(row(TEXT, final=200.0, at=-9.0),),
        through=(row(TEXT, final=600.0), row(lost=Loss.CANCELLED)),
        after=(row(TEXT, final=210.0, at=70.0),),
    )
    made = level(
        [row("go", final=300.0)],
        alone=[row(TEXT), row("go forward ten", final=140.0)],
        witness=beside,
    )
    values = level_values(made, [FINAL], CLIPS)
    assert [each.final for each in values.alone] == [100.0, 140.0]
    assert [each.wrong for each in values.alone_errors["one"]] == [0, 1]
    witness = values.witness
    assert [each.final for each in witness.before] == [200.0]
    assert [each.final for each in witness.through] == [600.0]
    assert [(each.final, each.at) for each in witness.after] == [(210.0, 75.0)]
    found = {name: metric(values) for name, metric in LEVELS.items()}
    known = {name: round(each.value, 3) for name, each in found.items() if each}
    assert known == {
        "goodput": 1.0,
        "keepup_ratio": 0.943,
        "load_inflation": 2.5,
        "witness_inflation": 3.0,
        "recovery": 70_000.0,
        "wer_under_load": 0.625,
    }


def test_levels_of_correct_and_faulty_servers() -> None:
    good = [row(TEXT, stream=n % 8) for n in range(400)]
    assert goodput(level(good)) is Verdict.PASS
    late = [row(TEXT, final=900.0)] * 20
    assert goodput(level([*good, *late])) is Verdict.FAIL
    refused = [row(lost=Loss.REFUSED, code=429)] * 20
    assert goodput(level([*good, *refused])) is Verdict.FAIL


def test_the_client_cannot_make_a_level_fail() -> None:
    good = [row(TEXT, stream=n % 8) for n in range(400)]
    delayed = [row(TEXT, final=900.0, delay=500.0)] * 20
    assert goodput(level([*good, *delayed])) is Verdict.INVALID
    busy = [row(TEXT, final=900.0, state=BUSY)] * 20
    assert goodput(level([*good, *busy])) is Verdict.INVALID
    little = [row(TEXT, final=900.0, delay=30.0)] * 20  # less than is tolerated
    assert goodput(level([*good, *little])) is Verdict.FAIL
    slow = [row(TEXT, final=2000.0, delay=500.0)] * 20
    assert goodput(level([*good, *slow])) is Verdict.FAIL
    lost = [row(lost=Loss.HUNG, delay=500.0, state=BUSY)] * 20
    assert goodput(level([*good, *lost])) is Verdict.FAIL


def test_the_delay_of_the_client_is_described() -> None:
    assert judged_level(level([row(TEXT)]), [FINAL], CLIPS).client is None
    late = row(TEXT, session="late", delay=70.0, state=ClientState(send=70.0))
    made = level([row(TEXT), late], alone=[row(TEXT, state=BUSY)])
    found = judged_level(made, [FINAL], CLIPS).client
    assert found is not None
    assert (found.late, found.overloaded, found.of) == (1, 1, 3)
    assert (found.max_ms, found.worst) == (70.0, "late")
    busy = level([row(TEXT, session="busy", state=BUSY)])
    client = judged_level(busy, [FINAL], CLIPS).client
    assert client is not None
    assert (client.max_ms, client.worst) == (0.0, "busy")


def test_the_numbers_of_a_judged_level() -> None:
    made = replace(level([row(TEXT)]), number=4)
    found = judged_level(made, [FINAL], CLIPS)
    assert (found.streams, found.number) == (8, 4)
