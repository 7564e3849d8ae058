"""The fake and the reference servers of a run or of a test, ended together."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.options import FAKE_DIALECT, FAKES
from pytest_realtime_asr.settings import Settings

_BUNDLED = ("bundled:english", "bundled:languages", "bundled:odd")


class Fleet:
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
        faults: Sequence[str] = (),
        word_delay: str | None = None,
        final_delay: str | None = None,
        corpus: Sequence[str] = (),
        arguments: Sequence[str] = (),
        key: str = "",
    ) -> FakeServer:
        """One more server; delays are texts such as "300ms". Raises `FakeError`."""
        words = ["--recogniser", recogniser]
        words += [word for name in faults for word in ("--fault", name)]
        words += [word for name in corpus for word in ("--corpus", name)]
        if word_delay is not None:
            words += ["--word-delay", word_delay]
        if final_delay is not None:
            words += ["--final-delay", final_delay]
        server = FakeServer([*words, *arguments], dialect=dialect, key=key)
        self._started.append(server)
        return server

    def stop(self) -> None:
        """End all of them."""
        while self._started:
            self._started.pop().stop()
