"""Annotations: their form, their number and the characters that are escaped."""

from __future__ import annotations

from pytest_realtime_asr.report import github_annotations
from tests.support.summaries import failure


def test_the_form_of_an_annotation() -> None:
    assert github_annotations.lines([failure()]) == [
        "::error file=tests/test_it.py,line=12,"
        "title=tests/test_it.py%3A%3Atest_late::final_from_commit p95 = 912 ms > 800 ms"
    ]


def test_an_unknown_path_or_line_is_left_out() -> None:
    (line,) = github_annotations.lines([failure("t", path="", line=3)])
    assert line.startswith("::error title=t::")
    (line,) = github_annotations.lines([failure("t", path="a,b.py", line=None)])
    assert line.startswith("::error file=a%2Cb.py,title=t::")


def test_a_text_cannot_start_a_second_command() -> None:
    text = "100% late\n::error::evil\r##[error]evil"
    (line,) = github_annotations.lines([failure("a::b[x,y]", headline=text)])
    assert len(line.splitlines()) == 1
    assert line.endswith(
        "title=a%3A%3Ab[x%2Cy]::100%25 late\\n::error::evil\\r\\x23#[error]evil"
    )


def test_github_shows_only_ten_errors() -> None:
    failures = [failure(f"t{i}") for i in range(12)]
    found = github_annotations.lines(failures)
    assert len(found) == github_annotations.MOST == 10
    assert "title=t9::" in found[-1]
