"""The fake and the reference servers of a run or of a test, ended together."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.options import FAKES
from pytest_realtime_asr.settings import Settings

_BUNDLED = ("bundled:english", "bundled:languages", "bundled:odd")


class Fleet:
    """Starts servers, each in a process of its own, until `stop`."""

    def __init__(self) -> None:
        self._started: list[FakeServer] = []
        self._targets: dict[str, FakeServer] = {}

    def target(self, kind: str, settings: Settings) -> str:
        """The URL of the target ``fake`` or ``reference``, started when first asked.

        The scripted one knows all that is bundled and the corpora of the run. It asks
        for the key of the settings, where these have one. Raises `FakeError`.
        """
        if kind not in self._targets:
            own = [s for s in settings.corpus if not s.startswith("bundled:")]
            self._targets[kind] = self.start(
                dialect=settings.dialect,
                recogniser=FAKES[kind],
                corpus=[*_BUNDLED, *own] if kind == "fake" else (),
                arguments=settings.fake,
                key=settings.key,
            )
        return self._targets[kind].url

    def start(
        self,
        *,
        dialect: str = "vllm",
        recogniser: str = "scripted",
        faults: Sequence[str] = (),
        word_delay: str | None = None,
        final_delay: str | None = None,
        corpus: Sequence[str] = (),
        arguments: Sequence[str] = (),
        key: str = "",
    ) -> FakeServer:
        """One more server; delays are texts such as "300ms". Raises `FakeError`."""
        words = ["--dialect", dialect, "--recogniser", recogniser]
        words += [word for name in faults for word in ("--fault", name)]
        words += [word for name in corpus for word in ("--corpus", name)]
        if word_delay is not None:
            words += ["--word-delay", word_delay]
        if final_delay is not None:
            words += ["--final-delay", final_delay]
        server = FakeServer([*words, *arguments], key=key)
        self._started.append(server)
        return server

    def stop(self) -> None:
        """End all of them."""
        while self._started:
            self._started.pop().stop()
