"""Makes texts printable, short and one line long, so that a message can quote them."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

_LONGEST_LINE = 1000  # characters
_LONGEST_ERROR = 200  # characters
_COMMAND = re.compile(r"(?:(?<=\s)|^):(?=:\w)|#(?=#(?:\[|vso\[|teamcity\[))")


def printable(text: str) -> str:
    """Return the text of a server or a file, made safe for a terminal and a log.

    Line breaks and control characters are replaced by escapes. A CI service reads a
    text such as ``::error::`` or ``##[error]`` as a command, so the first character of
    such a text is replaced too.
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
    """Return a text as one printable line; the middle of a long text is left out."""
    if len(text) > _LONGEST_LINE:
        half = _LONGEST_LINE // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return printable(text)


def shortened(text: str, most: int = 600) -> str:
    """Return a text; if it exceeds ``most`` characters, its middle is left out.

    The trace of the session still contains the whole text.
    """
    if len(text) <= most:
        return text
    head, tail = 2 * most // 3, most // 3
    left = f"{len(text) - head - tail:,} characters left out"
    return f"{text[:head]} ... ({left}) ... {text[-tail:]}"


def error_text(error: Exception, *, private: bool = False) -> str:
    """Return one short line with an exception's type, message, file and line number.

    For an OSError, only the message is returned, since it is clear without the type and
    the file. If ``private`` is true, only the type is returned, since the message may
    quote a transcript.
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
