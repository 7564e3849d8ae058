"""A command that prints the API key, and runs again if the server refuses the key."""

from __future__ import annotations

import math
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath

from pytest_realtime_asr.text.inputs import InputError

OPTION = "--realtime-api-key-command"
PAUSE = 60.0  # s at least between two runs of the command
TIMEOUT = 30.0  # s that one run may take


class KeyCommand:
    """The key that a command prints; any thread may ask for the key.

    ``words`` are the command and its arguments; no shell is involved. ``learned`` is
    called with each key, so that the caller knows the secret. Nothing that the command
    prints is shown. After a failure, the same error is raised until `PAUSE` s have
    passed since the last run. Then the command may run again.
    """

    def __init__(
        self,
        words: Sequence[str],
        learned: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = words
        self._learned = learned
        self._clock = clock
        self._running = threading.Lock()
        self._key = ""
        self._last = -math.inf
        self._failure = ""  # why the last run failed

    @property
    def key(self) -> str:
        """The current key; the first access runs the command. Raises `InputError`.

        Once there is a key, an access returns at once, even while the command runs
        again.
        """
        if not self._key:
            with self._running:
                if not self._key:
                    self._run()
        return self._key

    def renew(self, used: str) -> bool:
        """Return whether the key now differs from ``used``, which a server refused.

        The command is run if the key is still ``used`` and the last run was at least
        `PAUSE` s ago. Raises `InputError` if the last run failed.
        """
        with self._running:
            if self._key == used:
                self._run()
            return self._key != used

    def _run(self) -> None:
        """Run the command if it may run again. Raises `InputError`."""
        if self._clock() - self._last >= PAUSE:
            self._last = self._clock()
            self._failure = ""
            try:
                key = self._printed()
            except InputError as error:
                self._failure = str(error)
            else:
                self._learned(key)  # before any thread can use the key
                self._key = key
        if self._failure:
            raise InputError(self._failure)

    def _printed(self) -> str:
        """Run the command and return the key that it prints. Raises `InputError`."""
        name = PurePath(self._words[0]).name
        where = f"{OPTION}: the command {name}"
        try:
            done = subprocess.run(
                self._words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # The error holds the output, which may be the key.
            raise InputError(f"{where} did not end within {TIMEOUT:g} s") from None
        except OSError as error:
            raise InputError(f"{where} cannot be run: {error.strerror}") from None
        if done.returncode:
            raise InputError(
                f"{where} ended with exit code {done.returncode}; run it in a shell to "
                "see its output, which is not shown here since it may contain the key"
            )
        printed = done.stdout.strip()
        if not printed or not all(0x20 < byte < 0x7F for byte in printed):
            raise InputError(
                f"{where} must print the key and nothing else; the key is one word of "
                "printable ASCII characters"
            )
        return printed.decode()


class KeyHeaders(Mapping[str, str]):
    """The headers that contain the current key.

    ``make`` is called with a key and returns the headers that contain this key.
    """

    def __init__(
        self, command: KeyCommand, make: Callable[[str], Mapping[str, str]]
    ) -> None:
        self._command = command
        self._make = make
        self._used: dict[frozenset[tuple[str, str]], str] = {}

    def __getitem__(self, name: str) -> str:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def renew(self, used: Mapping[str, str]) -> bool:
        """Return whether the headers now differ from ``used``, which a server refused.

        Raises `InputError` if the last run of the command failed.
        """
        key = self._used.get(frozenset(used.items()))
        return key is not None and self._command.renew(key)

    def _now(self) -> Mapping[str, str]:
        key = self._command.key
        headers = self._make(key)
        self._used[frozenset(headers.items())] = key
        return headers
