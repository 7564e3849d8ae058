"""The data of one session in the page: a row of the table, and the opened row.

All values come from the line of the JSON Lines report, from the session's chart and
from the alignment of its text; nothing is measured here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.alignment import Alignment, kind
from pytest_realtime_asr.report.session_chart import Mark, SessionChart
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.spoken import STEP

MOST_FRAMES = 2_000  # of a session that the page shows
MOST_PAIRS = 2_000  # aligned words of a session that the page shows
LONGEST = 20_000  # characters of a text that the page shows
_OF_A_ROW = 160  # characters of the text in the table
_BEFORE = 5_000  # ms before the audio from which frames are shown
_SPOKEN_TEXT = (Mark.PARTIAL, Mark.FINAL)  # the marks whose text was recognised
Data = dict[str, Any]


def metric_columns() -> list[Data]:
    """Return the name and unit of each metric, and whether lower or higher is better.

    The values of the metrics in a row have the same order.
    """
    return [
        {"name": name, "unit": each.unit, "better": each.better}
        for name, each in CATALOGUE.items()
    ]


def row(line: Mapping[str, Any], label: str, trace: str = "") -> Data:
    """Return the row of an utterance; ``line`` is its line in the JSON Lines report.

    ``label`` names the session in messages. ``trace`` is the path of the trace, empty
    if it is not known yet. The metrics are a list in the order of `metric_columns`.
    """
    values = line.get("metrics") or {}
    premature = line.get("premature") or {}
    return {
        "label": label,
        "test": line.get("test", ""),
        "utterance": line.get("utterance", ""),
        "audio": line.get("audio", ""),
        "counted": line.get("counted", True),
        "purpose": line.get("purpose", "test"),
        "level": line.get("level"),
        "lost": line.get("lost", ""),
        "wer": line.get("wer"),
        "unit": line.get("unit"),
        "metrics": [values.get(name) for name in CATALOGUE],
        "premature": sorted(premature),
        "violations": len(line.get("violations") or ()),
        "text": shortened(str(line.get("text") or ""), _OF_A_ROW),
        "trace": trace,
    }


def detail(
    line: Mapping[str, Any],
    chart: SessionChart | None,
    alignment: Alignment | None,
    *,
    private: bool = False,
) -> Data:
    """Return what the page shows of an utterance when its row is opened.

    In a private run, the result has neither texts nor the loudness of the audio.
    """
    names = (
        *("session", "started", "target", "dialect", "server_version", "language"),
        *("reason", "normalizer", "conditions", "premature", "repeated", "failed"),
    )
    found: Data = {name: line[name] for name in names if line.get(name)}
    found["violations"] = [
        shortened(str(each), LONGEST) for each in line.get("violations") or ()
    ]
    found["metrics"] = line.get("metrics") or {}
    if not private:
        found["reference"] = shortened(str(line.get("reference") or ""), LONGEST)
        found["text"] = shortened(str(line.get("text") or ""), LONGEST)
        if alignment is not None:
            found["pairs"] = [
                [_shown(pair.reference), _shown(pair.hypothesis), kind(pair)]
                for pair in alignment.pairs[:MOST_PAIRS]
            ]
            found["pairs_left_out"] = max(0, len(alignment.pairs) - MOST_PAIRS)
    if chart is not None:
        found["chart"] = _chart(chart, private=private)
    return found


def _shown(text: str | None) -> str | None:
    return None if text is None else shortened(text, 200)


def _chart(chart: SessionChart, *, private: bool) -> Data:
    """Return a chart in a compact form; times are in ms, rounded to a tenth."""
    frames = [each for each in chart.frames if each.at >= -_BEFORE]
    moves = list(dict.fromkeys(each.move for each in frames))
    places = {move: place for place, move in enumerate(moves)}
    found: Data = {
        "seconds": chart.seconds,
        "pace": round(chart.pace, 3),
        "opened": _ms(chart.opened),
        "ready": _ms(chart.ready),
        "end": _ms(chart.end),
        "marks": [
            [
                each.kind.value,
                _ms(each.at),
                ""
                if private and each.kind in _SPOKEN_TEXT
                else shortened(each.text, LONGEST),
                each.kept,
            ]
            for each in chart.marks
        ],
        "moves": moves,
        "frames": [
            [
                each.index,
                int(each.sender is Sender.SERVER),
                _ms(each.at),
                places[each.move],
                _ms(each.late),
                each.samples,
            ]
            for each in frames[:MOST_FRAMES]
        ],
        "frames_left_out": max(0, len(frames) - MOST_FRAMES),
    }
    if chart.spoken is not None and not private:
        found["words"] = [
            [each.text, each.start, each.end] for each in chart.spoken.words
        ]
        found["envelope"] = base64.b64encode(chart.spoken.envelope).decode()
        found["step"] = STEP
    return found


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def ranks(rows: Sequence[tuple[Mapping[str, Any], bool]]) -> list[int]:
    """Return the indexes of the rows, the worst session first.

    Each row is a line of the JSON Lines report, with a flag that says whether the
    session failed. Lost sessions come first, then failed ones; sessions that are
    otherwise equal are sorted by error rate, the highest first.
    """

    def badness(index: int) -> tuple[bool, bool, float]:
        line, failed = rows[index]
        return bool(line.get("lost")), failed, line.get("wer") or 0.0

    return sorted(range(len(rows)), key=badness, reverse=True)
