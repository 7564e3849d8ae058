"""The sign-off in the terminal, as Markdown and as a page: the same rows, escaped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_realtime_asr.conformance.results import ServerInfo, Status
from pytest_realtime_asr.report import signoff as view
from pytest_realtime_asr.report.conformance import Document, Entry
from pytest_realtime_asr.report.plain_page import markdown
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.verdicts.recorded_run import Capacity
from pytest_realtime_asr.verdicts.signoff import Release, Signoff, State, signoff
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.nights import night
from tests.support.records import row, run

MET = State.SATISFIED


def release(
    name: str, share: float, streams: int, state: State, **changes: Any
) -> Release:
    capacity = {"test_load": Capacity(streams, (streams - 1, streams + 1))}
    made = night(len(name), share, capacities=capacity, **changes)
    return Release(name, (made,), {("vllm", "a"): MET, ("vllm", "b"): state})


@pytest.fixture(scope="module")
def worse() -> Signoff:
    """A release that is slower, has less capacity and violates a requirement."""
    old = release("old", 0.0, 40, MET)
    return signoff(old, release("later", 0.3, 20, State.VIOLATED, host="other"))


def test_the_terminal_begins_with_the_verdict_and_what_became_worse(
    worse: Signoff,
) -> None:
    lines = view.terminal(worse)
    assert lines[0] == "FAIL: old -> later: 3 worse, 2 same"
    assert lines[2:4] == [
        "worse:",
        "  conformance: b (vllm): satisfied -> violated",
    ]
    assert "  capacity: streams of test_load: 40 (39 to 41) -> 20 (19 to 21)" in lines
    assert max(map(len, lines)) <= 80
    assert "host: bench -> other" in lines


def test_an_equal_release_is_reported_as_the_same() -> None:
    old = release("old", 0.0, 40, MET)
    found = signoff(old, replace(old, name="new"))
    lines = view.terminal(found)
    assert lines[0] == "PASS: old -> new: 5 same"
    assert any("2 requirements, each in the same state" in line for line in lines)


def test_the_three_views_have_the_same_rows(worse: Signoff) -> None:
    page = view.html(worse)
    main = page[page.index("<main>") : page.index("</main>")] + "</main>"
    html = [
        ["".join(cell.itertext()) for cell in line]
        for line in ElementTree.fromstring(main).iterfind(".//tbody/tr")
    ]
    terminal = "\n".join(view.terminal(worse, width=1000))
    table = view.markdown_text(worse)
    rows = view.sorted_rows(worse)
    assert [cells[0] for cells in html] == [each.outcome.value for each in rows]
    for each, cells in zip(rows, html, strict=True):
        assert cells[1:] == [each.part, each.what, each.old, each.new, each.change]
        assert f"{each.part}: {each.what}: {each.old} -> {each.new}" in terminal
        assert markdown(each.what) in table


def test_a_hostile_name_is_escaped() -> None:
    bad = "<script>|x\x1b[31m"
    rows = [replace(each, test=bad) for each in run()]
    made = Release(bad, (night(1, rows=rows, host=bad),))
    found = signoff(made, replace(made, name="new"))
    assert "<script" not in view.html(found)
    assert "<script" not in view.markdown_text(found).replace("\\<script", "")
    assert "\x1b" not in "\n".join(view.terminal(found))


def test_no_view_has_a_transcript(worse: Signoff) -> None:
    wrong = [row(n, 500.0 + n, text="secret words") for n in range(24)]
    found = signoff(worse.old, Release("new", (night(9, rows=wrong),)))
    assert found.verdict is Verdict.FAIL
    views = (view.html(found), view.markdown_text(found), *view.terminal(found))
    assert not [each for each in views if "secret" in each or "mountains" in each]


def test_comparisons_that_are_missing_are_noted() -> None:
    found = signoff(
        Release("old", (night(1),)),
        Release("new", (night(2, interrupted=True),), {("vllm", "a"): MET}),
    )
    notes = view.notes(found)
    assert "not compared: the old release has no conformance report" in notes
    assert "02.jsonl was interrupted" in notes


def test_the_run_of_each_change_is_named_if_they_differ() -> None:
    old = Release("old", tuple(night(number) for number in range(1, 4)))
    new = [night(9, 0.3), night(10, -0.3), night(11)]
    found = signoff(old, Release("new", tuple(new)))
    assert (
        "latency and error rate: for each metric, the median change of 3 runs of the "
        "new release is shown, compared with 3 runs of the old release"
    ) in view.notes(found)
    named = [row.change for row in view.rows(found) if row.part == "latency"]
    assert any(each.endswith(".jsonl") for each in named)


def test_utterances_that_are_not_paired_are_noted() -> None:
    old = Release("old", (night(1),))
    found = signoff(old, Release("new", (night(2, rows=run(20)),)))
    assert "test_it.py::test_it: only before: 4 (clip-20, clip-21, " in "\n".join(
        view.notes(found)
    )


def test_a_test_that_cannot_be_compared_has_a_reason() -> None:
    rows = [replace(each, audio="other") for each in run()]
    found = signoff(Release("old", (night(1),)), Release("new", (night(2, rows=rows),)))
    (line,) = [each for each in view.rows(found) if each.part == "test"]
    assert (line.what, line.old, line.new) == ("test_it.py::test_it", "-", "-")
    assert line.change.startswith("no utterance could be paired")


def entry(id: str, status: Status, **changes: Any) -> Entry:
    found: dict[str, Any] = {"level": Level.MUST, "title": "", "clause": ""}
    return Entry(id=id, status=status, scenarios=(), **{**found, **changes})


def test_the_newest_report_gives_the_states_of_binding_requirements() -> None:
    server = ServerInfo("t", "vllm", "m", "", "")
    entries = [
        entry("a", Status.SATISFIED),
        entry("b", Status.SAME_CAUSE),
        entry("c", Status.MISSING),
        entry("d", Status.VIOLATED, level=Level.INFO),
        entry("e", Status.VIOLATED, expected="known"),
    ]
    new = Document(1, "1", datetime(2026, 1, 2, tzinfo=UTC), server, 5, entries)
    old = replace_entries(new, [entry("a", Status.VIOLATED)])
    assert view.requirements([new, old]) == {
        ("vllm", "a"): State.SATISFIED,
        ("vllm", "b"): State.VIOLATED,
        ("vllm", "c"): State.OPEN,
    }
    assert view.requirements([]) is None


def replace_entries(found: Document, entries: list[Entry]) -> Document:
    """An older report with other entries."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Document(1, "1", made, found.server, found.planned, entries)
