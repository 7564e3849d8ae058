"""Tests of the comparison of two runs, utterance by utterance."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.comparison import (
    change_line,
    failures,
    few_clips,
    summary,
    warnings,
)
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.verdicts import comparison
from pytest_realtime_asr.verdicts.change import Change, Outcome
from pytest_realtime_asr.verdicts.comparison import BESIDE, Comparison
from pytest_realtime_asr.verdicts.limits import Margin, Scale, parse_margins
from pytest_realtime_asr.verdicts.pairing import Values
from pytest_realtime_asr.verdicts.utterance_record import (
    Conditions,
    shared_test_name,
)
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.records import START, TEXT, Rows, lost, row, run, slower
from tests.support.runs import RUN
from tests.support.servers import CLIP, took

SLOW = "final_from_commit:5%"
SPEED = parse_margins(SLOW)
compare = partial(comparison.compare, "before.jsonl")


def only(found: Comparison, metric: str) -> Change:
    """Return the change of a metric."""
    (change,) = (each for each in found.changes if each.margin.metric == metric)
    return change


def outcome(before: Rows, now: Rows, limit: str) -> Outcome:
    """Return the outcome of comparing the only metric of a limit."""
    (margin,) = parse_margins(limit)
    return only(compare(before, now, [margin]), margin.metric).outcome


# Latency


def test_a_run_is_the_same_as_itself() -> None:
    found = compare(run(), run(), SPEED)
    assert found.verdict is Verdict.PASS
    change = only(found, "final_from_commit")
    assert (change.effect, change.interval, change.p) == (0, (0, 0), 1)
    assert change.outcome is Outcome.SAME
    assert change.before == change.now
    assert "worst" not in change_line(change)
    assert failures(found) == []


@pytest.mark.parametrize("seed", range(2, 12))
def test_an_equal_run_is_no_regression(seed: int) -> None:
    found = compare(run(), run(seed=seed), SPEED)
    assert only(found, "final_from_commit").outcome is Outcome.SAME
    assert failures(found) == []


@pytest.mark.parametrize("seed", range(2, 12))
def test_a_slower_run_is_a_regression(seed: int) -> None:
    found = compare(run(), run(seed=seed, way=slower(0.1)), SPEED)
    change = only(found, "final_from_commit")
    assert change.outcome is Outcome.WORSE
    assert change.effect == pytest.approx(0.1, abs=0.03)
    assert change.interval[0] < change.effect < change.interval[1]
    assert failures(found) == [f"compared with before.jsonl: {change_line(change)}"]


def test_too_few_clips_are_reported() -> None:
    """By chance, all n clips change in one direction with a probability of 2 / 2^n."""
    few = only(compare(run(4), run(4, way=slower(0.5)), SPEED), "final_from_commit")
    assert few.outcome is Outcome.UNDECIDED
    assert few_clips(few) == (
        "final_from_commit cannot show a change: it has 4 clips, but 1 comparison "
        "needs at least 6"
    )
    assert change_line(few).endswith(few_clips(few))
    for n in (5, 6):
        found = compare(run(n), run(n, way=slower(0.5)), SPEED)
        change = only(found, "final_from_commit")
        assert change.too_few is (n < 6)
        assert found.verdict is (Verdict.INCONCLUSIVE if n < 6 else Verdict.FAIL)
        assert (change.outcome is Outcome.WORSE) is (n >= 6)
        assert warnings(found) == [
            f"compared with before.jsonl: {few_clips(change)}"
        ] * (n < 6)
    again = compare(run(4) * 2, run(4, way=slower(0.5)) * 2, SPEED)
    assert only(
        again, "final_from_commit"
    ).too_few  # pairs of the same clip are no proof


def test_a_faster_run_is_better() -> None:
    found = compare(run(), run(seed=2, way=slower(-0.1)), SPEED)
    assert only(found, "final_from_commit").outcome is Outcome.BETTER
    assert failures(found) == []


@pytest.mark.parametrize(
    ("share", "limit", "expected"),
    [
        (0.03, "5%", Outcome.SAME),
        (0.03, "1%", Outcome.WORSE),
        (0.05, "5%", Outcome.UNDECIDED),
        (-0.03, "1%", Outcome.BETTER),
        (0.0, "0%", Outcome.UNDECIDED),
    ],
)
def test_an_effect_must_be_above_its_limit(
    share: float, limit: str, expected: Outcome
) -> None:
    now = run(seed=3, way=slower(share))
    assert outcome(run(), now, f"final_from_commit:{limit}") is expected


def test_a_limit_in_ms_limits_the_difference() -> None:
    now = run(way=lambda ms, number: ms + 30)
    change = only(
        compare(run(), now, parse_margins("final_from_commit:20ms")), SPEED[0].metric
    )
    assert change.effect == pytest.approx(30)
    assert change.outcome is Outcome.WORSE
    assert outcome(run(), now, "final_from_commit:0.04s") is Outcome.SAME


def test_a_single_pair_proves_nothing() -> None:
    assert outcome(run(1), run(1), "final_from_commit:5%") is Outcome.UNDECIDED
    late = run(1, way=slower(9))
    assert outcome(run(1), late, "final_from_commit:5%") is Outcome.UNDECIDED


def test_repeats_of_a_clip_are_not_independent() -> None:
    before = [row(0, 500.0 + n, started=START + timedelta(n)) for n in range(20)]
    now = [row(0, 700.0 + n, started=START + timedelta(n)) for n in range(20)]
    change = only(compare(before, now, SPEED), "final_from_commit")
    assert (change.n, change.outcome) == (20, Outcome.UNDECIDED)
    assert change.interval == (-1, math.inf)  # a ratio of 0 is the least
    assert change.p == 1


def test_none_of_many_tests_fails_by_chance() -> None:
    """Twenty tests have only noise, of 40 % of the value; the margin is 0."""

    def noisy(noise: Random) -> list[Rows]:
        def value() -> float:
            return noise.lognormvariate(6, 0.4)

        return [[row(n, value()) for n in range(12)] for _ in range(20)]

    limit = parse_margins("final_from_commit:0%")
    for before, now in zip(noisy(Random(5)), noisy(Random(6)), strict=True):
        found = compare(before, now, limit, tests=20)
        change = only(found, "final_from_commit")
        assert (change.family, failures(found)) == (20, [])
        alone = only(compare(before, now, limit), "final_from_commit")
        assert change.p == pytest.approx(min(1, 20 * alone.p), rel=0.1)


@pytest.mark.slow
def test_one_slow_test_of_many_is_found() -> None:
    for test in range(60):
        late = slower(0.2 if test == 7 else 0.0)
        now = run(16, seed=200 + test, way=late)
        found = compare(run(16, seed=100 + test), now, SPEED, tests=60)
        assert bool(failures(found)) is (test == 7)


def test_metrics_without_a_limit_do_not_count_as_comparisons() -> None:
    found = compare(run(), run(way=slower(0.25)), SPEED, tests=3)
    families = {each.margin.metric: (each.gated, each.family) for each in found.changes}
    assert families == {"final_from_commit": (True, 3), "wer": (False, 3)}
    two = compare(run(), run(), parse_margins("final_from_commit:5%,wer:1pp"), tests=3)
    assert {each.family for each in two.changes} == {6}


@pytest.mark.parametrize(
    ("test", "utterance", "name"),
    [
        ("a.py::test_it[go-forward]", "go-forward", "a.py::test_it[*]"),
        ("a.py::test_it[fast-go-forward]", "go-forward", "a.py::test_it[fast-*]"),
        ("a.py::test_it[go-go-8]", "go", "a.py::test_it[*-go-8]"),
        ("a.py::test_it[undergo]", "go", "a.py::test_it[undergo]"),
        ("go.py::test_go", "go", "go.py::test_go"),
        ("a.py::test_it[\\u8d70]", "\u8d70", "a.py::test_it[*]"),
        ("a.py::test_it[a.b]", "a.b", "a.py::test_it[*]"),
        ("a.py::test_it[a-b]", "a.b", "a.py::test_it[a-b]"),
    ],
)
def test_tests_that_differ_in_their_utterance_alone(
    test: str, utterance: str, name: str
) -> None:
    assert shared_test_name(test, utterance) == name


# What is lost


def test_lost_sessions_are_never_dropped() -> None:
    now = [lost(n) if n % 6 else each for n, each in enumerate(run())]
    change = only(compare(run(), now, SPEED), "final_from_commit")
    assert (change.n, change.lost) == (24, (0, 20))
    assert (change.effect, change.now) == (math.inf, math.inf)
    assert change.outcome is Outcome.WORSE
    assert "infinitely more > 5.0%" in change_line(change)


@pytest.mark.parametrize("limit", ["final_from_commit:5%", "wer:1pp"])
@pytest.mark.parametrize("now", [run(), run(way=slower(-0.5)), run(way=slower(0.5))])
@pytest.mark.parametrize("kept", [0, 4, 12])
def test_a_baseline_that_was_lost_is_no_comparison(
    limit: str, now: Rows, kept: int
) -> None:
    before = [each if n < kept else lost(n) for n, each in enumerate(run())]
    found = compare(before, now, parse_margins(limit))
    change = found.changes[0]
    assert (change.outcome, found.invalid) == (Outcome.INVALID, True)
    assert failures(found)[0].splitlines()[0] == (
        f"compared with before.jsonl: {change.name} INVALID: the baseline has a value "
        f"in only {kept} of 24 sessions ({24 - kept} hung), and its missing values "
        "could change the result; repair the baseline server, or record the baseline "
        "again"
    )
    assert failures(compare(before, now)) == []  # where no limit was set


def test_two_dead_servers_are_not_the_same() -> None:
    dead = [lost(n) if n % 6 else each for n, each in enumerate(run())]
    for limit in ("final_from_commit:5%", "wer:1pp"):
        assert outcome(dead, dead, limit) is Outcome.INVALID


def test_a_baseline_with_early_answers_is_no_comparison() -> None:
    early = {"final_from_commit": Premature.FINAL_BEFORE_COMMIT}
    before = [replace(each, premature=early) for each in run()]
    change = only(compare(before, run(), SPEED), "final_from_commit")
    assert change.outcome is Outcome.INVALID
    assert "in only 0 of 24 sessions (24 final before its commit)" in change_line(
        change
    )
    assert outcome(run(), before, "final_from_commit:5%") is Outcome.WORSE


def test_a_few_lost_sessions_of_the_baseline_change_nothing_for_the_better() -> None:
    before = [lost(n) if n < 2 else each for n, each in enumerate(run())]
    for limit in ("final_from_commit:5%", "wer:1pp"):
        assert outcome(before, run(), limit) is Outcome.SAME
    assert outcome(before, run(way=slower(-0.5)), SLOW) is Outcome.BETTER
    assert outcome(before, run(way=slower(0.5)), SLOW) is Outcome.WORSE
    # All that it was measured in is the same, and yet the rest could have been faster.
    few = [lost(n) if n < 10 else each for n, each in enumerate(run())]
    assert outcome(few, run(), SLOW) is Outcome.INVALID


def test_the_text_of_a_lost_baseline_may_have_been_right() -> None:
    before = [lost(n) if n < 8 else each for n, each in enumerate(run())]
    wrong = [
        row(n, 500.0, text=TEXT.replace("snow", "rain") if n < 8 else TEXT)
        for n in range(24)
    ]
    assert outcome(before, wrong, "wer:1pp") is Outcome.INVALID
    assert outcome(before, run(), "wer:1pp") is Outcome.SAME


def test_an_interval_that_contains_zero_decides_nothing() -> None:
    now = [lost(n) if n % 3 else each for n, each in enumerate(run())]
    change = only(compare(run(), now, SPEED), "final_from_commit")
    assert (change.effect, change.interval) == (math.inf, (0, math.inf))
    assert change.p < 0.05
    assert change.outcome is Outcome.UNDECIDED


def test_a_lost_session_has_all_its_words_deleted() -> None:
    now = [lost(n) if n < 8 else each for n, each in enumerate(run())]
    change = only(compare(run(), now, parse_margins("wer:1pp")), "wer")
    assert change.effect == pytest.approx(8 / 24)
    assert (change.outcome, change.lost) == (Outcome.WORSE, (0, 8))
    assert "worst clip-00: 0 -> 11 wrong of 11" in change_line(change)


def test_a_value_missing_now_is_worse_and_missing_before_is_invalid() -> None:
    now = run(way=lambda ms, number: ms)
    without = [replace(each, metrics={"final_from_commit": None}) for each in now]
    assert outcome(now, without, "final_from_commit:5%") is Outcome.WORSE
    assert outcome(without, now, "final_from_commit:5%") is Outcome.INVALID


def test_a_metric_that_no_row_has_is_reported_as_unmeasured() -> None:
    found = compare(run(), run(), parse_margins("connect:5%, wer:1pp"))
    assert found.unmeasured == ("connect",)
    assert warnings(found) == [
        "compared with before.jsonl: connect cannot show a change: no pair of sessions "
        "has values to compare"
    ]
    measured = [each.margin.metric for each in found.changes]
    assert measured == ["wer", "final_from_commit"]


def test_a_value_of_zero_has_no_ratio() -> None:
    early = run(way=lambda ms, number: ms - 600)
    found = compare(early, early, SPEED)
    assert failures(found) == [
        "compared with before.jsonl: "
        "final_from_commit INVALID: a ratio needs values greater than zero; "
        "give the margin in ms"
    ]
    assert outcome(early, early, "final_from_commit:5ms") is Outcome.SAME


# Word errors


def wrong(share: float, *, seed: int = 4) -> Rows:
    """Return a run in which a share of the words is wrong."""
    chance = Random(seed)
    said = [
        " ".join("x" if chance.random() < share else w for w in TEXT.split())
        for _ in range(40)
    ]
    return [row(number, 400.0, text=text) for number, text in enumerate(said)]


def test_word_errors() -> None:
    before, now = wrong(0.05), wrong(0.25, seed=7)
    change = only(compare(before, now, parse_margins("wer:1pp")), "wer")
    rates = [
        sum(each.errors.wrong for each in rows) / (40 * 11) for rows in (before, now)
    ]
    assert (change.before, change.now) == pytest.approx(tuple(rates))
    assert change.effect == pytest.approx(rates[1] - rates[0])
    assert change.outcome is Outcome.WORSE
    assert outcome(now, before, "wer:1pp") is Outcome.BETTER
    assert outcome(before, before, "wer:1pp") is Outcome.SAME
    assert outcome(before, wrong(0.05, seed=8), "wer:1pp") is Outcome.UNDECIDED


def test_the_worst_pair_is_shown_word_by_word() -> None:
    now = wrong(0.25, seed=7)
    found = compare(wrong(0.0), now, parse_margins("wer:1pp"))
    (why,) = failures(found)
    name = max(now, key=lambda each: each.errors.wrong).utterance
    assert f"\n{name} before\nref: {TEXT}\nhyp: {TEXT}\n{name} now\n" in why
    assert "S" in why.splitlines()[-1]


def test_words_recognised_in_silence_are_no_word_errors() -> None:
    silent = [
        replace(each, reference="", text="hm", errors=Errors(unspoken=1))
        for each in run()
    ]
    assert [c.margin.metric for c in compare(silent, silent).changes] == [
        "final_from_commit"
    ]


def test_synthetic_speech_is_labelled() -> None:
    rows = [replace(each, synthetic=True) for each in wrong(0.1)]
    label = "synthetic speech: a smoke test, not a measure of accuracy"
    assert label in change_line(only(compare(rows, rows), "wer"))
    assert label not in change_line(only(compare(wrong(0.1), wrong(0.1)), "wer"))
    assert label not in change_line(only(compare(rows, rows), "final_from_commit"))


def test_characters_are_called_by_their_name() -> None:
    rows = [replace(each, unit=TextUnit.CHARACTER) for each in wrong(0.1)]
    assert change_line(only(compare(rows, rows), "wer")).startswith("cer same, ")


# What can be compared at all


def changed(rows: Rows, **changes: Any) -> Rows:
    """Return the records with changed conditions."""
    return [
        replace(each, conditions=replace(each.conditions, **changes)) for each in rows
    ]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (changed(run(), corpus="decaf"), "corpus c0ffee -> decaf"),
        (changed(run(), pace=2.0), "pace 1.0 -> 2.0"),
        (changed(run(), chunk=0.02), "chunk 0.1 -> 0.02"),
        (changed(run(), concurrency=8), "sessions at a time 1 -> 8"),
        (changed(run(), perturbation="noise/1"), "perturbation none -> noise/1"),
        ([replace(each, dialect="openai") for each in run()], "dialect vllm -> openai"),
        (
            [replace(each, normalizer="basic/1") for each in run()],
            "normalizer whisper-english/1 -> basic/1",
        ),
        (
            changed(run(), pace=2.0, concurrency=8),
            "pace 1.0 -> 2.0; sessions at a time 1 -> 8",
        ),
    ],
)
def test_runs_under_other_conditions_are_not_compared(now: Rows, said: str) -> None:
    found = compare(run(), now, SPEED)
    why = f"no utterance could be paired: {said}"
    assert (found.pairs, found.changes) == (0, ())
    assert failures(found) == [f"compared with before.jsonl: {why}"]
    shown = compare(run(), now)
    assert failures(shown) == []
    assert summary(shown)[0].endswith(why)


def test_the_model_and_the_labels_are_shown_and_not_compared() -> None:
    now = changed(run(), model="voxtral-2", labels={"gpu": "A100", "tp": "2"})
    found = compare(run(), now, SPEED)
    assert found.context[0] == Values("model", ("voxtral",), ("voxtral-2",))
    assert summary(found)[0] == (
        "compared with before.jsonl: model voxtral -> voxtral-2; gpu H100 -> A100; "
        "tp - -> 2; 24 pairs"
    )
    assert only(found, "final_from_commit").n == 24
    same = summary(compare(run(), run()))[0]
    assert same.endswith(": model voxtral; gpu H100; 24 pairs")


def test_other_audio_is_another_utterance() -> None:
    now = [
        replace(each, audio="new") if n < 2 else each for n, each in enumerate(run())
    ]
    found = compare(run(), now, SPEED)
    assert found.pairs == 22
    assert found.alone_before == found.alone_now == ("clip-00", "clip-01")
    assert summary(found)[:2] == [
        "compared with before.jsonl: model voxtral; gpu H100; 22 pairs",
        "only before: 2 (clip-00, clip-01); only now: 2 (clip-00, clip-01)",
    ]
    assert failures(found) == []


def test_utterances_of_one_run_alone_are_counted_and_named() -> None:
    found = compare(run()[:20], [*run()[:5], *run()[6:]], SPEED)
    assert found.pairs == 19
    assert summary(found)[1] == (
        "only before: 1 (clip-05); only now: 4 (clip-20, clip-21, clip-22 and 1 more)"
    )


def test_a_test_of_which_nothing_can_be_paired_is_a_failure() -> None:
    found = compare(run()[:12], run()[12:], SPEED)
    (why,) = failures(found)
    assert why.startswith(
        "compared with before.jsonl: no utterance could be paired: "
        "only before: 12 (clip-00, "
    )


def test_a_test_that_the_earlier_run_does_not_have_is_new() -> None:
    found = compare([], run(), SPEED)
    assert summary(found) == [
        "compared with before.jsonl: the other run does not have this test"
    ]
    assert (failures(found), warnings(found)) == ([], [])


def test_a_test_may_have_its_clips_under_several_conditions() -> None:
    crowd = changed(run(way=slower(1)), concurrency=8)
    found = compare([*run(), *crowd], [*crowd, *run()], SPEED)
    assert only(found, "final_from_commit").n == 48
    assert only(found, "final_from_commit").outcome is Outcome.SAME
    fewer = compare([*run(), *crowd], run(), SPEED)
    assert (fewer.pairs, len(fewer.alone_before)) == (24, 24)


def test_a_clip_with_and_without_noise_is_one_clip() -> None:
    """Its differences have one cause, so it is no proof of its own."""
    noisy = [
        replace(each, utterance=f"noise/1+{each.utterance}")
        for each in changed(run(5), perturbation="noise/1")
    ]
    both = [*run(5), *noisy]
    assert only(compare(both, both), "final_from_commit").clips == 5


def test_repeats_of_a_clip_are_paired_in_the_order_of_their_start() -> None:
    first, second = row(0, 100.0), row(0, 200.0, started=START + timedelta(1))
    change = only(compare([second, first], [first, second]), "final_from_commit")
    assert (change.n, change.effect) == (2, 0)
    assert "worst" not in change_line(change)


# What is said


def test_the_line_states_effect_interval_and_worst_clip() -> None:
    found = compare(run(), run(way=slower(0.25)), SPEED)
    change = only(found, "final_from_commit")
    assert change_line(change) == (
        "final_from_commit worse: +25.0% > 5.0% (95% CI +25.0% to +25.0%; "
        f"p={change.p:.2g} of 1 comparison; n=24 pairs; 652 ms -> 815 ms); "
        "worst clip-17: 932 ms -> 1165 ms"
    )
    assert failures(found) == [f"compared with before.jsonl: {change_line(change)}"]
    assert change_line(change) in summary(found)


def test_without_a_limit_nothing_fails() -> None:
    found = compare(run(), run(way=slower(1)))
    assert only(found, "final_from_commit").outcome is Outcome.WORSE
    assert failures(found) == []
    assert failures(compare(run(), run(way=slower(1)), parse_margins("wer:1pp"))) == []


def test_the_same_rows_give_the_same_comparison() -> None:
    assert compare(run(), run(seed=2), SPEED) == compare(run(), run(seed=2), SPEED)


# Limits


def test_limits() -> None:
    assert parse_margins(" final_from_commit:5%, connect: 20 ms,wer:1.5pp,") == (
        Margin("final_from_commit", 0.05, Scale.SHARE),
        Margin("connect", 20.0, Scale.MS),
        Margin("wer", 0.015, Scale.POINTS),
    )
    assert parse_margins("connect:.5s") == (Margin("connect", 500.0, Scale.MS),)
    assert {margin.metric for margin in BESIDE} >= {"final_from_commit", "wer"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no limit; write one such as final_from_commit:5%"),
        ("final_from_commit", "'final_from_commit' is not a limit; write one such as"),
        ("final_from_commit:5", "'final_from_commit:5' is not a limit"),
        ("final_from_commit:-5%", "is not a limit"),
        ("final_from_commit:5pp", "write the limit of final_from_commit as 5% or 20ms"),
        (
            "wer:5%",
            "'wer:5%' has a wrong unit: write the limit of wer as 1pp, in percentage",
        ),
        ("latency:5%", "write lag_yaal in place of latency .or one of wer, connect"),
        ("loop_lag:5%", "'loop_lag:5%' names no metric that can be compared"),
        ("word_coverage:5%", "'word_coverage:5%' names no metric that can be compared"),
        (
            "wer:1pp,wer:2pp",
            "is a second limit of wer; keep only one limit .character 9.",
        ),
    ],
)
def test_invalid_limits_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_margins(text)


# The report of an earlier run


@pytest.fixture(scope="module")
def take(loop: Loop) -> Transcription:
    conditions = Conditions("c0ffee", 8.0, 0.1, 2, "fake", {"gpu": "none"})
    return replace(took(loop), conditions=conditions)


def test_what_was_written_is_read(take: Transcription, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    gone = replace(take, lost=Loss.HUNG, reason="no final came")
    append = jsonl.Appender(ReportFile(path), RUN)
    append("test_it", take)
    append("test_it", gone)
    found = jsonl.read(path)
    assert found == (jsonl.row("test_it", take), jsonl.row("test_it", gone))
    first, second = found
    assert (first.utterance, first.audio) == ("turn-right", CLIP.audio.digest)
    assert (first.conditions, first.synthetic) == (take.conditions, True)
    assert (second.lost, second.errors.deletions) == ("hung", 4)
    assert compare(found, found).pairs == 2


def test_both_rates_are_written(take: Transcription) -> None:
    shouted = replace(take, utterance=replace(CLIP, text="Turn RIGHT, and stop!"))
    written = json.loads(jsonl.line("test_it", shouted, RUN))
    assert (written["wer"], written["raw_wer"]) == (0, 0.75)
    assert written["raw_errors"]["substitutions"] == 3
    gone = json.loads(jsonl.line("test_it", replace(take, lost=Loss.HUNG), RUN))
    assert (gone["raw_wer"], gone["head_deletions"], gone["tail_deletions"]) == (
        1,
        3,
        3,
    )
    assert (gone["repeated"], gone["format"]) == ("", 3)


def test_audio_that_cannot_be_decoded_has_no_digest(
    take: Transcription, tmp_path: Path
) -> None:
    broken = replace(take, utterance=replace(CLIP, source=tmp_path / "none.wav"))
    assert jsonl.row("test_it", broken).audio == ""


def test_a_line_that_was_cut_off_is_left_out(
    take: Transcription, tmp_path: Path
) -> None:
    path, line = tmp_path / "out.jsonl", jsonl.line("test_it", take, RUN)
    for cut in (1, len(line) // 2, len(line) - 1):
        path.write_bytes(line * 2 + line[:cut])
        assert len(jsonl.read(path)) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", ": the report has no completed utterance"),
        ('{"format": 2', ": the report has no completed utterance"),
        ("\n\nnonsense\n", ":3: is not a line of a report: JSON is malformed"),
        ('{"test": "a"}\n', ":1: is not a line of a report: .*`format`"),
        ('{"format": 2}\n', ":1: is not a line of a report: .*`test`"),
        ('{"format": 1}\n', ":1: is not a line of a report: .*`test`"),
        ('{"format": 3}\n', ":1: is not a line of a report: .*`test`"),
        ('{"kind": "run", "format": 3}\n', ": the report has no completed utterance"),
        ('{"format": 0}\n', ":1: the line has format 0; .* reads the formats 1 to 3"),
        ('{"format": 4}\n', ":1: the line has format 4; .* reads the formats 1 to 3"),
    ],
)
def test_a_report_that_cannot_be_read(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"out.jsonl{why}"):
        jsonl.read(path)


def test_a_report_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        jsonl.read(tmp_path / "none.jsonl")
