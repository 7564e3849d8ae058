"""The head of a self-contained HTML page: style, script and Content Security Policy.

The page of a run, the trend and the sign-off share the style.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


def head(title: str, *, script: str = "") -> str:
    """Return the head element of a page; ``title`` is HTML.

    The policy of the page allows only the style and the script of the page, and no
    connection.
    """
    style = asset("page.css")
    sources = [f"style-src '{_digest(style)}'"]
    if script:
        sources += [f"script-src '{_digest(script)}'", "media-src data:"]
    policy = "; ".join(
        ["default-src 'none'", *sources, "base-uri 'none'", "form-action 'none'"]
    )
    element = f"<script>{script}</script>" if script else ""
    return (
        '<head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n{element}</head>"
    )


@cache
def asset(name: str) -> str:
    """Return the text of a file of this package."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the hash by which the policy allows an inline style or script."""
    value = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(value).decode()}"
