"""Tests of the page of the metrics: it agrees with the declarations of the metrics."""

from __future__ import annotations

import re

from pytest_realtime_asr.metrics import DECLARED
from pytest_realtime_asr.report import metrics_page
from tests.support.paths import ROOT


def test_the_page_of_the_metrics_agrees_with_the_declarations() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert text == metrics_page.page()
    entries = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    assert sorted(entries) == sorted(DECLARED)
    for name, entry in entries.items():
        metric = DECLARED[name]
        fields = dict(re.findall(r"^- \*\*([\w ]+)\*\*: (.+)$", entry, re.M))
        assert fields["Unit"].endswith(f"; {metric.better} is better")
        assert fields["Unit"].startswith("milliseconds;") is metric.timed
        assert fields["Needs"] == metric.needs
        assert fields.get("No budget") == metric.no_budget
        assert fields.get("Read beside", "").strip("`") == (metric.beside or "")
