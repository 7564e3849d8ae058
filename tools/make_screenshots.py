"""Make the images of `docs/images`: the page of a run, and a failure in a terminal.

Both show real runs of a fake server. Chromium draws them: the one on the path, or the
one that `playwright install chromium` has installed. It takes a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
LARGEST = 150_000  # bytes of an image
COLUMNS = 100  # of the terminal
# The server recognises three utterances at a time, and a test sends four.
SERVER = "--capacity 3 --capacity-mode queue --final-delay 150ms"
TESTS = """
import pytest


@pytest.mark.latency_budget("final_from_commit", p95="800ms")
@pytest.mark.wer_threshold(0.12)
def test_four_at_a_time(realtime, corpus):
    realtime.transcribe(corpus, concurrency=4)


@pytest.mark.latency_budget("first_partial_from_speech", p50="1s")
@pytest.mark.latency_budget("final_from_commit", max="500ms")
def test_one_at_a_time(realtime, corpus):
    realtime.transcribe(corpus.sample(4, seed=1))
"""
LATE = """
import pytest


@pytest.mark.latency_budget("final_from_commit", p95="800ms")
def test_short_commands(realtime, corpus):
    realtime.transcribe(corpus.sample(3, seed=1))
"""
INI = """[pytest]
asyncio_default_fixture_loop_scope = function
realtime_target = fake
"""
_CODE = re.compile(r"\x1b\[([\d;]*)m")
_COLOURS = {  # of the codes of a terminal
    "31": "#ff8a8a",
    "32": "#8ad98a",
    "33": "#f0c674",
    "34": "#8ab8ff",
    "35": "#d7a0ff",
    "36": "#7fd7d7",
    "90": "#9aa2ad",
}
_TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #14171b; }
pre { margin: 0; padding: 14px 18px; display: inline-block; color: #e8eaed;
  width: 101ch; white-space: pre-wrap; word-break: break-all;
  font: 13px/1.35 "DejaVu Sans Mono", monospace; }
</style><pre>%s</pre>"""


def main() -> int:
    """Make both images. Raises ValueError if one is too large."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        project = Path(name)
        path = shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"]
        )
        (project / "pytest.ini").write_text(INI)
        run(project, TESTS, SERVER, "--realtime-report=report.html")
        photograph_page(browser, project / "report.html", FOLDER / "page.png")
        output = run(project, LATE, "--final-delay 1200ms", "--color=yes")
        shown = _TERMINAL % "\n".join(html(failure(output)))
        (project / "terminal.html").write_text(shown, encoding="utf-8")
        photograph_terminal(browser, project / "terminal.html", FOLDER / "terminal.png")
        browser.close()
    return 0


def run(project: Path, tests: str, server: str, *options: str) -> str:
    """Return the output of a run whose tests must fail."""
    (project / "test_commands.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    ended = subprocess.run(
        [*command, f"--realtime-fake={server}"],
        cwd=project,
        env={**os.environ, "COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 1:
        raise ValueError(f"the tests do not fail as they should:\n{ended.stdout}")
    return ended.stdout


def failure(output: str) -> list[str]:
    """Return the lines of a failure, up to the strip of its second session."""
    lines = output.splitlines()
    plain = [_CODE.sub("", line) for line in lines]
    start = next(n for n, line in enumerate(plain) if " FAILURES " in line)
    strips = [n for n, line in enumerate(plain) if line.startswith("  audio ")]
    stop = next(
        n for n, line in enumerate(plain) if n > strips[1] and line.startswith("  s ")
    )
    return lines[start : stop + 1]


def html(lines: list[str]) -> Iterator[str]:
    """Yield each line as HTML, with the colours of its escape sequences."""
    for line in lines:
        first, *pieces = _CODE.split(line)
        found, bold, colour = escape(first), False, ""
        for codes, text in zip(pieces[::2], pieces[1::2], strict=True):
            for code in codes.split(";"):
                if code in ("", "0"):
                    bold, colour = False, ""
                elif code == "1":
                    bold = True
                else:
                    colour = _COLOURS.get(code, colour)
            style = f"color: {colour};" if colour else ""
            style += "font-weight: bold" if bold else ""
            found += f'<span style="{style}">{escape(text)}</span>'
        yield found


def photograph_page(browser: Browser, page: Path, image: Path) -> None:
    """Write the image of the upper part of a page, in the light theme."""
    tab = browser.new_page(
        viewport={"width": 1180, "height": 1000}, color_scheme="light"
    )
    tab.goto(page.as_uri())
    tab.wait_for_selector("main[data-ready]")
    tab.screenshot(path=image)
    _check(image)


def photograph_terminal(browser: Browser, page: Path, image: Path) -> None:
    """Write the image of the output of a terminal."""
    tab = browser.new_page(viewport={"width": 1000, "height": 800})
    tab.goto(page.as_uri())
    tab.locator("pre").screenshot(path=image)
    _check(image)


def _check(image: Path) -> None:
    size = image.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{image}: {size} bytes; at most {LARGEST} are allowed")
    print(image, size)


if __name__ == "__main__":
    sys.exit(main())
