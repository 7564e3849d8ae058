"""The fake and the reference servers that a run or a test starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from pytest_realtime_asr.fake.process import DEFAULT_DIALECT, FakeServer

# The recogniser of each target that the plugin starts itself.
FAKES = {"fake": "scripted", "reference": "pocketsphinx"}
FAKE_KEY = "the-key-of-the-fake-server"  # where the user has none: it is no secret
Texts = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_BUNDLED = ("bundled:english", "bundled:languages", "bundled:odd")


class FakeServers:
    """Starts fake servers, each in its own process, and stops them together."""

    def __init__(self) -> None:
        self._started: list[FakeServer] = []
        self._targets: dict[tuple[str, str], FakeServer] = {}

    def target(
        self,
        kind: str,
        dialect: str,
        *,
        corpus: Iterable[str] = (),
        arguments: Sequence[str] = (),
        key: str = "",
    ) -> str:
        """Return the URL of the target ``fake`` or ``reference``.

        One server per dialect is started, when it is first asked for. The fake knows
        the bundled corpora and this ``corpus``. The server requires the ``key``, if
        there is one. Raises `FakeError`.
        """
        if (kind, dialect) not in self._targets:
            own = [name for name in corpus if not name.startswith("bundled:")]
            self._targets[kind, dialect] = self.start(
                dialect=dialect,
                recogniser=FAKES[kind],
                corpus=[*_BUNDLED, *own] if kind == "fake" else (),
                arguments=arguments,
                key=key,
            )
        return self._targets[kind, dialect].url

    def start(
        self,
        *,
        dialect: str = DEFAULT_DIALECT,
        recogniser: str = "scripted",
        faults: Texts = (),
        word_delay: str | None = None,
        final_delay: str | None = None,
        corpus: Texts = (),
        arguments: Sequence[str] = (),
        key: str = "",
    ) -> FakeServer:
        """Start one more server; delays are texts such as "300ms".

        ``faults`` and ``corpus`` take one name or several. Raises `FakeError`, and
        TypeError for an argument that is not a text.
        """
        given: dict[str, Texts | None] = {
            "recogniser": recogniser,
            "faults": faults,
            "corpus": corpus,
            "word_delay": word_delay,
            "final_delay": final_delay,
        }
        words = [word for name, value in given.items() for word in _words(name, value)]
        server = FakeServer([*words, *arguments], dialect=dialect, key=key)
        self._started.append(server)
        return server

    def stop(self) -> None:
        """Stop all servers."""
        while self._started:
            self._started.pop().stop()


def _words(name: str, value: Texts | None) -> list[str]:
    """Return the command-line words of one argument. Raises TypeError."""
    texts: list[object] = [value]
    if value is None:
        return []
    if isinstance(value, Iterable) and not isinstance(value, str | os.PathLike):
        texts = list(value)
    option = f"--{name.removesuffix('s').replace('_', '-')}"
    words = []
    for text in texts:
        if not isinstance(text, str | os.PathLike):
            such = ", such as '300ms'" if name.endswith("_delay") else ""
            raise TypeError(f"{name}={value!r}: {text!r} is not a text; give one{such}")
        words += [option, os.fspath(text)]
    return words
