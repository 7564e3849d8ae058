"""Converts help texts of options and arguments to Markdown."""

from __future__ import annotations

import re

# What a help text quotes: an object of JSON, or text between quotation marks.
_QUOTED = re.compile(r"""(\{[^}]*\})|"([^"]*)"|(?<!\w)'([^']*)'(?!\w)""")
_WORD = re.compile(r"(\(?)(::|\S+?)([),;.:]*)(?=\s|$)")
# A word with one of these is what a user types: an option, a value, a path, a number.
_TYPED = re.compile(r"^--|[_=:/*$]|\.\w")


def sentence(text: str) -> str:
    """Return a help text as a sentence in Markdown."""
    return f"{marked(text[0].upper() + text[1:])}."


def marked(text: str) -> str:
    """Return a help text in Markdown, with all that a user types shown as code."""
    parts, end = [], 0
    for quoted in _QUOTED.finditer(text):
        parts.append(_WORD.sub(_word, text[end : quoted.start()]))
        parts.append(f"`{next(filter(None, quoted.groups()))}`")
        end = quoted.end()
    return "".join([*parts, _WORD.sub(_word, text[end:])])


def _word(found: re.Match[str]) -> str:
    before, word, after = found.groups()
    return f"{before}`{word}`{after}" if _TYPED.search(word) else found[0]
