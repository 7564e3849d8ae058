"""The page of all metrics, made from their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from pytest_realtime_asr.metrics import CATALOGUE, Group, Metric

_FIELD = re.compile(r"(Formula|Unit|Zero|Needs|Better|Source): ", re.MULTILINE)
_SUFFIX = {
    "ms": "in milliseconds",
    "ratio": "a ratio",
    "count": "a count",
    "per_minute": "for each minute",
}


def page() -> str:
    """The page, in Markdown: a section for each group, an entry for each metric."""
    lines = [
        "# Metrics",
        "",
        "This page is made from the docstrings of the metrics by `tools/make_docs.py`.",
        "",
        "Each is a pure function of what was recorded of one utterance and, where it "
        "needs one, of its reference. One whose needs are not met has no value, and is "
        "never a zero. *due(x)* is the time at which the audio of position x was due "
        "to be handed over, never the time at which it was: a server that does not "
        "take our audio shows as latency. Where no word is timed, the speech begins "
        "and ends where the energy of the sound says so (`audio.speech`). A *budget* "
        "may be set on a metric unless it says why not: by `latency_budget` on what is "
        "in milliseconds, by `budget` on the others.",
    ]
    for group in Group:
        lines += ["", f"## {group.value[0].upper()}{group.value[1:]}"]
        for metric in CATALOGUE.values():
            if metric.group is group:
                lines += ["", *_entry(metric)]
    return "\n".join(lines) + "\n"


def _entry(metric: Metric) -> Iterator[str]:
    text = inspect.getdoc(metric.function) or ""
    start = _FIELD.search(text)
    about = text[: start.start()] if start else text
    paragraphs = [" ".join(each.split()) for each in about.split("\n\n")]
    yield f"### {metric.name}"
    for paragraph in filter(None, paragraphs):
        yield ""
        yield paragraph.replace("`None`", "nothing")
    yield ""
    if not metric.gated:
        yield f"- **No budget**: {metric.why}"
    for name, value in _fields(text):
        if name == "Unit":
            value = _SUFFIX[metric.unit.value]
        yield f"- **{name}**: {value}"


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Each field of a docstring, its lines joined."""
    marks = list(_FIELD.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        stop = len(text) if after is None else after.start()
        yield mark[1], " ".join(text[mark.end() : stop].split())
