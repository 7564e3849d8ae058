"""The images of the documentation: small, whole, and each shown with a description."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

IMAGES = sorted((ROOT / "docs/images").glob("*"))
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def test_the_documentation_has_images() -> None:
    assert [path.name for path in IMAGES] == ["page.png", "terminal.png"]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_an_image_is_small_and_whole(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    assert len(data) <= 150_000


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.name)
def test_an_image_is_shown_and_described(path: Path) -> None:
    shown = [
        found[1]
        for page in PAGES
        for found in re.finditer(
            rf"!\[([^\]]*)\]\([\w./]*images/{re.escape(path.name)}\)", page.read_text()
        )
    ]
    assert shown
    assert all(len(text) > 20 for text in shown)
