"""The wording of cross-talk, and its row in the reports."""

from __future__ import annotations

from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.load.texts import CrossTalk
from pytest_realtime_asr.report import cross_talk, junit, messages
from pytest_realtime_asr.report.verdict_rows import rows
from pytest_realtime_asr.run.results import Results
from tests.support import levels

FIRST = (
    "session sess-0 (turn-right) contains 5 words of session sess-9 (turn-right), "
    "which was open at the same time"
)


def found(count: int) -> CrossTalkFinding:
    other = levels.row(9)
    pairs = (CrossTalk(levels.row(each), other, 5) for each in range(count))
    return CrossTalkFinding(tuple(pairs), 40)


def test_the_first_line_names_both_sessions() -> None:
    assert cross_talk.details(found(1)) == f"cross-talk in 1 of 40 sessions: {FIRST}"


def test_further_sessions_are_listed_below() -> None:
    _, *more = cross_talk.details(found(12)).splitlines()
    assert more[0].startswith("  session sess-1 ")
    assert len(more) == 10
    assert more[-1] == "  and 2 more"


def test_cross_talk_fails_the_test_in_every_report() -> None:
    made = found(2)
    results = Results("test_it", (), load_findings=(made,), failing=(made,))
    (row,) = rows(results)
    assert (row.subject, row.value, row.n, row.fails) == ("cross-talk", 2, 40, True)
    assert dict(junit.properties(results))["realtime.cross_talk"] == 2
    shown = messages.failure(results)
    assert shown is not None
    assert shown.startswith("cross-talk in 2 of 40 sessions: ")
    assert messages.lines(results) == [f"FAIL: cross-talk in 2 of 40 sessions: {FIRST}"]
