"""Tests of the page of the markers: it agrees with the declarations of the markers."""

from __future__ import annotations

import re

import pytest

from pytest_realtime_asr.plugin.markers import ARGUMENTS, EXAMPLES
from pytest_realtime_asr.plugin.options import MARKERS
from pytest_realtime_asr.report import markers_page
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/markers.md").read_text()


def test_the_page_of_the_markers_is_current() -> None:
    assert markers_page.page(MARKERS, ARGUMENTS, EXAMPLES) == PAGE
    assert re.findall(r"^## `(\w+)`$", PAGE, re.M) == list(MARKERS)


@pytest.mark.parametrize("name", MARKERS)
def test_each_argument_of_a_marker_is_explained(name: str) -> None:
    signature = MARKERS[name].partition("): ")[0].strip("(")
    arguments = re.findall(r"(\w+)(?:=[^,]*)?(?:, |$)", signature.replace("*, ", ""))
    explained = [each for names in ARGUMENTS[name] for each in names.split(", ")]
    assert explained == arguments
