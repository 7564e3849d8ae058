"""A key, and the spellings in which a server may send it back."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from urllib.parse import quote

KEY = 'sk-Q7/vX+w2=Zr"9LmT4é/Hb8+Kd=3Nf6Yp1Gc5Jx'  # 40 characters and two


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def _units(text: str, spell: Callable[[int], str]) -> str:
    return "".join(spell(ord(sign)) for sign in text)


def _times(count: int, spell: Callable[[str], str], text: str) -> str:
    for _ in range(count):
        text = spell(text)
    return text


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "json": _escaped,
    "json-utf8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json-slash": lambda text: _escaped(text).replace("/", "\\/"),
    "json-plus": lambda text: _escaped(text).replace("+", "\\u002b"),
    "json-plus-upper": lambda text: _escaped(text).replace("+", "\\u002B"),
    "json-all": lambda text: _units(text, "\\u{:04x}".format),
    "json-all-upper": lambda text: _units(text, "\\u{:04X}".format),
    "json-html": lambda text: _units(
        text, lambda n: chr(n) if chr(n).isalnum() and n < 128 else f"\\u{n:04x}"
    ),
    "json-twice": lambda text: _escaped(_escaped(text)),
    "json-thrice": lambda text: _escaped(_escaped(_escaped(text))),
    "percent": lambda text: quote(text, safe=""),
    "percent-lower": lambda text: _units(
        text, lambda n: chr(n) if chr(n).isalnum() and n < 128 else f"%{n:02x}"
    ),
    "percent-all": lambda text: "".join(f"%{n:02X}" for n in text.encode()),
    "percent-in-json": lambda text: quote(text, safe="").replace("%", "\\u0025"),
    "html": lambda text: html.escape(text),
    "html-decimal": lambda text: _units(text, "&#{};".format),
    "html-hex": lambda text: _units(text, "&#x{:X};".format),
    "html-names": lambda text: (
        (text.replace("/", "&sol;").replace("+", "&plus;").replace("=", "&equals;"))
        .replace('"', "&quot;")
        .replace("é", "&eacute;")
    ),
    "html-in-json": lambda text: _escaped(html.escape(text)),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64-url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64-after": lambda text: base64.b64encode(f"Bearer {text}".encode()).decode(),
    "base64-pair": lambda text: base64.b64encode(f"ab:{text}:c".encode()).decode(),
    "base64-utf16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex-upper": lambda text: text.encode().hex().upper(),
    "utf16": lambda text: text.encode("utf-16-le").decode("latin-1"),
    "upper": str.upper,
    "lower": str.lower,
    "json-braces": lambda text: _units(text, "\\u{{{:x}}}".format),
    "json-long": lambda text: _units(text, "\\U{:08x}".format),
    "percent-u": lambda text: _units(text, "%u{:04X}".format),
    "percent-six-times": lambda text: _times(
        6, lambda each: quote(each, safe=""), text
    ),
    "html-bare": lambda text: _units(text, "&#{}".format),
    "html-padded": lambda text: _units(text, "&#x{:08x};".format),
    "utf8-as-latin1": lambda text: text.encode().decode("latin-1"),
    "python": lambda text: repr(f"'{text}")[2:-1],
}
