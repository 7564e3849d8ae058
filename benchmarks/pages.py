"""What the HTML page costs a run, how large it is, and how fast a browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison, in_turns

SESSIONS = 40  # of a run of pytest
COUNTS = (2_000, 200)  # sessions of the pages that are compared
_TEST = f"""
def test_sessions(realtime, corpus):
    for _ in range({SESSIONS}):
        realtime.transcribe(corpus["turn-right"])
"""
_SESSION = re.compile(rb'<script [^>]*data-kind="row">.*\n')
_KIB = 1024


def compare(url: str, *, rounds: int) -> Iterator[Comparison]:
    """Compare runs with the page and without it, and pages of 2,000 and 200 sessions.

    The sizes are for sessions that are as long as the clip of the run. Rendering is
    left out without Playwright and Chromium.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_page.py").write_text(_TEST)
        (folder / "pytest.ini").write_text("[pytest]\n")
        page = folder / "out.html"
        own, plain = in_turns(
            lambda: _run(folder, url, f"--realtime-report={page}"),
            lambda: _run(folder, url),
            rounds=rounds,
        )
        yield Comparison(f"pytest, {SESSIONS} sessions, with a page", "s", own, plain)
        files = [_page(page, count) for count in COUNTS]
        large, small = files
        yield Comparison(
            "page of 2,000 sessions beside 200",
            "KiB",
            [large.stat().st_size / _KIB],
            [small.stat().st_size / _KIB],
        )
        path = shutil.which("chromium")
        if path is None or find_spec("playwright") is None:
            return
        yield Comparison(
            "first paint of 2,000 sessions beside 200",
            "ms",
            *_shown(path, large, small, rounds=rounds),
        )


def _run(folder: Path, url: str, *options: str) -> float:
    """Return the time in s of a run of pytest."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    words = [
        f"--realtime-target={url}",
        "--realtime-dialect=vllm",
        "--realtime-model=any",
    ]
    words += ["--realtime-pace=32", "--realtime-warmup=0", *options]
    begun = time.monotonic()
    done = subprocess.run(
        [*command, *words], cwd=folder, capture_output=True, text=True, timeout=300
    )
    took = time.monotonic() - begun
    if " passed" not in done.stdout and " failed" not in done.stdout:
        raise RuntimeError(f"pytest has run no test:\n{done.stdout}{done.stderr}")
    return took


def _page(page: Path, count: int) -> Path:
    """Write a page with the sessions of ``page``, repeated up to ``count``."""
    text = page.read_bytes()
    lines = _SESSION.findall(text)
    first = text.index(lines[0])
    made = page.with_name(f"{count}.html")
    repeated = (lines * (count // len(lines) + 1))[:count]
    made.write_bytes(text[:first] + b"".join(repeated))
    return made


def _shown(
    path: str, own: Path, plain: Path, *, rounds: int
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the times in ms until Chromium has drawn each of two pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )

        def shown(page: Path) -> float:
            tab: Any = browser.new_page()
            begun = time.monotonic()
            tab.goto(page.as_uri())
            tab.wait_for_selector("main[data-ready]", timeout=60_000)
            took = time.monotonic() - begun
            tab.close()
            return 1e3 * took

        found = in_turns(lambda: shown(own), lambda: shown(plain), rounds=rounds)
        browser.close()
    return found
