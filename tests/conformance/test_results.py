"""What the conformance run says: results, reports, matrix, badge, choice and cost."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.conformance import clips, selection
from pytest_realtime_asr.conformance.results import Judged, Result, Row, Status
from pytest_realtime_asr.conformance.scenario_run import FUZZ
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scenarios.overload import CROWD
from pytest_realtime_asr.plugin.settings import Settings, settings
from pytest_realtime_asr.report import conformance
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.requirements.requirement import Harm, Level, Requirement
from pytest_realtime_asr.trace.records import Sender

VLLM = dialects.load("vllm")
SERVER = Judged("ws://gpu-7/v1/realtime", "vllm", "voxtral", "0.33.0", "")
MADE = datetime(2026, 11, 24, tzinfo=UTC)
SPOKEN = clips.choose(corpus.load("bundled:english"))
EVERYTHING = list(scenarios(VLLM).values())


def given(**options: object) -> Settings:
    """The settings of a run with these options."""
    return settings(lambda option: options.get(option.ini), lambda option: None, {})


def chosen(found: Settings) -> tuple[Requirement, ...]:
    """The requirements of a run with these settings."""
    return selection.requirements(
        found.dialect, level=found.suite.level, pinned=found.run.pinned
    )


def came(
    id: str,
    status: Status = Status.SATISFIED,
    level: Level = Level.MUST,
    **more: object,
) -> Result:
    result = Result(id, f"the title of {id}", level, "a clause", ("alone",), status)
    return msgspec.structs.replace(result, **more)


def report(*results: Result, planned: int | None = None) -> conformance.Document:
    rows = [conformance.row(Row(SERVER, each)) for each in results]
    count = len(results) if planned is None else planned
    found = conformance.document(rows, planned=count)
    return msgspec.structs.replace(found, made=MADE)


BROKEN = came("one", Status.VIOLATED, seen="no final of a came: waited 3.2 s; had arr")
ALIKE = came("two", Status.VIOLATED, seen="no final of a came: waited 4.1 s; had arr")
WEAK = came("weak", Status.VIOLATED, Level.SHOULD, seen="so it is")


@pytest.mark.parametrize(
    ("result", "plainly", "strictly"),
    [
        (came("a"), False, False),
        (BROKEN, True, True),
        (WEAK, False, True),
        (came("a", Status.VIOLATED, Level.INFO), False, False),
        (came("a", Status.UNDECIDED), False, False),
        (came("a", Status.NOT_RUN), False, False),
        (came("a", Status.LIMITED), False, False),
        (came("a", Status.OTHER_VERSION), False, False),
        (came("a", Status.MISSING), True, True),
        (came("a", Status.HARNESS), True, True),
        (came("a", Status.VIOLATED, expected="known"), False, False),
        (came("a", expected="known", stale="it passes now"), True, True),
    ],
)
def test_what_fails(result: Result, plainly: bool, strictly: bool) -> None:
    assert result.fails(strict=False) is plainly
    assert result.fails(strict=True) is strictly


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a" / "report.json"
    found = report(came("a"), BROKEN, planned=9)
    assert conformance.write(ReportFile(path), found)
    assert conformance.read(path) == found
    assert json.loads(path.read_text())["planned"] == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a conformance report: "),
        ("{}", "not a conformance report: "),
        (None, "x.json: there is no such file"),
    ],
)
def test_what_is_no_report_is_told(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        conformance.read(path)


def test_a_report_of_another_format_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(
        conformance.dumps(msgspec.structs.replace(report(came("a")), format=2))
    )
    with pytest.raises(ValueError, match="report format 2; this version reads 1"):
        conformance.read(path)


def test_the_summary_tells_causes_and_what_was_not_judged() -> None:
    found = report(
        came("fine"),
        BROKEN,
        ALIKE,
        WEAK,
        came("back", Status.NOT_RUN, seen="it is heavy"),
        came("old", Status.VIOLATED, expected="known", seen="as ever"),
    )
    lines = conformance.summary(found, strict=False, advice=["soon"])
    assert lines[:2] == [
        "ws://gpu-7/v1/realtime, vllm, model voxtral, version 0.33.0",
        "6 requirements: 1 satisfied, 4 violated, 1 not run",
    ]
    assert "  one, two: no final of a came: waited 3.2 s; had arr" in lines
    assert "SHOULD that is broken (no failure):" in lines
    assert "  1 x it is heavy (back)" in lines
    assert "  old: as ever" in lines
    assert lines[-1] == "soon"


def test_what_a_server_says_is_written_out_in_the_matrix() -> None:
    found = report(came("a"))
    server = msgspec.structs.replace(found.server, model="m|\x1b[2J\n::error::evil")
    told = conformance.matrix([msgspec.structs.replace(found, server=server)])
    assert "m\\|\\x1b[2J\\n::error::evil" in told.splitlines()[0]


def test_the_matrix_has_a_row_for_each_requirement_and_a_column_for_each_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    known = came("c", Status.VIOLATED, expected="known")
    paths[0].write_bytes(conformance.dumps(report(came("a"), BROKEN)))
    paths[1].write_bytes(
        conformance.dumps(report(came("a"), came("b", Status.NOT_RUN), known))
    )
    assert main(["report", "matrix", *map(str, paths)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].count("vllm 0.33.0 voxtral (2026-11-24)") == 2
    assert lines[2:8] == [
        "| a | MUST | yes | yes |",
        "| one | MUST | **no** |  |",
        "| b | MUST |  | - |",
        "| c | MUST |  | **no** (known) |",
        "| **satisfied** | | 1 | 1 |",
        "| **violated** | | 1 | 1 |",
    ]
    assert main(["report", "matrix", str(tmp_path / "none.json")]) == 2


@pytest.mark.parametrize(
    ("found", "message", "colour"),
    [
        (report(came("a"), came("b")), "2 of 2", "brightgreen"),
        (report(came("a"), came("b", Status.UNDECIDED)), "1 of 2", "brightgreen"),
        (report(came("a"), came("b", Status.OTHER_VERSION)), "1 of 1", "brightgreen"),
        (report(came("a"), planned=110), "1 of 110", "yellow"),
        (report(came("a"), came("b", Status.NOT_RUN)), "1 of 2", "yellow"),
        (report(came("a"), WEAK), "1 of 2", "yellow"),
        (report(came("a"), WEAK, BROKEN), "1 of 3", "red"),
        (report(came("a", Status.MISSING)), "not judged", "lightgrey"),
    ],
)
def test_the_badge(found: conformance.Document, message: str, colour: str) -> None:
    told = json.loads(conformance.badge(found))
    assert (told["message"], told["color"]) == (message, colour)
    assert told["schemaVersion"] == 1


# Which requirements, and at what cost


def test_the_passive_ones_come_last_and_those_of_the_client_not_at_all() -> None:
    found = chosen(given())
    assert [each.passive for each in found] == sorted(each.passive for each in found)
    assert all(each.binds is Sender.SERVER for each in found)
    must = chosen(given(realtime_level="must"))
    assert {each.level for each in must} == {Level.MUST}


def test_a_suite_is_for_its_dialect() -> None:
    pinned = given(realtime_suite="vllm-2026.11").run.pinned
    assert pinned is not None
    other = replace(pinned, dialect="openai")
    with pytest.raises(ValueError, match="is for openai, and the dialect is vllm"):
        selection.requirements("vllm", pinned=other)


def test_elsewhere_only_what_is_safe_is_done() -> None:
    there = selection.bounds(given().suite, here=False)
    assert (there.harms, there.streams, there.audio) == (
        frozenset({Harm.SAFE}),
        2,
        600.0,
    )
    allowed = given(realtime_allow="heavy", realtime_max_streams="9")
    more = selection.bounds(allowed.suite, here=False)
    assert more.harms == {Harm.SAFE, Harm.HEAVY}
    assert more.streams == 9
    here = selection.bounds(given().suite, here=True)
    assert here.harms == set(Harm)
    assert here.streams >= CROWD
    assert here.audio == math.inf
    assert selection.fuzz(given().suite, here=True) == FUZZ
    assert selection.fuzz(given().suite, here=False) == 0
    assert selection.fuzz(given(realtime_fuzz="3").suite, here=False) == 3


def test_the_cost_is_what_is_not_held_back() -> None:
    there = selection.bounds(given().suite, here=False)
    cost = selection.cost(EVERYTHING, 7, SPOKEN, there, pace=1.0)
    harmful = [each for each in EVERYTHING if each.harm is not Harm.SAFE]
    assert set(cost.held_back) == {each.name for each in harmful}
    assert cost.scenarios == len(EVERYTHING) - len(harmful)
    assert cost.peak == 2
    here = selection.bounds(given().suite, here=True)
    whole = selection.cost(EVERYTHING, 7, SPOKEN, here, pace=1.0)
    assert str(whole).startswith(f"7 requirements, {len(EVERYTHING)} scenarios, ")
    one = [each for each in EVERYTHING if each.sessions == 1][:1]
    told = str(selection.cost(one, 1, SPOKEN, here, pace=1.0))
    assert told.startswith("1 requirement, 1 scenario, ")
    assert " 1 connection, 1 at a time" in told
    assert whole.seconds < cost.seconds  # more at a time
    assert whole.audio > cost.audio
    assert selection.cost(EVERYTHING, 7, SPOKEN, here, pace=8.0).seconds < 20
    short = replace(here, audio=30.0)
    assert selection.cost(EVERYTHING, 7, SPOKEN, short, pace=1.0).audio <= 30.0


# What is spoken


def test_clips_are_the_shortest_with_texts_of_their_own() -> None:
    lengths = [each.duration for each in SPOKEN.candidates]
    assert lengths == sorted(lengths)
    assert len({each.text for each in SPOKEN.candidates}) == len(lengths)
    preferred = SPOKEN.prefer([SPOKEN.candidates[3].id, SPOKEN.candidates[1].id])
    assert preferred.first is SPOKEN.candidates[3]
    assert preferred.second is SPOKEN.candidates[1]
    with pytest.raises(ValueError, match="no utterance with a text"):
        clips.choose(corpus.load("bundled:odd").map(lambda u: replace(u, text="")))


@pytest.mark.parametrize("seconds", [0.1, 2.0, 35.0])
def test_speech_lasts_as_long_as_is_asked(seconds: float) -> None:
    assert SPOKEN.lasting(seconds).duration == pytest.approx(seconds, abs=1e-4)


def test_what_is_made_of_a_clip() -> None:
    clip = SPOKEN.first
    assert SPOKEN.both().text == f"{clip.text} {SPOKEN.second.text}"
    later = clips.after_silence(clip, 1.5)
    assert later.duration == pytest.approx(clip.duration + 1.5, abs=1e-3)
    assert clips.quieter(clip).audio.array.max() < clip.audio.array.max() * 0.51
    assert sum(half.samples for half in clips.halves(clip)) == clip.audio.samples
    assert clips.nothing(0.0).duration == 0
