"""The pieces of an HTML page: its head, and the data that follow line by line.

The head has the style and the script. Each further line of the file has data blocks:
``<script type="application/json">`` elements, which a browser does not run. The script
reads the blocks that exist so far. So a process of the run can append a line when a
session ends, and the page of a killed run has all sessions that had ended.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping

import msgspec

from pytest_realtime_asr.report.page import document

# The parts of the script, which share their names; the last one draws the page.
_SCRIPTS = ("data.js", "results.js", "sessions.js", "session.js", "page.js")
# A data block must not end its element, open a comment or break a line.
_ESCAPES = {
    b"<": b"\\u003c",
    b">": b"\\u003e",
    b"&": b"\\u0026",
    "\u2028".encode(): b"\\u2028",
    "\u2029".encode(): b"\\u2029",
}


def block(kind: str, value: object) -> bytes:
    """Return a data block; ``kind`` tells the script what the value is."""
    text = msgspec.json.encode(value)
    for plain, escaped in _ESCAPES.items():
        text = text.replace(plain, escaped)
    opening = f'<script type="application/json" data-kind="{kind}">'
    return opening.encode() + text + b"</script>"


def packed(kind: str, value: object) -> bytes:
    """Return a data block whose value is compressed: base64 of gzip of JSON."""
    text = gzip.compress(msgspec.json.encode(value), mtime=0)
    return block(kind, base64.b64encode(text).decode())


def fragment(kind: str, html: str) -> bytes:
    """Return a piece of HTML that the script inserts into the page unchanged.

    ``html`` must be complete, and its texts must be escaped.
    """
    line = html.replace("\n", " ")
    return f'<template data-kind="{kind}">{line}</template>'.encode()


def head(run: Mapping[str, object], metrics: object) -> bytes:
    """Return the first lines of a page.

    ``run`` has the fields of the report's line about the run. ``metrics`` describes the
    metrics, in the order of their values in each row of the table.
    """
    shown = msgspec.json.encode(run.get("run", "")).decode()
    name = "".join(char for char in shown if char.isalnum() or char == "-")
    script = "\n".join(map(document.asset, _SCRIPTS))
    first = document.head("Realtime ASR report", script=script)
    return (
        f"<!doctype html><!-- run {name} -->\n"
        f'<html lang="en">{first}\n'
        '<body><main id="page"><noscript>This page needs JavaScript to show the '
        "report.</noscript></main>\n"
    ).encode() + b"%b\n%b\n" % (block("run", run), block("metrics", metrics))
