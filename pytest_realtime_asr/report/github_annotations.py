"""Annotations of GitHub Actions: failures beside the lines of the tests.

An annotation is a line of the log that GitHub reads as a command. GitHub documents the
form and the characters to escape under "Workflow commands for GitHub Actions". GitHub
shows at most 10 errors of a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

from pytest_realtime_asr.report.run_summary import Failure
from pytest_realtime_asr.text.messages import printable

MOST = 10  # the errors of one step that GitHub shows
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def lines(failures: Iterable[Failure]) -> list[str]:
    """Return an annotation for each of the first `MOST` failures.

    The path of a failure is relative to the root of the repository. An empty path is
    left out.
    """
    return [_line(each) for each in islice(failures, MOST)]


def _line(failure: Failure) -> str:
    place = {
        "file": failure.path,
        "line": "" if failure.line is None or not failure.path else str(failure.line),
        "title": failure.test,
    }
    properties = ",".join(
        f"{name}={_escaped(text, _PROPERTY)}" for name, text in place.items() if text
    )
    return f"::error {properties}::{_escaped(failure.headline, _DATA)}"


def _escaped(text: str, signs: Mapping[int, str]) -> str:
    return printable(text).translate(signs)
