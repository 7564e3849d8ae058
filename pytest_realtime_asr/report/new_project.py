"""The files with which a project begins to test its server; ``init`` writes them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

CONFTEST = "conftest.py"
TEST = "test_realtime.py"
INI = "pytest.ini"
# Options of the ini file.
TARGET = "realtime_target"
DIALECT = "realtime_dialect"
_APPLICATION = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<name>[^\W\d]\w*)")
_HEAD = '''\
"""What the tests of this folder share; pytest reads this file before the tests."""
'''
_FIXTURE = '''\
import pytest


@pytest.fixture(scope="session")
def realtime_target():
    """Return the application; the plugin serves it in a child process."""
    from {module} import {name}

    return {name}
'''
_EXAMPLE = (
    "To test an ASGI application, return it from this fixture. The application then "
    "takes\nthe place of realtime_target in the ini file."
)
_TEST = '''\
"""The limits of the server: its latency and its word error rate."""

import pytest


@pytest.mark.latency_budget("final_from_commit", p95="800ms")
@pytest.mark.wer_threshold(0.12)
def test_three_utterances(realtime, corpus):
    realtime.transcribe(corpus.sample(3, seed=1))
'''


@dataclass(frozen=True, slots=True)
class NewProject:
    """The files of a new project for one target.

    ``target`` is a value of the option ``--realtime-target``, or the name of an ASGI
    application as ``MODULE:NAME``. ``dialect`` is the dialect that the ini file names,
    or "" if the dialect is detected.
    """

    target: str
    dialect: str = ""

    @property
    def fixture(self) -> str:
        """The code of the fixture that returns the ASGI application.

        "" if the target is not an ASGI application.
        """
        found = is_application(self.target)
        return _FIXTURE.format(**found.groupdict()) if found else ""

    def ini(self, *, besides: Container[str] = (), toml: bool = False) -> list[str]:
        """Return the lines of the ini file, in the syntax of TOML if ``toml`` is true.

        Options whose names are in ``besides`` are left out, since the file has them
        already.
        """
        quote = '"' if toml else ""
        lines = []
        for comment, name, value in self._options():
            if name not in besides:
                lines += [f"# {comment}", f"{name} = {quote}{value}{quote}"]
        return lines

    def _options(self) -> Iterator[tuple[str, str, str]]:
        """Yield a comment, the name and the value of each option of the ini file."""
        if not self.fixture:
            comment = "--realtime-target=URL on the command line takes precedence."
            yield comment, TARGET, self.target
        if self.dialect:
            comment = (
                "The server's protocol; for a list: python -m pytest_realtime_asr list"
            )
            yield f"{comment} dialects", DIALECT, self.dialect
        comment = (
            "For your own recordings, name a folder with a .txt file for each audio "
            "file."
        )
        yield comment, "realtime_corpus", "bundled:english"

    def files(self) -> Mapping[str, str]:
        """Return the text of each file by its name."""
        example = f"{_EXAMPLE}\n\n{_FIXTURE.format(module='my_server', name='app')}"
        hint = "".join(f"# {line}".rstrip() + "\n" for line in example.splitlines())
        return {
            INI: "\n".join(["[pytest]", *self.ini(), ""]),
            CONFTEST: f"{_HEAD}\n{self.fixture or hint}",
            TEST: _TEST,
        }


def is_application(target: str) -> re.Match[str] | None:
    """Match a target that is an ASGI application; ``None`` for any other target.

    The groups of the match are the module and the name of the application.
    """
    return _APPLICATION.fullmatch(target)
