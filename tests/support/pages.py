"""HTML pages of made-up runs, and the browser that opens them."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.page import chunks, session_data
from pytest_realtime_asr.report.page.appender import session_line
from pytest_realtime_asr.run.identity import RunIdentity

RUN = RunIdentity("20261129T181500Z-3fa2c1", target="ws://server:8000")
_BLOCK = re.compile(
    r'<script type="application/json" data-kind="(\w+)">(.*?)</script>', re.DOTALL
)


def blocks(page: bytes | str) -> list[tuple[str, Any]]:
    """The kinds and the values of the data blocks of a page, unpacked."""
    text = page if isinstance(page, str) else page.decode()
    found = []
    for kind, written in _BLOCK.findall(text):
        value = json.loads(written)
        if kind == "session":
            value = json.loads(gzip.decompress(base64.b64decode(value)))
        found.append((kind, value))
    return found


def of(page: bytes | str, kind: str) -> list[Any]:
    """The values of the data blocks of one kind."""
    return [value for name, value in blocks(page) if name == kind]


def head() -> bytes:
    """The head of a page."""
    return chunks.head({"run": RUN.id, "target": RUN.target}, columns())


def columns() -> list[dict[str, Any]]:
    """The metrics of a page."""
    return session_data.metric_columns()


def page(
    take: Transcription, count: int, *, verdict: Mapping[str, Any] | None = None
) -> bytes:
    """A page of many sessions, which differ by their utterance and their final."""
    written = session_line(jsonl.line("test_it.py::test_it", take, RUN), take)
    (row,), (detail,) = of(written, "row"), of(written, "session")
    at = [each["name"] for each in columns()].index("final_from_commit")
    lines = [head(), chunks.block("verdict", verdict or VERDICT) + b"\n"]
    for number in range(count):
        metrics = list(row["metrics"])
        metrics[at] = 100.0 + number
        made = {**row, "utterance": f"clip-{number:04}", "metrics": metrics}
        lines.append(
            chunks.block("row", {**made, "label": f"sess-{number}"})
            + chunks.packed("session", {**detail, "session": f"sess-{number}"})
            + b"\n"
        )
    return b"".join([*lines, chunks.block("end", {"interrupted": False})])


VERDICT: Mapping[str, Any] = {
    **{"subject": "budget", "metric": "final_from_commit", "statistic": "max"},
    **{"unit": "ms", "value": 109.0, "side": "<=", "limit": 104.5, "interval": None},
    **{"n": 10, "lost": 0, "premature": 0, "verdict": "FAIL", "fails": True},
    **{"reason": "", "beyond": False, "test": "test_it.py::test_it"},
}


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium, or Chrome, without a window; skips where a part is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    with api.sync_playwright() as playwright:
        # Debian has the first, and the Linux images of GitHub Actions have the second.
        # `playwright install chromium` installs the last.
        known = (*map(shutil.which, ("chromium", "google-chrome")),)
        paths = [path for path in known if path] or [
            playwright.chromium.executable_path
        ]
        if not Path(paths[0]).is_file():
            pytest.skip(
                "Chromium is missing; install it with `apt-get install chromium` or "
                "`playwright install chromium`"
            )
        browser = playwright.chromium.launch(
            executable_path=paths[0], args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def complaints(tab: Any) -> list[tuple[str, list[str]]]:
    """The serious and critical findings of axe-core in a page, with some elements."""
    package = pytest.importorskip("axe_playwright_python")
    tab.evaluate((Path(package.__file__).parent / "axe.min.js").read_text())
    found = tab.evaluate("async () => (await axe.run()).violations")
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def hidden_columns(tab: Any) -> int:
    """How many pixels of a page are to the right of its window."""
    found: int = tab.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found


@contextmanager
def opened(
    browser: Any, path: Path, *, ready: str = "main[data-ready]", **context: Any
) -> Iterator[Any]:
    """A page that has drawn its report; fails if the script or the policy complains.

    ``ready`` selects an element that the page has when it is drawn.
    """
    told: list[str] = []
    tab = browser.new_page(**context)
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("console", lambda message: told.append(message.text))
    tab.goto(path.as_uri())
    tab.wait_for_selector(ready, timeout=20_000)
    yield tab
    tab.close()
    assert told == []
