"""Data blocks and the head of a page."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.report.page import chunks
from tests.support.pages import blocks, head

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!-- <script>",
    "a & b \u2028 \u2029 \u202e reversed",
    "\0 \x1b[31m",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_block_stays_in_its_element(text: str) -> None:
    line = chunks.block("row", {text: text})
    assert line.count(b"<") == line.count(b">") == 2
    assert b"\n" not in line
    assert blocks(line) == [("row", {text: text})]


def test_a_packed_block_is_smaller() -> None:
    value = {"text": "the same words " * 100}
    packed = chunks.packed("session", value)
    assert len(packed) < len(chunks.block("session", value)) / 4
    assert blocks(packed) == [("session", value)]
    assert packed == chunks.packed("session", value)  # no time of compression


def test_the_head_allows_its_own_script_only_and_no_connection() -> None:
    text = head().decode()
    policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    # `ReportFile.finish` finds the id of the run in the first line.
    assert "20261129T181500Z-3fa2c1" in text.splitlines()[0]
    assert len(text.encode()) < 80_000
    assert text.endswith("\n")
