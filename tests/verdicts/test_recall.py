"""The recall of keywords against its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from scipy import stats as theirs

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.keywords import Keywords, recognised
from pytest_realtime_asr.metrics.normalizers import BASIC, Normalizer
from pytest_realtime_asr.report.messages import headline, standing, verdict
from pytest_realtime_asr.report.recall import details
from pytest_realtime_asr.stats import share_interval
from pytest_realtime_asr.verdicts.budgets import RecallThreshold, keyword_recall
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.reasons import MoreKeywords, Simple
from pytest_realtime_asr.verdicts.recall import judge_recall, missing_keywords
from pytest_realtime_asr.verdicts.verdict import Verdict

SOURCE = silence(0.1)


@dataclass(frozen=True)
class Row:
    """What was said and heard in one session."""

    label: str
    utterance: Utterance
    hypothesis: str | None
    lost: str = ""

    def recognise(
        self, keywords: Sequence[str], normalizer: Normalizer | None
    ) -> Keywords:
        said = self.utterance
        return recognised(
            keywords,
            said.text,
            self.hypothesis,
            normalizer=normalizer,
            language=said.language,
        )


def rows(*pairs: tuple[str, str | None]) -> list[Row]:
    return [
        Row(f"s{n}", Utterance(f"u{n}", said, SOURCE, language="en"), heard)
        for n, (said, heard) in enumerate(pairs, 1)
    ]


GOOD = ("Anna has 41729", "anna has 4 1 7 2 9")
BAD = ("call Anna please", "call Hannah please")


def limit(
    at_least: float, *keywords: str, sure: float | None = None
) -> RecallThreshold:
    return keyword_recall(
        keywords or ("Anna", "41729"), at_least=at_least, confidence=sure
    )


def test_the_observed_recall_is_judged() -> None:
    found = judge_recall(limit(0.6), rows(GOOD, BAD))
    assert (found.verdict, found.n, found.missed) == (Verdict.PASS, 3, 1)
    assert found.observed == pytest.approx(2 / 3)
    assert found.utterances == 2
    assert not found.proven
    assert judge_recall(limit(0.7), rows(GOOD, BAD)).verdict is Verdict.FAIL
    assert judge_recall(limit(1), rows(GOOD)).verdict is Verdict.PASS
    assert judge_recall(limit(1), rows(BAD)).proven


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        (30, 0, Verdict.PASS),  # 59 needed at 0.95; 60 keywords are said
        (10, 0, Verdict.INCONCLUSIVE),
        (30, 1, Verdict.INCONCLUSIVE),
        (10, 10, Verdict.FAIL),
    ],
)
def test_a_proof_is_exact(good: int, bad: int, expected: Verdict) -> None:
    found = judge_recall(limit(0.95, sure=0.95), rows(*[GOOD] * good, *[BAD] * bad))
    assert found.verdict is expected
    n, missed = 2 * good + bad, bad
    test = theirs.binomtest(missed, n, 0.05, alternative="less")
    assert (expected is Verdict.PASS) == (test.pvalue <= 0.05)
    test = theirs.binomtest(missed, n, 0.05, alternative="greater")
    assert (expected is Verdict.FAIL) == (test.pvalue <= 0.05)
    assert found.proven == (expected is not Verdict.INCONCLUSIVE)
    interval = theirs.binomtest(n - missed, n).proportion_ci(0.95)
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_what_a_proof_needs() -> None:
    found = judge_recall(limit(0.95, sure=0.95), rows(*[GOOD] * 10))
    assert (found.needed, found.reason) == (59, MoreKeywords(39))
    assert "; 39 more spoken keywords, all recognised, would prove that" in headline(
        found
    )
    assert standing(found) == "INCONCLUSIVE (not proven: n=20, needs 59)"
    clips = [row.utterance for row in rows(*[GOOD] * 10)]
    assert missing_keywords(limit(0.95, sure=0.95), clips) == 39
    assert missing_keywords(limit(0.95), clips) == 0


def test_a_lost_session_misses_its_keywords() -> None:
    given = [
        *rows(GOOD, (GOOD[0], None)),
        Row("s9", rows(BAD)[0].utterance, None, "hung"),
    ]
    found = judge_recall(limit(0.9), given)
    assert (found.n, found.missed) == (5, 3)
    assert sorted(found.lost) == [("hung", 1), ("no final", 1)]
    assert "3 missed, 1 no final, 1 hung" in headline(found)


def test_recall_without_a_spoken_keyword_fails() -> None:
    found = judge_recall(limit(0.9, "Bob"), rows(GOOD))
    assert (found.verdict, found.reason) == (Verdict.FAIL, Simple.NO_KEYWORD)
    assert verdict(found) == (
        "FAIL (not proven: n=0): keyword_recall >= 0.900: no reference contains any of "
        "the keywords (in no reference: 'Bob')"
    )
    assert judge_recall(limit(0.9), []).reason is Simple.NOTHING_JUDGED


def test_the_line_and_the_misses() -> None:
    found = judge_recall(limit(0.9, "Anna", "41729", "Bob"), rows(GOOD, BAD))
    low, high = found.interval or (0, 0)
    assert headline(found) == (
        f"keyword_recall = 0.667 < 0.900 (95% CI {low:.3f}-{high:.3f}; n=3 in 2 "
        "utterances, 1 missed; english/1-0.1.15; not proven; in no reference: 'Bob')"
    ).replace("english/1-0.1.15", found.normalizers[0])
    assert details(found) == (
        "  u2  s2  missed: 'Anna'\n    text: 'call Hannah please'"
    )
    assert details(found, texts=False, paths={"s2": "2.jsonl"}) == (
        "  u2  s2  missed: 1\n    trace: 2.jsonl"
    )
    many = details(judge_recall(limit(0.9), rows(*[BAD] * 22))).splitlines()
    assert many[-1] == "  and 2 more utterances with missed keywords"


@pytest.mark.parametrize(
    ("said", "heard", "keyword", "found", "missed"),
    [
        ("four one seven two nine", "41729", "41729", 1, 0),
        ("my pin is 41729", "417290", "41729", 0, 1),
        ("my pin is 41729", "1 41729 0", "41729", 1, 0),
        ("36 people", "136 people", "36", 0, 1),
        ("Anna and Anna", "anna", "Anna", 1, 1),
        ("Anna", "anna anna", "Anna", 1, 0),
        ("Annabel", "annabel", "Anna", 0, 0),
        ("Doctor Smith", "Dr. Smith", "Dr Smith", 1, 0),
        ("[Anna coughs] go", "go", "Anna", 0, 0),
    ],
)
def test_a_keyword_is_a_whole_word_of_the_reference(
    said: str, heard: str, keyword: str, found: int, missed: int
) -> None:
    result = recognised([keyword, keyword.upper()], said, heard, language="en")
    assert (len(result.found), len(result.missed)) == (found, missed)


def test_the_digits_are_not_split_for_a_normaliser_of_ones_own() -> None:
    own = Normalizer("mine", "1", str.lower)
    assert recognised(["12"], "1 2", "12", normalizer=own).missed == ()
    assert recognised(["12"], "12", "1 2", normalizer=own).missed == ("12",)
    assert recognised(["12"], "12", "1 2", normalizer=BASIC).found == ("12",)


@pytest.mark.parametrize(
    ("keywords", "given", "why"),
    [
        ("Anna", {"at_least": 0.9}, "'Anna' are not a list of words; write"),
        ([], {"at_least": 0.9}, "are not a list of words; write"),
        (["a", 3], {"at_least": 0.9}, "are not a list of words; write"),
        ([" "], {"at_least": 0.9}, "are not a list of words; write"),
        (["a"], {"at_least": 95}, "at_least=95 is not a share above 0 and up to 1"),
        (["a"], {"at_least": 0}, "at_least=0 is not a share above 0"),
        (["a"], {"at_least": 1, "confidence": 0.9}, "no sample proves a recall of 1"),
        (["a"], {"at_least": 0.9, "confidence": 2}, "confidence=2 is not a share"),
        (["a"], {"at_least": 0.9, "normalizer": "x"}, "there is no normalizer 'x'"),
        (["a"], {"at_least": 0.9, "normalizer": 3}, "normalizer=3 is neither"),
    ],
)
def test_a_wrong_marker(keywords: object, given: dict[str, object], why: str) -> None:
    with pytest.raises(BudgetError, match=why):
        keyword_recall(keywords, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 3, 10])
def test_the_exact_interval_of_a_share(count: int) -> None:
    interval = theirs.binomtest(count, 10).proportion_ci(0.9)
    assert share_interval(count, 10, 0.9) == pytest.approx(
        (interval.low, interval.high)
    )
