"""Texts that a message quotes: printable, on one line, of limited length."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

_LONGEST_LINE = 1000  # characters
_LONGEST_ERROR = 200  # characters
_COMMAND = re.compile(r"(?:(?<=\s)|^):(?=:\w)|#(?=#(?:\[|vso\[|teamcity\[))")


def printable(text: str) -> str:
    """Return a text of a server or a file that is safe in a terminal and a log.

    Line breaks and control characters become escapes, and so does the first character
    of what a CI service takes for a command (``::error::``, ``##[error]``).
    """
    if not text.isprintable():
        text = "".join(
            sign if sign.isprintable() else sign.encode("unicode_escape").decode()
            for sign in text
        )
    if "::" in text or "##" in text:
        text = _COMMAND.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return text


def one_line(text: str) -> str:
    """Return the text as one printable line, without the middle of a long one."""
    if len(text) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return printable(text)


def shortened(text: str, most: int = 600) -> str:
    """Return the text without its middle if it is longer than ``most`` characters.

    A message may quote a long text; the trace holds all of it.
    """
    if len(text) <= most:
        return text
    head, tail = 2 * most // 3, most // 3
    left = f"{len(text) - head - tail:,} characters left out"
    return f"{text[:head]} ... ({left}) ... {text[-tail:]}"


def error_text(error: Exception, *, private: bool = False) -> str:
    """Return the message of an exception as one short line, with file and line number.

    The message of an OSError stands alone, since a user understands it without its
    type. With ``private``, return the type of the exception only: its message may quote
    a transcript.
    """
    if private:
        return type(error).__name__
    message = getattr(error, "strerror", None) or error
    text = printable(" ".join(str(message).split()))
    text = f"{text[:_LONGEST_ERROR]}..." if len(text) > _LONGEST_ERROR else text
    if isinstance(error, OSError) and text:
        return text
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    for frame in traceback.extract_tb(error.__traceback__)[-1:]:
        text += f" ({Path(frame.filename).name}:{frame.lineno})"
    return text
