"""Validation of user input: files, TOML, JSON, numbers and strings.

Invalid input raises `InputError`, whose message is one printable line. Only regular
files are opened, since a named pipe or a device may block for ever. Python raises
errors of several types for unusual input, such as deeply nested content, a number with
too many digits, bytes that are not UTF-8, or a path that contains a NUL. Only this
module turns such an error into an `InputError`.
"""

from __future__ import annotations

import codecs
import math
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pytest_realtime_asr.text.messages import one_line

_MIB = 2**20
_DOTS = 100  # most dots in a key of TOML
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"0*(\d{1,18})", re.ASCII)
_KINDS = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


class InputError(ValueError):
    """The error for input that cannot be used; its message is one printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@contextmanager
def reading(place: object = "") -> Iterator[None]:
    """Turn the errors that Python raises for invalid content into `InputError`.

    The message starts with ``place``, such as the path of a file.
    """
    at = f"{place}: " if str(place) else ""
    try:
        yield
    except InputError as error:
        raise InputError(f"{at}{error}") from error
    except RecursionError as error:
        raise InputError(f"{at}the content is nested too deeply") from error
    except (ValueError, OverflowError) as error:
        raise InputError(f"{at}{error}") from error


# Files


def status(path: Path) -> os.stat_result:
    """Return the status of a file or folder. Raises `InputError` on failure."""
    try:
        return path.stat()
    except FileNotFoundError:
        why = "there is no such file or folder"
    except OSError as error:  # the path is too long, a loop of links, permission denied
        why = error.strerror or str(error)
    except ValueError as error:  # a NUL in the path
        why = str(error)
    raise InputError(f"{path}: {why}; check the path")


def regular(path: Path) -> os.stat_result:
    """Return the status of a regular file. Raises `InputError` for any other path."""
    found = status(path)
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise InputError(f"{path}: this path is a {name}; give a file")
    return found


def content(path: Path, *, most: int = _MIB) -> bytes:
    """Return the content of a regular file of at most ``most`` bytes.

    Raises `InputError`.
    """
    if regular(path).st_size > most:
        raise InputError(
            f"{path}: the file is larger than the limit of {most // _MIB} MiB; check "
            "that the path is right"
        )
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; make the file readable") from error


def text(path: Path, *, most: int = _MIB) -> str:
    """Return the content of a text file of at most ``most`` bytes.

    The file is UTF-8, or UTF-16 with a byte order mark, which is left out. Raises
    `InputError`.
    """
    return decoded(content(path, most=most), path)


def decoded(data: bytes, place: object) -> str:
    """Decode the content of a text file.

    Raises `InputError`, whose message begins with ``place``.
    """
    wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        if wide:
            raise InputError(
                f"{place}: the text begins like UTF-16, but is not UTF-16 "
                f"({error.reason}); save it as UTF-8"
            ) from None
        number = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{place}:{number}: the text is not UTF-8 (byte {data[error.start]:#x}); "
            "save it as UTF-8"
        ) from None


def toml(path: Path) -> dict[str, object]:
    """Return the tables of a TOML file. Raises `InputError`."""
    found = text(path)
    # The memory that tomllib needs is quadratic in the parts of a dotted key.
    for number, row in enumerate(found.split("\n"), 1):
        key = row.partition("#")[0].partition("=")[0]
        if key.count(".") > _DOTS:
            raise InputError(
                f"{path}:{number}: a key has more than {_DOTS} dots; nest less deeply"
            )
    with reading(path):
        return tomllib.loads(found)


# Values


def json_object(text: str) -> dict[str, object]:
    """Return the JSON object that ``text`` contains. Raises `InputError`."""
    with reading("not JSON"):
        value = msgspec.json.decode(text)
    if not isinstance(value, dict):
        raise InputError('the value is not a JSON object, such as {"language": "en"}')
    return value


def sendable(value: object) -> None:
    """Check that a value can be sent as a JSON object. Raises `InputError`."""
    if not isinstance(value, Mapping):
        raise InputError(f"{shown(value)} is not a mapping of names to JSON values")
    try:
        with reading("not JSON"):
            msgspec.json.encode(value)
    except TypeError as error:
        raise InputError(f"not JSON: {error}") from None


def plain(text: str) -> str:
    """Check that ``text`` is UTF-8 and has no NUL; return it. Raises `InputError`.

    The message does not quote ``text``, which may be a secret.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(
            "the value is not UTF-8; encode the value, or the file name, in UTF-8"
        ) from None
    if "\0" in text:
        raise InputError("the value contains a NUL character; remove this character")
    return text


def shown(value: object) -> str:
    """Return the ``repr`` of a value, or a text with its type if ``repr`` fails."""
    try:
        return repr(value)
    except Exception:  # for example of an integer of 5,000 digits
        return f"a value of type {type(value).__name__}"


def within(value: object, low: float, high: float) -> bool:
    """Return whether a value is a number from ``low`` to ``high``, and not a bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return low <= value <= high


def number(text: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Convert a text to a number. Raises `InputError`."""
    written = _NUMBER.fullmatch(text.strip())
    found = float(text) if written else math.nan
    if not low <= found <= high:
        raise InputError(f"{text!r} is not a number from {low:g} to {high:g}")
    return found


def whole(text: str, low: int, high: int) -> int:
    """Convert a text to a whole number. Raises `InputError`."""
    written = _WHOLE.fullmatch(text.strip())
    if written is None or not low <= int(written[1]) <= high:
        raise InputError(f"{text!r} is not a whole number from {low} to {high}")
    return int(written[1])
