"""Generates the pages of `docs/` that come from data; `--check` compares them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.report import metrics_page, reference_pages

DOCS = Path(__file__).parents[1] / "docs"
DIALECTS = ("vllm", "openai")  # each has a section


def pages() -> dict[Path, str]:
    """Return the text of each generated page, by its file."""
    sections = [reference_pages.conformance(dialects.load(name)) for name in DIALECTS]
    return {
        DOCS / "conformance.md": "\n".join(sections),
        DOCS / "metrics.md": metrics_page.page(),
    }


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
