"""The Markdown summary: its parts, hostile texts and the largest size."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec

from pytest_realtime_asr.report import markdown
from tests.support.runs import RUN
from tests.support.summaries import LATE, failure, row, summary

HOSTILE = "</details> |x|\x1b[31m `c`\n```\n# not a heading"


def test_the_parts_of_a_summary() -> None:
    found = markdown.document(
        summary(row(), row("tests/test_it.py::test_right", verdict="PASS", lost=0)),
    )
    lines = found.splitlines()
    assert lines[0] == (
        "## Realtime speech recognition: no test failed; verdicts: 2 FAIL, 2 PASS"
    )
    assert "ws://gpu-7/v1/realtime, model m" in lines
    assert (
        "| `tests/test_it.py::test_late` | **FAIL** | 20 | 1 | 210 ms | 400 ms | "
        "912 ms | 3.1% |"
    ) in lines
    assert (
        "| `tests/test_it.py::test_late` | `final_from_commit p95` | 912 ms | "
        "at most 800 ms | 95%: from 850 ms | 20 | 1 | **FAIL** (not proven) |"
    ) in lines
    assert "| 95%: 0.010 to 0.062 | 20 | 0 | PASS (not proven) |" in found
    assert f"run {RUN.id}" in lines[-1]
    assert "Failures" not in found


def test_a_failure_opens_to_its_evidence() -> None:
    found = markdown.document(summary(row(), failures=[failure()]))
    assert found.startswith("## Realtime speech recognition: 1 test failed; ")
    opened = found[found.index("<details>") : found.index("</details>")]
    assert "<code>tests/test_it.py::test_late</code>: final_from_commit" in opened
    assert "```text\nfinal_from_commit p95 = 912 ms &gt; 800 ms" not in opened
    assert "\n  audio  .###+|\n```\n" in opened


def test_a_test_that_failed_without_a_measurement_is_in_the_table() -> None:
    crashed = failure("test_it.py::test_crash", line=None, headline="crashed")
    found = markdown.document(summary(failures=[crashed], interrupted=True))
    assert "1 test failed; interrupted, so tests are missing\n" in found
    assert (
        "| `test_it.py::test_crash` | **failed** | - | - | - | - | - | - |\n" in found
    )


def test_a_hostile_text_cannot_break_the_markdown() -> None:
    hostile = failure(f"t::{HOSTILE}", headline=HOSTILE, text=HOSTILE)
    tests = row(f"t::{HOSTILE}", target=HOSTILE, model=HOSTILE)
    found = markdown.document(summary(tests, failures=[hostile]))
    assert "\x1b" not in found
    assert found.count("</details>") == 2  # one in the code block
    start = found.index("````text\n")
    block = found[start : found.index("\n````\n", start)]
    assert "</details> |x| `c`\n```\n# not a heading" in block
    rest = found.replace(block, "")
    assert not re.search("^# not", rest, re.MULTILINE)
    cells = [line for line in rest.splitlines() if "t::" in line and line[0] == "|"]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in cells} == {9}


def test_a_proven_verdict_is_named() -> None:
    proven = msgspec.structs.replace(LATE, proven=True)
    found = markdown.document(summary(row(verdicts=[proven])))
    assert "| **FAIL** (proven) |" in found
    assert "; verdicts: 1 FAIL\n" in found


def test_an_infinite_value_and_an_interval_beyond_every_limit() -> None:
    lost = msgspec.structs.replace(
        LATE, value=None, over=20, interval=(None, None), beyond=True
    )
    found = markdown.document(summary(row(verdicts=[lost])))
    assert "| inf ms | at most 800 ms | beyond every limit |" in found


def test_the_evidence_is_left_out_first_and_the_text_is_never_too_large() -> None:
    failures = [failure(f"t::{i}", text="x" * 5000) for i in range(64)]
    rows = [row(f"t::{i}") for i in range(64)]
    whole = markdown.document(summary(*rows, failures=failures))
    assert whole.count("<details>") == 64
    some = markdown.document(summary(*rows, failures=failures), most=200_000)
    assert len(some.encode()) <= 200_000
    assert some.count("<details>") == 32
    assert "The evidence of 32 failures is left out here." in some
    assert "- `t::63`: final" in some
    for most in (0, 100, 5000):
        cut = markdown.document(summary(*rows, failures=failures), most=most)
        assert len(cut.encode()) <= most
    assert cut.endswith("(the rest is left out, since the text would be too large)\n")


def test_a_long_failure_is_cut() -> None:
    text = "\n".join(f"line {i}" for i in range(1000))
    found = markdown.document(summary(row(), failures=[failure(text=text)]))
    assert "line 149\n(850 lines left out)\n```" in found


def test_the_labels_of_a_run() -> None:
    labelled = replace(RUN, labels={"gpu": "h100"})
    found = markdown.document(replace(summary(row()), run=labelled))
    assert "gpu h100" in found
