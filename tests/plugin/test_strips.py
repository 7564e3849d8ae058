"""The strips of a failure: in the terminal and in JUnit XML, and not with -qq."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.support.project import Project

WRONG = """
from dataclasses import replace

@pytest.mark.wer_threshold(0.01)
def test_wrong(realtime, corpus):
    clip = corpus["turn-right"]
    realtime.transcribe(replace(clip, text=f"hippopotamus {clip.text}"))
"""
ROWS = ("  audio ", "  said ", "  heard ", "commit", "  s     |0")
SPLIT = pytest.param(("-n1",), marks=pytest.mark.slow)


@pytest.mark.parametrize("workers", [(), SPLIT])
def test_a_strip_is_in_the_terminal_and_in_junit_xml(
    project: Project, workers: tuple[str, ...]
) -> None:
    project.write(WRONG)
    done = project.run("--junitxml=out.xml", *workers, apart=bool(workers))
    done.assert_outcomes(failed=1)
    (failure,) = ElementTree.parse(project.path / "out.xml").iter("failure")
    assert "\n" not in failure.attrib["message"]
    for text in (done.stdout.str(), failure.text or ""):
        assert all(row in text for row in ROWS)
        assert text.count("  audio ") == 1


def test_a_quiet_run_has_no_strip(project: Project) -> None:
    project.write(WRONG)
    said = project.run("-qq").stdout.str()
    assert "ref: hippopotamus" in said
    assert "  audio " not in said


def test_the_colours_are_only_in_the_terminal(project: Project) -> None:
    project.write(WRONG)
    done = project.run("--color=yes", "--junitxml=out.xml")
    said = done.stdout.str()
    assert "\x1b[1m^commit\x1b[0m" in said or "\x1b[1mcommit^\x1b[0m" in said
    (failure,) = ElementTree.parse(project.path / "out.xml").iter("failure")
    assert "  heard " in (failure.text or "")
    assert "[1m" not in (failure.text or "")
