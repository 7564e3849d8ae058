"""The fake and the reference servers that a run or a test starts."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.target import REPLAY
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import BUNDLED
from pytest_realtime_asr.fake import recordings
from pytest_realtime_asr.fake.config import Timing
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT, FakeServer
from pytest_realtime_asr.trace.records import Trace

# The targets that the plugin starts itself, each with its recogniser.
FAKES = {"fake": "scripted", "reference": "pocketsphinx"}
FAKE_KEY = "the-key-of-the-fake-server"  # used if the user sets none; not a secret
Recorded = Trace | Transcription
Texts = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
_BUNDLED = tuple(f"bundled:{name}" for name in BUNDLED)


def is_replay(target: object) -> bool:
    """Return whether a target replays recorded sessions."""
    return isinstance(target, str) and target.startswith(REPLAY)


def is_started(target: str) -> bool:
    """Return whether the plugin itself starts the server of a target."""
    return target in FAKES or is_replay(target)


class FakeServers:
    """Starts fake servers, each in its own process, and stops them all together."""

    def __init__(self) -> None:
        self._started: list[FakeServer] = []
        self._targets: dict[tuple[str, str], FakeServer] = {}
        self._folder: TemporaryDirectory[str] | None = None  # of traces to replay

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

        The first call for a kind and a dialect starts the server; later calls return
        the URL of the same server. The fake server knows the clips of the bundled
        corpora and of ``corpus``. If ``key`` is not empty, the client must send it.
        Raises `FakeError` if the server cannot be started.
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
        """Start a new server and return it; delays are strings such as "300ms".

        ``faults`` and ``corpus`` take one name or several. Raises `FakeError` if the
        server cannot be started, and TypeError for a value of a wrong type.
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

    __call__ = start

    def replay(
        self,
        recorded: Recorded | str | os.PathLike[str],
        *,
        dialect: str = "",
        timing: str = Timing.RECORDED.value,
        arguments: Sequence[str] = (),
        warn: Callable[[str], None] | None = None,
        max_age: float = math.inf,
    ) -> FakeServer:
        """Start a new server that replays recorded sessions, and return it.

        ``recorded`` is a transcription, a trace that describes its audio, the path of a
        trace file, or the path of a folder of traces. ``dialect`` is by default the
        dialect of the traces. ``timing`` is ``"recorded"``, or ``"none"`` to send each
        answer without its delay. ``warn`` is called with a sentence if recordings are
        older than ``max_age`` seconds. Raises ValueError for traces that cannot be
        replayed, and `FakeError` if the server cannot be started.
        """
        place = Path(self._written(recorded))
        found = recordings.find(place)
        name = dialect or found.dialect
        recordings.load(found, dialects.load(name))
        if warn and (old := recordings.age(found, datetime.now(UTC), most=max_age)):
            warn(old)
        words = ["--replay", str(place), "--replay-timing", Timing(timing).value]
        server = FakeServer([*words, *arguments], dialect=name)
        self._started.append(server)
        return server

    def _written(self, recorded: Recorded | str | os.PathLike[str]) -> str:
        """Return the path of the traces; a trace in memory is first written to a file.

        Raises ValueError for a transcription whose trace was dropped.
        """
        if isinstance(recorded, str | os.PathLike):
            return os.fspath(recorded)
        if (lines := recorded.dumps()) is None:
            raise ValueError(
                "the trace of this transcription was dropped, so there is nothing to "
                "replay; give a transcription of a session without load"
            )
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="pytest-realtime-asr-")
        path = Path(self._folder.name) / f"{len(self._started)}.jsonl"
        path.write_bytes(lines)
        return str(path)

    def stop(self) -> None:
        """Stop all servers that were started."""
        while self._started:
            self._started.pop().stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _words(name: str, value: Texts | None) -> list[str]:
    """Return the command-line words for one argument of `FakeServers.start`.

    Raises TypeError for a value that is not a string or a path.
    """
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
            raise TypeError(
                f"{name}={value!r}: {text!r} is not a string; give a string{such}"
            )
        words += [option, os.fspath(text)]
    return words
