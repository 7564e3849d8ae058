"""Results as text: JUnit properties, JSON Lines and the table at the end."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from servers import CLIP, VLLM, took

from pytest_realtime_asr.budgets import Verdict, budget, wer_threshold
from pytest_realtime_asr.ledger import Report, Transcription, report
from pytest_realtime_asr.loop import Loop
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.report import jsonl, junit, terminal
from pytest_realtime_asr.report.progress import Progress
from pytest_realtime_asr.report.terminal import WIDTH, Row
from pytest_realtime_asr.terms import Terms


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture(scope="module")
def good(loop: Loop) -> Transcription:
    return took(loop)


@pytest.fixture(scope="module")
def hung(loop: Loop) -> Transcription:
    return took(loop, "no-final")


@pytest.fixture(scope="module")
def sloppy(loop: Loop) -> Transcription:
    return took(loop, "novelty", "bad-usage")


def judged(*takes: Transcription, test: str = "test_it.py::test_it") -> Report:
    budgets = (
        budget("final_from_commit", p50="10s", p95="60s"),
        budget("first_partial_from_speech", max="60s"),
    )
    terms = Terms("vllm", "", 1.0, 0.1, budgets, (wer_threshold(0.5),))
    return report(
        test,
        takes,
        [(VLLM, take.trace) for take in takes],
        terms,
        pools={each: takes for each in budgets},
        paths={take.label: f"traces/{take.label}.jsonl" for take in takes},
    )


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
    assert rows["realtime.verdict"] == "FAIL"
    assert rows["realtime.proven"] == "no"
    assert rows["realtime.violations"] == "one-final"
    assert rows["realtime.trace"] == f"traces/{good.label}.jsonl"
    assert "realtime.pacing_error_ratio.p50" in rows


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
    assert not junit.proven(found)  # one session proves no quantile


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), (1.23456, 1.235), (math.inf, "inf"), (True, 1.0)]
)
def test_number(value: float, number: object) -> None:
    found = junit.number(value)
    assert found == number
    assert type(found) in (str, int, float)


# JSON Lines


def test_line_holds_everything(good: Transcription, hung: Transcription) -> None:
    row = json.loads(jsonl.line("test_it", good))
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
    row = json.loads(jsonl.line("test_it", hung))
    assert (row["lost"], row["wer"], row["usage"]) == ("hung", 1, None)
    assert row["reason"] == hung.reason
    assert row["metrics"]["final_from_commit"] is None
    assert row["violations"][0].startswith("one-final [MUST]: ")


def test_line_is_one_line(good: Transcription) -> None:
    odd = replace(good, lost="hung", reason="two\nlines\u2028 and \U0001f600")
    found = jsonl.line("test[\n]", odd)
    assert found.count(b"\n") == 1
    assert json.loads(found)["reason"] == odd.reason


def test_threads_do_not_mix(good: Transcription, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "out.jsonl"
    jsonl.create(path)
    assert path.read_bytes() == b""
    long = [replace(good, reason=f"{n} " + "x" * 20_000) for n in range(8)]
    append = jsonl.Appender(path)

    def write(take: Transcription) -> None:
        for number in range(10):
            append(f"test_{number}", take)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, long))
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(rows) == 80
    assert {row["reason"] for row in rows} == {take.reason for take in long}


def test_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    jsonl.create(path)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pytest_realtime_asr.report import jsonl\n"
        'jsonl.line = lambda test, take: f\'"{test}{"x" * 20000}"\\n\'.encode()\n'
        "append = jsonl.Appender(Path(sys.argv[1]))\n"
        "for _ in range(50):\n"
        "    append(sys.argv[2], None)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(number)])
        for number in range(3)
    ]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    rows = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert sorted(row[0] for row in rows) == sorted("012" * 50)
    assert {row[1:] for row in rows} == {"x" * 20000}


def test_report_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        jsonl.create(tmp_path / "file" / "out.jsonl")


# The table


def row(found: Report, *, model: str = "fake", note: str = "") -> Row:
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
    assert first[:4] == ["test_it", "1", "1", "0"]
    assert first[-2:] == ["0.0%", "PASS"]
    assert second[:4] == ["test_lost", "2", "1", "1"]
    assert second[-3:] == ["lost", "50.0%", "FAIL"]
    assert third[-1] == "PASS"
    assert any("usage-adds-up [MUST]" in line for line in lines)
    assert any("known-events [SHOULD]" in line for line in lines)
    assert terminal.table([]) == []


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
    lines = terminal.table(rows)
    assert max(map(len, lines)) <= WIDTH
    assert all("\n" not in line for line in lines)
    for each in rows:
        assert max(map(len, terminal.table([each]))) <= WIDTH


def test_row_without_sessions() -> None:
    found = row(judged(test="test_nothing"))
    assert (found.planned, found.target, found.wer) == (0, "", None)
    assert found.verdict == "FAIL"
    line = next(x for x in terminal.table([found]) if x.startswith("test_nothing"))
    assert line.split() == ["test_nothing", "0", "0", "0", "-", "-", "-", "-", "FAIL"]


def test_row_crosses_processes(good: Transcription, hung: Transcription) -> None:
    found = row(judged(good, hung))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Row)
    assert again == found


# What goes on


def test_progress_takes_back_what_it_said() -> None:
    reading, writing = os.pipe()
    rooms = iter([40, 40, 20, 40, 10])
    progress = Progress(writing, lambda: next(rooms))
    os.close(writing)  # as when the capture puts a file in its place

    def said(text: str) -> str:
        os.write(progress._fd, b".")  # so that something can be read
        progress.tell(text)
        return os.read(reading, 1000).decode()[1:]

    assert said("1/2 utterances") == " 1/2 utterances" + "\b" * 15
    assert said("") == " " * 15 + "\b" * 15
    assert said("x" * 60) == " " + "x" * 18 + "\b" * 19
    assert said("") == " " * 19 + "\b" * 19
    assert said("too narrow for it") == ""
    progress.close()
    rooms = iter([40])
    progress.tell("nobody listens")
    assert os.read(reading, 10) == b""
    os.close(reading)
