"""A small HTML page in one file, without scripts, in light or dark colours."""

from __future__ import annotations

from html import escape
from pathlib import Path

from pytest_realtime_asr.report.page import document
from pytest_realtime_asr.text.messages import printable

_LONGEST = 40  # characters of a cell that is not broken into lines
_LONG = ' class="long"'


def page(title: str, body: str) -> str:
    """Return the page; ``title`` is plain text, and ``body`` is HTML."""
    shown = text(title)
    return (
        f'<!doctype html>\n<html lang="en">{document.head(shown)}\n'
        f"<body>\n<main>\n<h1>{shown}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Return a value as HTML text; markup and control characters are escaped."""
    return escape(printable(str(value)))


def markdown(value: object) -> str:
    """Return a value as Markdown; characters with a meaning in Markdown are escaped."""
    shown = printable(str(value))
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|" else sign for sign in shown)


def table(name: str, head: list[str], rows: list[list[str]]) -> str:
    """Return an HTML table; a narrow screen shows each row as a block.

    The cells are HTML, and the first cell of a row is its head. ``name`` is the name of
    the table for a screen reader. Each element states its ARIA role, since it loses its
    own role when it is shown as a block.
    """
    heads = "".join(
        f'<th role="columnheader" scope="col">{text(each)}</th>' for each in head
    )
    lines = [
        f'<tr role="row"><th role="rowheader" scope="row">{first}</th>'
        + "".join(
            f'<td role="cell"{_LONG if len(cell) > _LONGEST else ""} '
            f'data-name="{text(title)}">{cell}</td>'
            for title, cell in zip(head[1:], cells, strict=True)
        )
        + "</tr>"
        for first, *cells in rows
    ]
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{text(name)}">'
        '<table role="table">\n<thead role="rowgroup"><tr role="row">'
        f'{heads}</tr></thead>\n<tbody role="rowgroup">\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>\n"
    )


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; the cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(path: Path, found: str) -> None:
    """Write a page or a Markdown text. Raises OSError."""
    path.write_text(found, encoding="utf-8")
