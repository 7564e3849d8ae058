"""The table of levels."""

from __future__ import annotations

from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.level import Level, Witness
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.outcome import Outcome
from pytest_realtime_asr.report import junit, terminal
from pytest_realtime_asr.report.level_rows import row
from pytest_realtime_asr.report.levels import table
from pytest_realtime_asr.run.results import Results
from tests.support import levels


def test_without_levels_there_is_no_table() -> None:
    assert table([]) == []


def test_each_level_has_a_row() -> None:
    finals = [levels.row(number, 100.0 * number) for number in (1, 2, 3)]
    seen = Witness(before=(levels.row(0, 210),), through=(levels.row(1, 640),))
    sound = levels.level(finals, witness=seen, workers=(ShardEnd(0, late=1.25),))
    head, line, *legend = table([row(decided(sound))])
    assert " ".join(head.split()) == (
        "streams step decision over p50 ms p95 ms witness ms lag ms"
    )
    assert " ".join(line.split()) == "4 - PASS 0/60 200 300 210 -> 640 1.2"
    assert max(map(len, (head, line, *legend))) <= 80


def test_deviations_from_the_plan_are_listed_below_the_level() -> None:
    made = levels.level(
        [levels.row(0), levels.row(1, None)],
        aborted="50 % of 2 sessions were lost",
        not_begun={"too many sessions were open": 3},
        lost_workers=(ShardLost(1, "killed"),),
    )
    ended = {Outcome.DONE: 1, Outcome.HUNG: 1}
    shown = table([row(LevelRecord(made, None, ended))])
    assert "never" in shown[1]
    assert shown[2:6] == [
        "        aborted: 50 % of 2 sessions were lost",
        "        1 hung",
        "        3 not begun: too many sessions were open",
        "        worker 1: killed",
    ]
    assert max(map(len, shown)) <= 80


def decided(level: Level) -> LevelRecord:
    """Return a level that held."""
    return LevelRecord(level, levels.decided(level))


def results(*made: LevelRecord) -> Results:
    """Return the results of a test with these levels."""
    return Results("test_it.py::test_load", (), levels=made)


def test_the_table_is_printed_below_its_test() -> None:
    found = results(LevelRecord(levels.level([levels.row(0)])))
    row = terminal.row(found, model="m", cold=None, note="")
    shown = terminal.table([row])
    place = shown.index("test_it.py::test_load")
    assert shown[place + 1].split()[0] == "streams"
    assert shown[place + 2].split()[:4] == ["4", "-", "-", "0/1"]
    assert max(map(len, shown)) <= 80


def test_the_properties_of_a_test_have_its_levels() -> None:
    first = levels.level([levels.row(0), levels.row(1, 500)])
    second = levels.level(
        [levels.row(2, None)], number=2, aborted="lost", not_begun={"full": 2}
    )
    found = dict(junit.properties(results(decided(first), LevelRecord(second))))
    of_levels = {
        name.removeprefix("realtime.level."): value
        for name, value in found.items()
        if ".level." in name
    }
    assert of_levels == {
        "1.streams": 4,
        "1.sessions": 2,
        "1.lost": 0,
        "1.not_begun": 0,
        "1.client_late_ms": 0.0,
        "1.decision": "PASS",
        "1.binding": "final_from_commit p95",
        "1.final_from_commit_ms.p95": 500.0,
        "2.streams": 4,
        "2.sessions": 1,
        "2.lost": 1,
        "2.not_begun": 2,
        "2.client_late_ms": 0.0,
        "2.aborted": "yes",
        "2.final_from_commit_ms.p95": "inf",
    }
