"""The fake and the reference servers of a run or of a test, ended together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.plugin.options import FAKE_DIALECT, FAKES
from pytest_realtime_asr.plugin.settings import Settings

Texts = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_BUNDLED = ("bundled:english", "bundled:languages", "bundled:odd")


class FakeServers:
    """Starts servers, each in a process of its own, until `stop`."""

    def __init__(self) -> None:
        self._started: list[FakeServer] = []
        self._targets: dict[tuple[str, str], FakeServer] = {}

    def target(self, kind: str, dialect: str, settings: Settings) -> str:
        """The URL of the target ``fake`` or ``reference``, started when first asked.

        There is one for each dialect.

        The scripted one knows all that is bundled and the corpora of the run. It asks
        for the key of the settings, where these have one. Raises `FakeError`.
        """
        if (kind, dialect) not in self._targets:
            own = [s for s in settings.corpus if not s.startswith("bundled:")]
            self._targets[kind, dialect] = self.start(
                dialect=dialect,
                recogniser=FAKES[kind],
                corpus=[*_BUNDLED, *own] if kind == "fake" else (),
                arguments=settings.fake,
                key=settings.key,
            )
        return self._targets[kind, dialect].url

    def start(
        self,
        *,
        dialect: str = FAKE_DIALECT,
        recogniser: str = "scripted",
        faults: Texts = (),
        word_delay: str | None = None,
        final_delay: str | None = None,
        corpus: Texts = (),
        arguments: Sequence[str] = (),
        key: str = "",
    ) -> FakeServer:
        """One more server; delays are texts such as "300ms".

        One fault, or one corpus, may be given as a text of its own. Raises `FakeError`,
        and TypeError for an argument that is not a text.
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
        """End all of them."""
        while self._started:
            self._started.pop().stop()


def _words(name: str, value: Texts | None) -> list[str]:
    """The words of the command for one argument. Raises TypeError for no text."""
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
