"""A small HTML page in one file: no script, no network, light and dark."""

from __future__ import annotations

from html import escape
from pathlib import Path

from pytest_realtime_asr.text.messages import printable

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #595959; --line: #c4c4c4;
  --paper: #fff; --mark: #0b5cad; --bad: #b00020; --good: #1b6e2d; --open: #8a5a00 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --soft: #b4b4b4; --line: #4d4d4d; --paper: #161616;
    --mark: #7ab8ff; --bad: #ff8a95; --good: #7fd492; --open: #f0bb55 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper);
  max-width: 60rem; margin: 1rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 1.6rem 0 .3rem }
p, li { overflow-wrap: anywhere }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line);
  text-align: left; font-variant-numeric: tabular-nums; vertical-align: top }
svg { width: 100%; min-width: 32rem; height: auto; display: block }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft) }
.axis { stroke: var(--line) } .line { stroke: var(--mark); fill: none; stroke-width: 2 }
.dot { fill: var(--mark) } .whisker { stroke: var(--mark); opacity: .6 }
.hollow { fill: var(--paper); stroke: var(--mark) }
.shift { stroke-width: 1.5; stroke-dasharray: 4 3 }
.shift.worse { stroke: var(--bad) } .shift.better { stroke: var(--good) }
.worse, .FAIL { color: var(--bad); font-weight: 600 }
.better, .PASS { color: var(--good); font-weight: 600 }
.INCONCLUSIVE { color: var(--open); font-weight: 600 }
svg text.worse { fill: var(--bad) } svg text.better { fill: var(--good) }
"""


def page(title: str, body: str) -> str:
    """Return the page; ``title`` is a text, and ``body`` is HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<main>\n<h1>{text(title)}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Return a value as HTML text; markup and control characters are escaped."""
    return escape(printable(str(value)))


def markdown(value: object) -> str:
    """Return a value as a Markdown text; characters with a meaning are escaped."""
    shown = printable(str(value))
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|" else sign for sign in shown)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return an HTML table; the cells are HTML, and the first of a row is its head."""
    heads = "".join(f'<th scope="col">{text(each)}</th>' for each in head)
    lines = [
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    ]
    return (
        f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{heads}</tr></thead>\n'
        "<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>\n"
    )


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; the cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(path: Path, found: str) -> None:
    """Write a page or a Markdown text. Raises OSError."""
    path.write_text(found, encoding="utf-8")
