"""Budgets, what they make of samples, and the line that says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.budgets import (
    Budget,
    BudgetError,
    Finding,
    Judgement,
    Limit,
    Over,
    Sample,
    Stat,
    Verdict,
    WerFinding,
    WerRow,
    budget,
    details,
    headline,
    judge,
    judge_wer,
    parse_duration,
    wer_threshold,
    worst,
)
from pytest_realtime_asr.metrics.accuracy import NONE, Errors, Normalizer

PASS, FAIL = Verdict.PASS, Verdict.FAIL
INCONCLUSIVE, INVALID = Verdict.INCONCLUSIVE, Verdict.INVALID
METRIC = "final_from_commit"


def samples(*values: float, late: float = 0.8) -> list[Sample]:
    return [
        Sample(f"s{number}", value, late_ms=late) for number, value in enumerate(values)
    ]


def one(made: Budget, given: list[Sample], **options: float) -> Finding:
    judgement = judge(made, given, pace=options.get("pace", 1.0))
    (finding,) = judgement.findings
    assert judgement.verdict is finding.verdict
    return finding


# Writing a budget


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("800ms", 800),
        ("1.2s", 1200),
        (" 1.2 s ", 1200),
        (".5s", 500),
        ("2.s", 2000),
        ("0ms", 0),
        ("10min", 600_000),
        (" .5 min", 30_000),
        (timedelta(seconds=1, microseconds=500), 1000.5),
        (timedelta(0), 0),
    ],
)
def test_durations(written: str | timedelta, ms: float) -> None:
    assert parse_duration(written) == ms


@pytest.mark.parametrize("written", [800, 0.8, True, None, "800", "", "ms", "s800"])
def test_a_bare_number_is_told_to_have_a_unit(written: object) -> None:
    with pytest.raises(BudgetError, match="with its unit, such as '800ms'"):
        parse_duration(written)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "written",
    [
        "-5ms",
        "nan ms",
        "infs",
        "1e3ms",
        "1,2s",
        "1m",
        "1mins",
        "1min 2s",
        "1.2.3s",
        "٣s",
    ],
)
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(BudgetError, match="is not a duration"):
        parse_duration(written)


@pytest.mark.parametrize(
    "written", [timedelta(seconds=-1), "9" * 400 + "ms", "9" * 305 + "min"]
)
def test_a_duration_is_neither_negative_nor_endless(written: str | timedelta) -> None:
    with pytest.raises(BudgetError, match="negative or too long"):
        parse_duration(written)


def test_a_budget_keeps_its_limits_in_one_order() -> None:
    made = budget(METRIC, mean="1s", max="3s", p50="500ms", over="module")
    assert made == Budget(
        METRIC,
        (Limit(Stat.P50, 500), Limit(Stat.MAX, 3000), Limit(Stat.MEAN, 1000)),
        None,
        Over.MODULE,
    )
    assert budget(METRIC, p95="1s", p99=None, confidence=0.9).confidence == 0.9


def refused(make: Callable[[], object], *parts: str) -> None:
    with pytest.raises(BudgetError) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    for part in parts:
        assert part in str(caught.value)


def test_an_unknown_metric_is_told_the_valid_ones() -> None:
    refused(
        lambda: budget("ttft", p95="1s"), "'ttft'", "connect, session_ready", METRIC
    )


def test_a_metric_of_the_instrument_has_no_budget() -> None:
    for name in ("sender_lateness", "loop_lag", "pacing_error"):
        refused(lambda n=name: budget(n, p95="1s"), name, "not the server", METRIC)  # type: ignore[misc]
    assert budget("send_blocked", max="1s").metric == "send_blocked"


def test_an_unknown_keyword_is_told_the_valid_ones() -> None:
    refused(
        lambda: budget(METRIC, p94="1s", q="1s"),
        "p94, q",
        "p50, p90, p95, p99, max, mean, confidence, over",
    )


def test_a_budget_needs_a_limit() -> None:
    refused(lambda: budget(METRIC), "p50, p90, p95, p99, max, mean")


def test_what_cannot_be_proven_has_no_confidence() -> None:
    for stat in ("max", "mean"):
        refused(
            lambda s=stat: budget(METRIC, p95="1s", confidence=0.95, **{s: "2s"}),  # type: ignore[misc]
            "no sample proves a maximum",
        )


@pytest.mark.parametrize("confidence", [95, 0, 1, -0.1, math.nan, True, "0.95"])
def test_a_confidence_is_a_share(confidence: float) -> None:
    refused(lambda: budget(METRIC, p95="1s", confidence=confidence), "write 0.95")
    refused(lambda: wer_threshold(0.1, confidence=confidence), "write 0.95")


def test_a_budget_is_pooled_over_nothing_but_the_module() -> None:
    refused(lambda: budget(METRIC, p95="1s", over="session"), "'session'", "module")


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_sample_has_a_real_latency(value: float) -> None:
    with pytest.raises(ValueError, match="is not a latency"):
        Sample("s", value)


@pytest.mark.parametrize("late", [math.nan, -1])
def test_a_sample_has_a_real_lateness(late: float) -> None:
    with pytest.raises(ValueError, match="is not a lateness"):
        Sample("s", 1, late_ms=late)


# Judging


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"p50": "30ms"}, PASS),  # at most the limit passes
        ({"p50": "29.9ms"}, FAIL),
        ({"max": "50ms"}, PASS),
        ({"max": "49ms"}, FAIL),
        ({"mean": "30ms"}, PASS),
        ({"mean": "29ms"}, FAIL),
        ({"p95": "50ms", "p50": "29ms"}, FAIL),  # the worst counts
        ({"p99": "50ms", "p90": "50ms"}, PASS),
    ],
)
def test_the_observed_statistic_is_judged(
    limits: dict[str, str], expected: Verdict
) -> None:
    judgement = judge(budget(METRIC, **limits), samples(10, 20, 30, 40, 50))  # type: ignore[arg-type]
    assert judgement.verdict is expected
    assert len(judgement.findings) == len(limits)


def test_the_fields_of_a_finding() -> None:
    given = [*samples(*range(100, 118), 1140), Sample("hung", None, lost="hung")]
    found = one(budget(METRIC, p90="800ms"), given)
    assert found.verdict is PASS
    assert (found.n, found.over, found.lost) == (20, 2, (("hung", 1),))
    assert found.observed == 117
    assert found.interval == (114, math.inf)
    assert (found.needed, found.reason) == (61, "")
    assert not found.proven
    assert [sample.label for sample in found.worst] == ["hung", "s18", "s17"]


def test_a_lost_session_is_over_every_limit() -> None:
    given = [*samples(1, 1, 1), Sample("x", 5, lost="no final")]
    for limits in ({"max": "9s"}, {"p99": "9s"}, {"mean": "9s"}):
        found = one(budget(METRIC, **limits), given)  # type: ignore[arg-type]
        assert (found.verdict, found.observed) == (FAIL, math.inf)
    assert one(budget(METRIC, p50="9s"), given).verdict is PASS


def test_no_sample_is_no_pass() -> None:
    found = one(budget(METRIC, p95="800ms"), [])
    assert found.verdict is FAIL
    assert headline(found) == (
        "final_from_commit p95 <= 800 ms: judged no session: nothing was measured"
    )


def test_what_cannot_be_measured_is_no_pass() -> None:
    given = [*samples(1, 2), Sample("a", None), Sample("b", None, lost="refused")]
    found = one(budget("final_from_speech_end", max="1s"), given)
    assert found.verdict is FAIL
    assert found.worst == (given[2],)
    assert headline(found) == (
        "final_from_speech_end max <= 1000 ms: cannot be measured in 1 of 4 sessions: "
        "needs the end of speech (word times) and a final"
    )


def test_the_worst_verdict_counts() -> None:
    assert worst([PASS, INCONCLUSIVE]) is INCONCLUSIVE
    assert worst([INVALID, INCONCLUSIVE]) is INVALID
    assert worst([INVALID, FAIL, PASS]) is FAIL
    assert worst([]) is FAIL
    assert Judgement(budget(METRIC, p50="1s"), ()).verdict is FAIL


# Lateness


def test_a_late_sample_that_decides_makes_the_verdict_invalid() -> None:
    given = [*samples(*[100] * 9), Sample("late", 840, late_ms=48)]
    found = one(budget(METRIC, max="800ms"), given)
    assert (found.verdict, found.proven, found.excused) == (INVALID, False, 1)
    assert headline(found) == (
        "final_from_commit max = 840 ms > 800 ms (n=10, 1 over); INVALID, the server "
        "is not blamed: the instrument was late in 1 of 10 sessions (up to 48 ms; more "
        "than 40 ms is late)"
    )


def test_a_late_sample_that_decides_nothing_leaves_the_failure() -> None:
    given = [*samples(*[100] * 8, 900), Sample("late", 840, late_ms=48)]
    found = one(budget(METRIC, max="800ms"), given)
    assert (found.verdict, found.excused, found.late_ms) == (FAIL, 1, 0.8)
    assert headline(found) == (
        "final_from_commit max = 900 ms > 800 ms (n=10, 2 over; proven); server, not "
        "instrument (late 0.8 ms; 1 more over but late, not counted against it)"
    )


@pytest.mark.parametrize(
    ("limit", "value", "late", "expected"),
    [
        ("800ms", 820, 40, FAIL),  # 5 % of the limit is not late
        ("800ms", 820, 40.1, INVALID),
        ("800ms", 900, 40.1, FAIL),  # it would be over without our lateness too
        ("20ms", 22, 5, FAIL),  # nor are 5 ms
        ("20ms", 22, 5.1, INVALID),
    ],
)
def test_what_is_late(limit: str, value: float, late: float, expected: Verdict) -> None:
    given = samples(value, late=late)
    assert one(budget(METRIC, max=limit), given).verdict is expected
    assert one(budget(METRIC, mean=limit), given).verdict is expected


def test_lateness_does_not_excuse_a_lost_session() -> None:
    given = [*samples(1, 1), Sample("hung", None, lost="hung", late_ms=5000)]
    found = one(budget(METRIC, max="1s"), given)
    assert (found.verdict, found.excused, found.late_ms) == (FAIL, 0, 5000)


def test_lateness_is_taken_off_in_a_mean() -> None:
    late = Sample("late", 1150, late_ms=100)
    assert one(budget(METRIC, mean="1s"), [*samples(900), late]).verdict is INVALID
    assert one(budget(METRIC, mean="1s"), [*samples(1100), late]).verdict is FAIL


@pytest.mark.parametrize("value", [100, 900])
def test_another_pace_is_not_real_time(value: float) -> None:
    found = one(budget(METRIC, p95="800ms"), samples(value), pace=4)
    assert found.verdict is INVALID
    assert headline(found).endswith(
        "; INVALID, the server is not blamed: a latency at pace 4 is not real time"
    )


def test_sessions_that_overlap_prove_nothing() -> None:
    judgement = judge(budget(METRIC, p95="800ms"), samples(900), parallel=True)
    assert judgement.verdict is INVALID
    assert "other workers" in judgement.findings[0].reason


SAMPLE = st.builds(
    Sample,
    st.just("s"),
    st.one_of(st.floats(-100, 2000), st.just(math.inf)),
    lost=st.sampled_from(["", "", "hung"]),
    late_ms=st.floats(0, 200),
)
BUDGET = st.builds(
    lambda stat, ms, confidence: Budget(
        METRIC, (Limit(stat, ms),), confidence if stat.provable else None
    ),
    st.sampled_from(Stat),
    st.floats(0, 1500),
    st.sampled_from([None, 0.5, 0.9]),
)
MANY = st.lists(SAMPLE, min_size=1, max_size=40)


@given(BUDGET, MANY)
def test_lateness_never_turns_a_pass_into_anything_else(
    made: Budget, given: list[Sample]
) -> None:
    punctual = one(made, [replace(sample, late_ms=0) for sample in given])
    late = one(made, given)
    assert punctual.verdict is not INVALID
    assert late.verdict in (punctual.verdict, INVALID)
    if punctual.verdict is PASS:
        assert late.verdict is PASS
    assert late.observed == punctual.observed
    assert "\n" not in headline(late)


@given(BUDGET, MANY, st.floats(0, 500))
def test_a_slower_server_never_does_better(
    made: Budget, given: list[Sample], slower: float
) -> None:
    order = [PASS, INCONCLUSIVE, FAIL]
    punctual = [replace(sample, late_ms=0) for sample in given]
    slow = [replace(sample, value=sample.counted + slower) for sample in punctual]
    before, after = one(made, punctual), one(made, slow)
    assert order.index(before.verdict) <= order.index(after.verdict)


@given(BUDGET, MANY)
def test_what_a_finding_says_fits_together(made: Budget, given: list[Sample]) -> None:
    found = one(made, given)
    assert found.n == len(given)
    assert found.over == sum(each.counted > found.limit.ms for each in given)
    assert sum(count for _, count in found.lost) <= found.over
    assert found.excused <= found.over
    if found.interval is not None and found.observed is not None:
        assert found.interval[0] <= found.observed <= found.interval[1]
    if made.confidence is not None:
        assert found.proven is (found.verdict in (PASS, FAIL))


# Proof


def test_with_a_confidence_only_proof_passes() -> None:
    made = budget(METRIC, p95="800ms", confidence=0.95)
    short = one(made, samples(*[251] * 24))
    assert (short.verdict, short.needed) == (INCONCLUSIVE, 59)
    assert headline(short) == (
        "final_from_commit p95 = 251 ms <= 800 ms (95% CI 251-inf; n=24, 0 over; not "
        "proven: needs 59); INCONCLUSIVE: 35 more sessions within the limit would "
        "prove it"
    )
    assert one(made, samples(*[251] * 59)).verdict is PASS
    assert one(made, samples(*[251] * 24, *[900] * 2)).verdict is INCONCLUSIVE
    assert one(made, samples(*[251] * 24, *[900] * 5)).verdict is FAIL


def test_lateness_that_stands_between_a_sample_and_its_proof_is_said() -> None:
    made = budget(METRIC, p95="800ms", confidence=0.95)
    given = [*samples(*[251] * 58), Sample("late", 840, late_ms=50)]
    assert one(made, given).verdict is INVALID
    assert one(made, [*given, *samples(*[251] * 40)]).verdict is PASS


def test_without_a_confidence_it_is_said_whether_the_sample_proves_it() -> None:
    made = budget(METRIC, p95="800ms")
    assert headline(one(made, samples(*[251] * 24))) == (
        "final_from_commit p95 = 251 ms <= 800 ms (95% CI 251-inf; n=24, 0 over; not "
        "proven: needs 59)"
    )
    assert headline(one(made, samples(*[251] * 59))) == (
        "final_from_commit p95 = 251 ms <= 800 ms (95% CI 251-inf; n=59, 0 over; "
        "proven)"
    )
    assert headline(one(made, samples(251, 900))) == (
        "final_from_commit p95 = 900 ms > 800 ms (95% CI 251-inf; n=2, 1 over; not "
        "proven); server, not instrument (late 0.8 ms)"
    )


def test_a_proof_does_not_rest_on_late_samples() -> None:
    made = budget(METRIC, p50="800ms")
    late = [Sample("late", 900, late_ms=100)] * 4
    assert one(made, samples(*[900] * 5)).proven
    found = one(made, [*samples(*[900] * 5), *late])
    assert (found.verdict, found.proven) == (FAIL, False)


# The line


def test_the_line_of_a_failure() -> None:
    given = samples(*[300] * 51, *[980] * 5, 1140, 1140, 1310)
    given.append(Sample("x", None, lost="hung"))
    assert headline(one(budget(METRIC, p95="800ms"), given)) == (
        "final_from_commit p95 = 1140 ms > 800 ms (95% CI 980-inf; n=60, 9 over, 1 "
        "hung; proven); server, not instrument (late 0.8 ms)"
    )


def test_the_line_names_all_reasons_of_a_loss() -> None:
    lost = [Sample("x", None, lost=why) for why in ("hung", "refused", "hung\n")]
    line = headline(one(budget(METRIC, p50="1s"), [*samples(1), *lost]))
    assert line == (
        "final_from_commit p50 = inf ms > 1000 ms (95% CI -inf to inf; n=4, 3 over, 2 "
        "hung, 1 refused; not proven); server, not instrument (late 0 ms)"
    )


def test_the_line_of_a_maximum_and_of_a_mean() -> None:
    assert headline(one(budget(METRIC, max="1s"), samples(12.34))) == (
        "final_from_commit max = 12.3 ms <= 1000 ms (n=1, 0 over; not proven: no "
        "sample proves a maximum)"
    )
    assert headline(one(budget(METRIC, mean="1s"), samples(12, 12.5))) == (
        "final_from_commit mean = 12.2 ms <= 1000 ms (n=2, 0 over)"
    )
    assert headline(one(budget(METRIC, mean="1s"), samples(1200))) == (
        "final_from_commit mean = 1200 ms > 1000 ms (n=1, 1 over); server, not "
        "instrument (late 0.8 ms)"
    )


def test_numbers_that_differ_look_different() -> None:
    def compared(value: float) -> str:
        return headline(one(budget(METRIC, max="800ms"), samples(value)))[18:45]

    assert compared(800).startswith("max = 800 ms <= 800 ms (")
    assert compared(800.4).startswith("max = 800.4 ms > 800 ms (")
    assert compared(800.0004).startswith("max = 800.0004 ms > 800 ms ")
    assert compared(math.nextafter(800, 900)).startswith("max = 800 ms > 800 ms ")
    assert compared(-0.01).startswith("max = 0 ms <= 800 ms ")


def test_signed_latencies_have_a_readable_interval() -> None:
    line = headline(one(budget(METRIC, p50="1s"), samples(*[-50] * 10, *[-20] * 10)))
    assert "p50 = -50 ms <= 1000 ms (95% CI -50 to -20; " in line


# Word error rate


def rows(*texts: tuple[str, str | None], language: str = "en") -> list[WerRow]:
    return [
        WerRow(f"s{number}", f"u{number}", said, heard, language)
        for number, (said, heard) in enumerate(texts)
    ]


GOOD = ("turn left at the next light", "turn left at the next light")
BAD = ("turn left at the next light", "turn right at the next light please")


def test_a_threshold_is_a_share() -> None:
    for limit in (12, -0.1, math.nan, True, "0.1"):
        refused(lambda v=limit: wer_threshold(v), "write 0.12 for 12 %")  # type: ignore[misc]
    assert wer_threshold(0).limit == 0
    assert wer_threshold(1, confidence=0.9).confidence == 0.9


def test_a_threshold_knows_its_normalizers() -> None:
    assert wer_threshold(0.1).normalizer is None
    assert wer_threshold(0.1, normalizer="none").normalizer is NONE
    own = Normalizer("mine", "1", str.upper)
    assert wer_threshold(0.1, normalizer=own).normalizer is own
    refused(
        lambda: wer_threshold(0.1, normalizer="nemo"),
        "'nemo'",
        "none, basic, whisper-english",
    )


@pytest.mark.parametrize(("limit", "expected"), [(1 / 12, PASS), (0.08, FAIL)])
def test_the_pooled_rate_is_judged(limit: float, expected: Verdict) -> None:
    given = rows(GOOD, ("turn left at the next light", "turn right at the next light"))
    found = judge_wer(wer_threshold(limit), given)
    assert found.verdict is expected
    assert found.observed == 1 / 12
    assert found.errors == Errors(11, 1, 0, 0)
    assert not found.proven


def test_the_line_of_a_rate() -> None:
    found = judge_wer(wer_threshold(0.12, normalizer="basic"), rows(GOOD, BAD))
    assert found.interval is not None
    low, high = found.interval
    assert headline(found) == (
        f"wer = 0.167 > 0.120 (95% CI {low:.3f}-{high:.3f}; n=2, 12 words, S=1 D=0 "
        "I=1; basic/1; not proven)"
    )


def test_the_worst_utterances_are_shown_with_their_texts() -> None:
    given = rows(GOOD, BAD, ("go", None), ("one two three", "a b c"), ("x y", "x z"))
    found = judge_wer(wer_threshold(0.12, normalizer="none"), given)
    assert [row.label for row, _ in found.worst] == ["s3", "s1", "s2"]
    assert details(found) == "\n".join(
        [
            "s3 u3: 3 wrong of 3",
            "ref: one two three",
            "hyp: a   b   c",
            "     S   S   S",
            "s1 u1: 2 wrong of 6",
            "ref: turn left  at the next light ******",
            "hyp: turn right at the next light please",
            "          S                       I",
            "s2 u2: 1 wrong of 1",
            "ref: go",
            "hyp: **",
            "     D",
        ]
    )
    assert details(judge_wer(wer_threshold(0.1), rows(GOOD))) == ""


def test_a_lost_transcription_is_all_deleted() -> None:
    said, heard = GOOD
    hung = WerRow("s9", "u9", said, heard, "en", lost="hung")
    found = judge_wer(wer_threshold(0.12), [*rows(GOOD, (said, None)), hung])
    assert found.observed == 2 / 3
    assert sorted(found.lost) == [("hung", 1), ("no final", 1)]
    assert ", 1 hung" in headline(found)
    assert "s9 u9: 6 wrong of 6, hung\n" in details(found)


def test_words_where_nothing_was_said_are_said() -> None:
    found = judge_wer(wer_threshold(0.12), rows(GOOD, ("", "thank you")))
    assert (found.verdict, found.observed) == (PASS, 0)
    assert "I=0, 2 heard where nothing was said" in headline(found)
    assert details(found).startswith("s1 u1: 2 wrong of 0\n")


def test_no_row_and_no_reference_are_no_pass() -> None:
    nothing = judge_wer(wer_threshold(0.12), [])
    assert nothing.verdict is FAIL
    assert headline(nothing) == (
        "wer <= 0.120: judged no session: nothing was measured"
    )
    silent = judge_wer(wer_threshold(0.12), rows(("", "hello")))
    assert silent.verdict is FAIL
    assert silent.errors == Errors(unspoken=1)
    assert headline(silent) == "wer <= 0.120: cannot be measured: needs a reference"


def test_scripts_without_spaces_have_a_character_error_rate() -> None:
    han = ("今日は晴れ", "今日は雨れ")
    line = headline(judge_wer(wer_threshold(0.5), rows(han, language="ja")))
    assert line.startswith("cer = 0.200 <= 0.500 (")
    assert ", 5 characters, " in line
    mixed = judge_wer(wer_threshold(0.5), rows(han, GOOD, language=""))
    assert mixed.name == "wer+cer"
    assert len(mixed.normalizers) == 2
    assert ", 11 words and characters, " in headline(mixed)


def test_a_rate_is_proven_where_its_interval_is_clear_of_the_limit() -> None:
    proof = wer_threshold(0.12, confidence=0.95)
    assert judge_wer(proof, rows(*[GOOD] * 40)).verdict is PASS
    assert judge_wer(proof, rows(*[BAD] * 40)).verdict is FAIL
    between = judge_wer(proof, rows(*[BAD] * 16, *[GOOD] * 24))
    assert between.verdict is INCONCLUSIVE
    assert headline(between).endswith(
        "; not proven); INCONCLUSIVE: the interval holds the limit; more utterances "
        "would narrow it"
    )
    assert judge_wer(wer_threshold(0.12), rows(*[GOOD] * 40)).proven


def test_a_few_utterances_prove_nothing() -> None:
    proof = wer_threshold(0.12, confidence=0.95)
    assert judge_wer(proof, rows(*[GOOD] * 20)).verdict is PASS
    few = judge_wer(proof, rows(*[GOOD] * 19))
    assert few.verdict is INCONCLUSIVE
    assert headline(few).endswith("fewer than 20 utterances prove nothing")
    again = [replace(row, utterance="u0") for row in rows(*[GOOD] * 40)]
    assert judge_wer(proof, again).verdict is INCONCLUSIVE
    assert judge_wer(proof, again).interval == (0, math.inf)
    assert "95% CI 0.000-inf" in headline(judge_wer(proof, again))


TEXT = st.text("ab ", max_size=12)


@given(
    st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=12),
    st.floats(0, 1),
    st.sampled_from([None, 0.9]),
)
def test_a_rate_lies_in_its_interval(
    texts: list[tuple[str, str | None]], limit: float, confidence: float | None
) -> None:
    found = judge_wer(wer_threshold(limit, confidence=confidence), rows(*texts))
    assert isinstance(found, WerFinding)
    assert "\n" not in headline(found)
    if found.interval is not None and found.observed is not None:
        assert found.interval[0] <= found.observed <= found.interval[1]
    assert found.verdict is not INVALID
