"""The HTML page of a trend: well formed, escaped, equal to the other views."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pytest_realtime_asr.report import trend as view
from pytest_realtime_asr.report.trend_page import html
from pytest_realtime_asr.verdicts.trend import Trend, trend
from tests.support.nights import night, nights


@pytest.fixture(scope="module")
def slower() -> Trend:
    return trend(nights(0.2))


def parsed(found: Trend) -> ElementTree.Element:
    """The main part of the page; it is an error if it is not well formed."""
    text = html(found)
    end = "</main>"
    return ElementTree.fromstring(text[text.index("<main>") : text.index(end)] + end)


def test_the_page_is_well_formed_and_draws_every_run(slower: Trend) -> None:
    drawings = parsed(slower).findall(".//svg")
    assert len(drawings) == len(slower.series)
    assert len(drawings[0].findall("circle")) == 10
    kinds = [each.attrib["class"] for each in drawings[0].findall("path")]
    assert [kind for kind in kinds if "shift" in kind] == ["shift worse"]


def test_a_drawing_has_a_description(slower: Trend) -> None:
    label = parsed(slower).findall(".//svg")[0].attrib["aria-label"]
    assert "final_from_commit p50 of each run; worse from 06.jsonl on" in label


def test_the_numbers_equal_those_of_the_other_views(slower: Trend) -> None:
    text = "".join(parsed(slower).itertext())
    for cells in view.cells_of(slower):
        assert all(cell in text for cell in cells)


def test_a_hostile_name_is_escaped() -> None:
    found = html(trend([night(1, name='"><script>x</script>')]))
    assert "<script" not in found
    assert "&lt;script&gt;" in found


def test_the_page_needs_no_network(slower: Trend) -> None:
    found = html(slower)
    assert "://" not in found
    assert len(found) < 60_000
