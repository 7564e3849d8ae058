"""Generates the pages of `docs/` that come from data; `--check` compares them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest_realtime_asr
from pytest_realtime_asr import dialects
from pytest_realtime_asr.cli.main import parser
from pytest_realtime_asr.conformance import exchanges
from pytest_realtime_asr.plugin import fixtures, markers
from pytest_realtime_asr.plugin.options import GROUPS, MARKERS
from pytest_realtime_asr.report import (
    commands_page,
    fixtures_page,
    markers_page,
    metrics_page,
    options_page,
    protocol_pages,
    python_page,
    reference_pages,
)

DOCS = Path(__file__).parents[1] / "docs"
PROTOCOLS = DOCS / "protocols"
# Of the page of requirements.
SECTIONS = ("vllm", "openai", "sglang-omni", "vosk", "deepgram")
DIALECTS = (
    "vllm",
    "openai",
    "openai-beta",
    "sglang-omni",
    "vosk",
    "deepgram",
)  # each has the page of its protocol


def pages() -> dict[Path, str]:
    """Return the text of each generated page, by its file."""
    sections = [reference_pages.conformance(dialects.load(name)) for name in SECTIONS]
    return {
        DOCS / "conformance.md": "\n".join(sections),
        DOCS / "commands.md": commands_page.page(parser()),
        DOCS / "fixtures.md": fixtures_page.page(
            Path(fixtures.__file__).read_text(), internal=fixtures.INTERNAL
        ),
        DOCS / "guide/options.md": options_page.page(GROUPS),
        DOCS / "markers.md": markers_page.page(
            MARKERS, markers.ARGUMENTS, markers.EXAMPLES
        ),
        DOCS / "metrics.md": metrics_page.page(),
        DOCS / "python.md": python_page.page(
            [getattr(pytest_realtime_asr, n) for n in pytest_realtime_asr.__all__]
        ),
        **{PROTOCOLS / f"{name}.md": protocol(name) for name in DIALECTS},
    }


def protocol(name: str) -> str:
    """Return the page of a protocol, with the exchanges that are kept beside it."""
    kept = (PROTOCOLS / f"{name}.jsonl").read_text()
    return protocol_pages.page(name, exchanges.loads(kept))


def main() -> int:
    """Write the pages; with ``--check``, print the pages that are out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [
        file
        for file, text in pages().items()
        if not file.exists() or file.read_text() != text
    ]
    for file in stale:
        if check:
            print(f"{file} is out of date: run tools/make_docs.py")
        else:
            file.write_text(pages()[file])
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
