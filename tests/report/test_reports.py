"""Tests of results as text: JUnit properties, JSON Lines, tables and transcripts."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.report import jsonl, junit, terminal, verdict_rows
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.layout import USUAL, coloured, wrapped
from pytest_realtime_asr.report.progress import Progress
from pytest_realtime_asr.report.terminal import Row
from pytest_realtime_asr.report.transcript import FULL, transcript
from pytest_realtime_asr.report.transcript import WIDTH as WIDTH_OF_TRANSCRIPT
from pytest_realtime_asr.run.results import Results, judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Ping,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
    loads,
    read,
)
from pytest_realtime_asr.verdicts.budgets import latency_budget, wer_threshold
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.paths import FIXTURES
from tests.support.runs import RUN
from tests.support.servers import CLIP, took, violations

TRACES = FIXTURES / "traces"
MS = 1_000_000


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


@pytest.fixture(scope="module")
def sloppy(loop: Loop) -> Transcription:
    return took(loop, "novelty", "bad-usage")


def judged(*takes: Transcription, test: str = "test_it.py::test_it") -> Results:
    budgets = (
        latency_budget("final_from_commit", p50="10s", p95="60s"),
        latency_budget("first_partial_from_speech", max="60s"),
    )
    terms = Terms("vllm", "", 1.0, 0.1, budgets, (wer_threshold(0.5),))
    found = judge_test(
        test,
        takes,
        terms,
        pools={each: takes for each in budgets},
        violations=violations(takes),
    )
    paths = {take.label: f"traces/{take.label}.jsonl" for take in takes}
    return replace(found, paths=paths)


# JUnit


def test_properties(good: Transcription, hung: Transcription) -> None:
    found = junit.properties(judged(good, hung))
    names = [name for name, _ in found]
    assert len(set(names)) == len(names)
    assert all(name.startswith("realtime.") for name in names)
    rows = dict(found)
    assert rows["realtime.target"] == good.trace.target
    assert rows["realtime.dialect"] == "vllm"
    assert (rows["realtime.planned"], rows["realtime.lost"]) == (2, 1)
    assert rows["realtime.final_from_commit_ms.n"] == 2
    assert rows["realtime.final_from_commit_ms.max"] == "inf"
    final = good.metrics["final_from_commit"]
    assert final is not None
    assert rows["realtime.final_from_commit_ms.p50"] == round(final, 3)
    assert rows["realtime.wer"] == 0.5
    assert (rows["realtime.wer.n"], rows["realtime.wer.words"]) == (2, 8)
    assert (rows["realtime.cer.n"], rows["realtime.cer.characters"]) == (2, 32)
    assert rows["realtime.verdict"] == "FAIL"
    assert rows["realtime.proven"] == "yes"  # a lost session proves that max is missed
    assert rows["realtime.violations"] == "one-final"
    assert rows["realtime.trace"] == f"traces/{good.label}.jsonl"
    assert "realtime.pacing_error_ratio.p50" in rows
    assert rows["realtime.word_coverage_ratio.min"] == "-inf"
    assert rows["realtime.early_text_count.n"] == 2


def test_a_failing_check_is_the_worst_verdict_of_a_test(
    good: Transcription, hung: Transcription, sloppy: Transcription
) -> None:
    kept = judged(sloppy)
    limits = [each.verdict for each in kept.findings]
    assert {*limits, *(each.verdict for each in kept.wer)} == {Verdict.PASS}
    assert (kept.verdict, kept.proven) == (Verdict.FAIL, True)
    # The verdict stays when the pools of the test have been judged.
    later = replace(kept, failing=(), reported=kept.failing)
    assert dict(junit.properties(later))["realtime.verdict"] == "FAIL"
    terms = Terms("vllm", "", 1.0, 0.1)
    lost = judge_test("test_it", [good, hung], terms, pools={})
    assert (lost.verdict, lost.proven) == (Verdict.FAIL, True)
    unruled = replace(terms, rules=None)
    assert judge_test("test_it", [good, hung], unruled, pools={}).verdict is None


def test_a_test_whose_sessions_were_all_lost(hung: Transcription) -> None:
    takes = [replace(hung) for _ in range(20)]
    terms = Terms("vllm", "", 1.0, 0.1)
    budget = latency_budget("final_from_commit", p50="10s")
    found = judge_test(
        "test_it", takes, terms, pools={budget: takes}, violations=violations(takes)
    )
    name = "realtime.final_from_commit_ms.p50"
    for detail in (junit.Detail.FULL, junit.Detail.LEAN):
        rows = dict(junit.properties(found, detail=detail))
        assert (rows[f"{name}.low"], rows[f"{name}.high"]) == ("inf", "inf")
        assert rows[f"{name}.over"] == 20
        assert rows["realtime.violations"] == "one-final"
    (verdict,) = (each for each in verdict_rows.rows(found) if each.subject == "budget")
    assert (verdict.interval, verdict.beyond) == ((None, None), True)
    table = terminal.table([row(found)])
    assert any(re.search(r"test_it +20 +20 .*never +never .*FAIL$", t) for t in table)


def test_properties_are_exact_builtins(
    good: Transcription, hung: Transcription, sloppy: Transcription
) -> None:
    for takes in ([good], [good, hung], [sloppy], [hung], []):
        found = junit.properties(judged(*takes))
        assert all(type(name) is str for name, _ in found)
        assert {type(value) for _, value in found} <= {str, int, float}
        assert all(
            math.isfinite(value) for _, value in found if not isinstance(value, str)
        )


def test_proven(good: Transcription) -> None:
    found = judged(good)
    assert found.verdict is Verdict.PASS
    assert not found.proven  # one session proves no quantile


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((3, 3), (1.23456, 1.235), (True, 1.0)),
        *((math.inf, "inf"), (-math.inf, "-inf")),
    ],
)
def test_number(value: float, number: object) -> None:
    found = junit.number(value)
    assert found == number
    assert type(found) in (str, int, float)


# JSON Lines


def test_a_line_contains_all_fields_of_a_transcription(
    good: Transcription, hung: Transcription
) -> None:
    row = json.loads(jsonl.line("test_it", good, RUN))
    assert row["format"] == jsonl.FORMAT
    assert row["test"] == "test_it"
    assert row["target"] == good.trace.target
    assert row["dialect"] == "vllm"
    assert row["session"] == good.session
    assert row["utterance"] == "turn-right"
    assert row["reference"] == row["text"] == "turn right and stop"
    assert (row["lost"], row["reason"], row["wer"]) == ("", "", 0)
    assert set(row["metrics"]) == set(CATALOGUE)
    assert row["metrics"] == dict(good.metrics)
    assert row["counts"]["samples"] == CLIP.audio.samples
    assert row["usage"]["total"] > 0
    assert row["errors"]["hits"] == 4
    assert row["violations"] == []
    assert row["end"]["how"] == "closed by us"
    assert row["started"].endswith(("Z", "+00:00"))
    row = json.loads(jsonl.line("test_it", hung, RUN))
    assert (row["lost"], row["wer"], row["usage"]) == ("hung", 1, None)
    assert row["reason"] == hung.reason
    assert row["metrics"]["final_from_commit"] is None
    assert row["violations"][0].startswith("one-final [MUST]: ")


def test_utterances_that_do_not_count_for_a_test_are_not_read(
    good: Transcription, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    append = jsonl.Appender(ReportFile(path), RUN)
    for purpose in Purpose:
        append(f"test_{purpose.value}", replace(good, purpose=purpose))
    assert [row.test for row in jsonl.read(path)] == ["test_test"]
    _, *rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [row["counted"] for row in rows] == [p is Purpose.TEST for p in Purpose]
    assert [row["purpose"] for row in rows] == [each.value for each in Purpose]
    path.write_bytes(
        jsonl.line("test_it", replace(good, purpose=Purpose.BASELINE), RUN)
    )
    with pytest.raises(ValueError, match="the report has no completed utterance"):
        jsonl.read(path)


def test_line_is_one_line(good: Transcription) -> None:
    odd = replace(good, lost=Loss.HUNG, reason="two\nlines\u2028 and \U0001f600")
    found = jsonl.line("test[\n]", odd, RUN)
    assert found.count(b"\n") == 1
    assert json.loads(found)["reason"] == odd.reason


def test_threads_do_not_mix_their_lines(good: Transcription, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "out.jsonl"
    long = [replace(good, reason=f"{n} " + "x" * 20_000) for n in range(8)]
    append = jsonl.Appender(ReportFile(path), RUN)

    def write(take: Transcription) -> None:
        for number in range(10):
            append(f"test_{number}", take)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, long))
    head, *rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert head["kind"] == "run"
    assert len(rows) == 80
    assert {row["reason"] for row in rows} == {take.reason for take in long}


@pytest.mark.slow
def test_processes_do_not_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"earlier\n")
    (tmp_path / "shared").mkdir()
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pytest_realtime_asr.report.files import ReportFile\n"
        "path = Path(sys.argv[1])\n"
        'line = f\'"{sys.argv[2]}{"x" * 20000}"\'.encode() + bytes([10])\n'
        "file = ReportFile(path, shared=path.with_name('shared'))\n"
        "for _ in range(50):\n"
        "    file.append(line, header=lambda: b'\"head\"' + bytes([10]))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)])
        for number in range(3)
    ]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert rows.pop(0) == "head"  # from one of the processes
    assert sorted(row[0] for row in rows) == sorted("012" * 50)
    assert {row[1:] for row in rows} == {"x" * 20000}
    assert path.with_name("out.jsonl.1").read_bytes() == b"earlier\n"


# The table


def row(found: Results, *, model: str = "fake", note: str = "") -> Row:
    return terminal.row(found, model=model, cold=1234.5, note=note)


def test_table(good: Transcription, hung: Transcription, sloppy: Transcription) -> None:
    rows = [
        row(judged(good)),
        row(judged(good, hung, test="test_it.py::test_lost")),
        row(judged(sloppy, test="test_it.py::test_sloppy")),
    ]
    lines = terminal.table(rows)
    assert lines[0].startswith(f"{good.trace.target}, model fake, cold final 12")
    (head,) = (n for n, line in enumerate(lines) if line.endswith("WER verdict"))
    first, second, third = (line.split() for line in lines[head + 1 : head + 4])
    assert first[:3] == ["test_it", "1", "0"]
    assert first[-2:] == ["0.0%", "PASS"]
    assert second[:3] == ["test_lost", "2", "1"]
    assert second[-3:] == ["never", "50.0%", "FAIL"]
    assert third[-1] == "FAIL"  # a violated MUST, although all limits are kept
    assert any("usage-adds-up [MUST]" in line for line in lines)
    assert any("known-events [SHOULD]" in line for line in lines)
    assert terminal.table([]) == []


def test_the_table_has_a_different_name_for_each_test(good: Transcription) -> None:
    names = {
        "test_it.py::test_own[a::b]": "test_own[a::b]",
        "test_it.py::TestA::test_m[a::b]": "TestA::test_m[a::b]",
        "test_it.py::TestU::test_m[a::b]": "TestU::test_m[a::b]",
        "a.py::TestB::test_n": "a.py::TestB::test_n",
        "b.py::TestB::test_n": "b.py::TestB::test_n",
        "test_bare": "test_bare",
        "test_it.py::TestC::test_" + "y" * 20: ".." + "y" * 18,
    }
    lines = terminal.table([row(judged(good, test=test)) for test in names])
    (head,) = (n for n, line in enumerate(lines) if line.endswith("WER verdict"))
    found = [line.split()[0] for line in lines[head + 1 : head + 1 + len(names)]]
    assert found == list(names.values())


def test_table_is_narrow(
    good: Transcription, hung: Transcription, sloppy: Transcription
) -> None:
    long = "tests/of/a/very/long/folder/test_" + "x" * 90 + ".py::test_" + "y" * 90
    rows = [
        row(judged(good)),
        row(judged(good, hung, test=long)),
        row(judged(hung, test="test_hung"), note="the warm-up failed: " + "z " * 60),
        row(judged(sloppy, test=f"{long}[utterance-1]"), model="org/" + "m" * 120),
        row(judged(test="test_nothing")),
        Row(
            test="test_extremes",
            planned=9999,
            lost=9999,
            first=-12345.0,
            final=999999.0,
            tail=math.inf,
            wer=9.999,
            verdict="INCONCLUSIVE",
            lines=["rule " + "-".join(["word"] * 40), "w" * 200],
            target="wss://" + "h" * 100,
            model="m",
            cold=math.inf,
            note="",
        ),
    ]
    for width in (60, 80, 120):
        lines = terminal.table(rows, width=width)
        assert all("\n" not in line for line in lines)
        for each in rows:
            lines += terminal.table([each], width=width)
        ends = re.compile(" (PASS|FAIL|INCONCLUSIVE|WER verdict)$")
        table = list(filter(ends.search, lines))
        for line in lines:  # only a word that is longer than the line is beyond it
            words = len(line.split())
            assert len(line) <= max(width, USUAL if line in table else 0) or words == 1


def test_the_table_uses_the_width_of_the_terminal(good: Transcription) -> None:
    long = "test_it.py::test_" + "y" * 30
    found = row(judged(good, test=long))
    for width, name in ((80, ".." + "y" * 18), (90, ".." + "y" * 28), (120, long[12:])):
        lines = terminal.table([found], width=width)
        assert any(line.startswith(f"{name} ") for line in lines)
        assert width - 25 < max(map(len, lines)) <= width


def test_a_number_and_its_unit_stay_together() -> None:
    assert wrapped("it took 711 ms in all", 13) == ["it took", "711 ms in all"]


def test_a_path_is_not_divided(good: Transcription) -> None:
    path = "tests/" + "long-folder/" * 9 + "out.jsonl"
    found = msgspec.structs.replace(row(judged(good)), lines=[f"trace: {path} is kept"])
    assert f"    {path}" in terminal.table([found])


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("test_it   1    0   -   -   - 0.0% PASS", ("PASS",)),
        ("  FAIL (proven: n=3): wer = 0.5 > 0.1; FAIL: why", ("FAIL", "FAIL")),
        ("  INVALID (not proven: n=3): p95 = 2; INVALID, not", ("INVALID", "INVALID")),
        ("3 requirements: 2 satisfied, 1 violated", ("2 satisfied", "1 violated")),
        ("1 requirement: 1 undecided", ("1 undecided",)),
        ("  final_from_commit worse: +3 ms > 2 ms", ("worse",)),
        ("  wer same: +0.00 pp <= 1.00 pp", ()),
        ("MUST violated:", ("MUST",)),
        ("  rule one [SHOULD]: it passes", ("SHOULD",)),
        ("  the server said PASS and MUST", ()),
        ("", ()),
    ],
)
def test_verdicts_and_levels_have_colours(line: str, shown: tuple[str, ...]) -> None:
    parts = coloured(line)
    assert "".join(text for text, _ in parts) == line
    assert tuple(text for text, markup in parts if markup) == shown


def test_row_without_sessions() -> None:
    found = row(judged(test="test_nothing"))
    assert (found.planned, found.target, found.wer) == (0, "", None)
    assert found.verdict == "FAIL"
    line = next(x for x in terminal.table([found]) if x.startswith("test_nothing"))
    assert line.split() == ["test_nothing", "0", "0", "-", "-", "-", "-", "FAIL"]


def test_a_row_can_be_sent_to_another_process(
    good: Transcription, hung: Transcription
) -> None:
    found = row(judged(good, hung))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Row)
    assert again == found


# What goes on


def test_progress_erases_its_earlier_text() -> None:
    reading, writing = os.pipe()
    rooms = iter([40, 40, 20, 40, 10])
    progress = Progress(writing, lambda: next(rooms))
    os.close(writing)  # as when the capture puts a file in its place

    def said(text: str) -> str:
        os.write(progress._fd, b".")  # so that something can be read
        progress.show(text)
        return os.read(reading, 1000).decode()[1:]

    assert said("1/2 utterances") == " 1/2 utterances" + "\b" * 15
    assert said("") == " " * 15 + "\b" * 15
    assert said("x" * 60) == " " + "x" * 18 + "\b" * 19
    assert said("") == " " * 19 + "\b" * 19
    assert said("too narrow for it") == ""
    progress.close()
    rooms = iter([40])
    progress.show("nobody listens")
    assert os.read(reading, 10) == b""
    os.close(reading)


# The transcript of a session


def frame(text: str, at: int = 0, **changes: Any) -> Record:
    """Return a frame that the server sent at the time ``at`` (ms)."""
    return Record(Sender.SERVER, at * MS, text, **changes)


def sound(start: int, stop: int, at: int = 0, **changes: Any) -> Record:
    """Return a frame of audio between two positions (100 ms), sent at ``at`` (ms)."""
    span = Span(changes.pop("asset", "clip"), start * 1600, stop * 1600)
    return Record(Sender.CLIENT, at * MS, "{}", span=span, **changes)


def trace_of(*records: Record, **changes: Any) -> Trace:
    given: dict[str, Any] = {
        "opened": 12 * MS,
        "end": End(Ending.CLOSED_BY_US, 2_500 * MS, 1000),
        **changes,
    }
    return Trace(
        vantage=Vantage.CLIENT,
        dialect="any",
        rate=16_000,
        target="",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        records=records,
        **given,
    )


def columns(line: str) -> int:
    """Return the width of a line in a terminal, in columns."""
    return sum(
        0
        if unicodedata.combining(sign)
        else 2
        if unicodedata.east_asian_width(sign) in ("W", "F")
        else 1
        for sign in line
    )


def halved(lines: list[str]) -> list[tuple[str, str]]:
    """Return the margin and the text of each line."""
    return [(line[:29].rstrip(), line[29:]) for line in lines]


def test_the_transcript_of_a_session() -> None:
    trace = read(TRACES / "vllm-broken.jsonl")
    created = '{"type":"session.created","id":"sess-golden","created":1780000000}'
    assert halved(transcript(trace, [15])) == [
        ("            0.012 s", "connected"),
        ("      1     0.015 s  server", created),
        ("      2     0.018 s  server", created),
        (
            "      3     0.019 s  client",
            '{"type":"session.update","model":"voxtral","language":"en"}',
        ),
        ("    ...", "8 frames"),
        (
            "     12     0.234 s  client",
            '{"type":"input_audio_buffer.commit","final":true}',
        ),
        ("     13     0.237 s  server", '{"type":"novelty.event"}'),
        ("     14     0.240 s  server", "this is {no JSON"),
        (
            "     15     0.243 s  server",
            '{"type":"transcription.delta","delta":" forward"}',
        ),
        (
            ">    16     0.446 s  server",
            '{"type":"transcription.done","text":"go forward",',
        ),
        (
            "",
            '"usage":{"prompt_tokens":-1,"completion_tokens":2,"total_tokens":1}}',
        ),
        (
            "     17     0.449 s  server",
            '{"type":"transcription.done","text":"go forward","usage":... 60 more',
        ),
        (
            "     18     0.452 s  server",
            '{"type":"transcription.delta","delta":" again"}',
        ),
        (
            "            0.852 s",
            "closed by peer, code 1011: unexpected condition",
        ),
    ]


def test_binary_audio_is_shown_like_other_audio() -> None:
    def piece(start: int, at: int, **changes: Any) -> Record:
        return replace(sound(start, start + 1, at, **changes), text=None, data=b"")

    trace = trace_of(
        piece(0, 100),
        piece(1, 200),
        Record(Sender.CLIENT, 300 * MS, data=b"\x01\x02", raw=True),
    )
    assert halved(transcript(loads(trace.dumps())))[1:3] == [
        (
            "      1     0.100 s  client",
            "audio: clip, 0.000 to 0.200 s, in 2 frames until 0.200 s",
        ),
        ("      3     0.300 s  client", "raw: binary, 2 bytes: 01 02"),
    ]


def test_consecutive_audio_frames_are_one_row() -> None:
    trace = trace_of(
        sound(0, 1, 100),
        sound(1, 2, 200),
        sound(2, 3, 300),
        sound(3, 4, 400, raw=True),
        sound(4, 5, 500, raw=True),
        frame("said", 510),
        sound(5, 6, 600),
        sound(0, 1, 700),
        sound(1, 2, 800, asset="other"),
    )
    assert halved(transcript(trace)[1:-1]) == [
        (
            "      1     0.100 s  client",
            "audio: clip, 0.000 to 0.300 s, in 3 frames until 0.300 s",
        ),
        (
            "      4     0.400 s  client",
            "raw: audio: clip, 0.300 to 0.500 s, in 2 frames until 0.500 s",
        ),
        ("      6     0.510 s  server", "said"),
        ("      7     0.600 s  client", "audio: clip, 0.500 to 0.600 s"),
        ("      8     0.700 s  client", "audio: clip, 0.000 to 0.100 s"),
        ("      9     0.800 s  client", "audio: other, 0.100 to 0.200 s"),
    ]


def test_a_violation_between_audio_frames_has_its_own_row() -> None:
    trace = trace_of(*(sound(n, n + 1, 100 * n) for n in range(9)))
    rows = transcript(trace, [4])[1:-1]
    assert [line[:7].replace(" ", "") for line in rows] == ["1", ">5", "6"]
    assert [line[29:] for line in rows] == [
        "audio: clip, 0.000 to 0.400 s, in 4 frames until 0.300 s",
        "audio: clip, 0.400 to 0.500 s",
        "audio: clip, 0.500 to 0.900 s, in 4 frames until 0.800 s",
    ]


def shown(trace: Trace, offences: list[int]) -> list[str]:
    """Return the rows of a transcript: marks and numbers of frames, and gaps."""
    lines = transcript(trace, offences)[1:-1]
    return [
        f"({line[29:]})" if "..." in line else line[:7].replace(" ", "")
        for line in lines
    ]


@pytest.mark.parametrize(
    ("offences", "rows"),
    [
        ([], ["1", "2", "3", "(22 frames)", "26", "27", "28", "29", "30"]),
        ([0], [">1", "2", "3", "(27 frames)"]),
        (
            [12],
            [
                *("1", "2", "3", "(5 frames)", "9", "10", "11", "12", ">13", "14"),
                *("15", "(15 frames)"),
            ],
        ),
        ([7], ["1", "2", "3", "4", "5", "6", "7", ">8", "9", "10", "(20 frames)"]),
        (
            [8],
            ["1", "2", "3", "4", "5", "6", "7", "8", ">9", "10", "11", "(19 frames)"],
        ),
        (
            [27],
            [
                *("1", "2", "3", "(20 frames)", "24", "25", "26", "27", ">28", "29"),
                "30",
            ],
        ),
        (
            [26],
            [
                *("1", "2", "3", "(19 frames)", "23", "24", "25", "26", ">27", "28"),
                *("29", "30"),
            ],
        ),
        (
            [29, 3, 10, 12],
            [
                *("1", "2", "3", ">4", "5", "6", "(19 frames, 2 of them marked)"),
                *("26", "27", "28", "29", ">30"),
            ],
        ),
    ],
)
def test_the_frames_around_a_violation_are_shown(
    offences: list[int], rows: list[str]
) -> None:
    trace = trace_of(*(frame(f"frame {n}", n) for n in range(30)))
    assert shown(trace, offences) == rows


def test_thousands_of_violations_are_shortened() -> None:
    trace = trace_of(*(frame("x" * 500, n) for n in range(5000)))
    lines = transcript(trace, range(5000))
    assert len(lines) < 60
    assert lines[0] == "            0.012 s          connected"
    (gap,) = (line for line in lines if "..." in line[:7])
    assert gap.split() == ["...", "4992", "frames,", "4992", "of", "them", "marked"]


def test_pings_are_shown_at_their_time() -> None:
    pings = (
        Ping(15 * MS, 18 * MS),
        Ping(500 * MS, 1_742 * MS),
        Ping(800 * MS),
        Ping(2_000 * MS, 2_001 * MS),
    )
    trace = trace_of(*(frame(f"frame {n}", 100 * n) for n in range(1, 15)), pings=pings)
    assert [line[7:].strip() for line in transcript(trace, [0])] == [
        "0.012 s          connected",
        "0.015 s  client  ping, answered after 3 ms",
        "0.100 s  server  frame 1",
        "0.200 s  server  frame 2",
        "0.300 s  server  frame 3",
        "5 frames, 1 ping",
        "0.800 s  client  ping, never answered",
        "6 frames, 1 ping",
        "2.500 s          closed by us, code 1000",
    ]
    unanswered = transcript(trace_of(pings=pings[2:3]))
    assert unanswered[1].endswith("0.800 s  client  ping, never answered")


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (End(Ending.CLOSED_BY_US, 0, 1000), ["closed by us, code 1000"]),
        (
            End(Ending.CLOSED_BY_US, 0, None, "the client reset the connection"),
            ["closed by us: the client reset the connection"],
        ),
        (
            End(Ending.DEADLINE, 0, None, "waited 30.0 s for the final, " + "n" * 80),
            ["deadline: waited 30.0 s for the final,", "n" * 69, "n" * 11],
        ),
        (End(Ending.BROKEN, 0), ["broken"]),
    ],
)
def test_the_end_of_a_session_is_shown_in_full(end: End, told: list[str]) -> None:
    lines = transcript(trace_of(end=end))
    assert [line[29:] for line in lines[1:]] == told
    assert lines[1][:29] == "            0.000 s          "
    assert all(line[:29].isspace() for line in lines[2:])


def test_a_session_that_was_never_opened_is_one_line() -> None:
    trace = trace_of(opened=None, end=End(Ending.REFUSED, 3 * MS, 404, "no such route"))
    assert transcript(trace) == [
        "            0.003 s          refused, code 404: no such route"
    ]


def frame_text(record: Record, *, marked: bool) -> list[str]:
    """Return the text that a transcript shows for one frame."""
    lines = transcript(trace_of(record), [0] if marked else [])[1:-1]
    return [line[29:] for line in lines]


def test_only_a_violation_is_shown_in_full() -> None:
    long = frame("0123456789" * 60)
    assert frame_text(long, marked=False) == ["0123456789" * 5 + "0123456... 543 more"]
    lines = frame_text(long, marked=True)
    assert len(lines) == FULL
    assert [len(line) for line in lines] == [69] * FULL
    assert lines[-1].endswith("... 198 more")
    assert "".join(lines).startswith("0123456789" * 40)
    assert frame_text(frame("x" * 69), marked=False) == ["x" * 69]


def test_a_line_is_as_wide_as_a_terminal_prints_it() -> None:
    assert frame_text(frame("e\u0301" * 69), marked=False) == ["e\u0301" * 69]
    assert frame_text(frame("日" * 34), marked=False) == ["日" * 34]
    assert frame_text(frame("日" * 35), marked=True) == ["日" * 34, "日"]
    assert frame_text(frame("日" * 35), marked=False) == ["日" * 29 + "... 6 more"]


def test_a_binary_frame_is_shown_as_hexadecimal_bytes() -> None:
    binary = Record(Sender.CLIENT, 0, data=b"\x00\xff", raw=True)
    assert frame_text(binary, marked=False) == ["raw: binary, 2 bytes: 00 ff"]
    empty = Record(Sender.SERVER, 0)
    assert frame_text(empty, marked=True) == ["binary, 0 bytes:"]
    note = b"... [17999900 more]"
    long = Record(Sender.CLIENT, 0, data=bytes(100) + note, size=18_000_000)
    (line,) = frame_text(long, marked=False)
    assert line.startswith("binary, 18000000 bytes: 00 00 ")
    assert "2e 2e" not in "".join(frame_text(long, marked=True))
    assert frame_text(frame(""), marked=True) == [""]
    long = Record(Sender.SERVER, 0, data=bytes(2**20))
    (line,) = frame_text(long, marked=False)
    assert line.startswith("binary, 1048576 bytes: 00 00 00")
    assert frame_text(long, marked=True)[-1].endswith(" more")


def test_control_characters_of_a_frame_are_escaped() -> None:
    odd = frame("a\x1b[31mb\nc\td\u200de\u2028f\ud800g\x85h\u202ei é日")
    (line,) = frame_text(odd, marked=False)
    assert line == (r"a\x1b[31mb\nc\td\u200de\u2028f\ud800g\x85h\u202ei é日")
    reason = End(Ending.CLOSED_BY_PEER, 0, 1011, "bye\x1b]0;x\x07\n")
    assert transcript(trace_of(end=reason))[-1].endswith(r"bye\x1b]0;x\x07\n")


records = st.builds(
    Record,
    st.sampled_from(Sender),
    st.integers(0, 9_999 * 10**9),
    text=st.none() | st.text(max_size=400),
    data=st.none() | st.binary(max_size=300),
    raw=st.booleans(),
)


@given(st.lists(records, max_size=20), st.sets(st.integers(0, 19)), st.text())
def test_no_line_is_too_wide(held: list[Record], offences: set[int], why: str) -> None:
    trace = trace_of(*held, end=End(Ending.BROKEN, 0, 1006, why))
    lines = transcript(trace, {each for each in offences if each < len(held)})
    assert all(columns(line) <= WIDTH_OF_TRANSCRIPT for line in lines)
    assert all(line == line.rstrip() for line in lines)
