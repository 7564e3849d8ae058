"""The identity of a run: its id, its time, the versions, the commit and the machine."""

from __future__ import annotations

import os
import platform
import re
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = "pytest-realtime-asr"
_MEASURING = (PACKAGE, "pytest", "websockets", "soxr", "whisper-normalizer")
_GIT_TIMEOUT = 5.0  # s
_COMMIT = re.compile("[0-9a-f]{40,64}")


def new_id(now: datetime | None = None) -> str:
    """Return the id of a new run; the alphabetical order of ids is their order in time.

    An example is ``20261129T181500Z-3fa2c1``.
    """
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit of the tests.

    ``id`` is empty if the tests are in no git repository, or git is not installed.
    ``dirty`` is true if files that git tracks were changed since the commit.
    """

    id: str = ""
    dirty: bool = False


@dataclass(frozen=True)
class RunIdentity:
    """The identity of a run; all workers of the run have the same ``id``.

    ``folder`` is the folder of the tests. ``target`` and ``baseline`` are the servers
    as the user named them, without secrets, or empty. ``calibration`` is the client's
    last calibration in one line, or empty. ``replayed`` is true if the server under
    test replays recorded sessions.
    """

    id: str
    folder: Path = Path()
    target: str = ""
    baseline: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    calibration: str = ""
    replayed: bool = False

    @property
    def started(self) -> datetime:
        """The time at which the run started, UTC, to a second."""
        return datetime.strptime(self.id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """The versions of Python and of the packages that a measurement depends on."""
        found = {"python": platform.python_version()}
        for name in _MEASURING:
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # the package is used from its sources
                found[name] = ""
        return found

    @property
    def host(self) -> Mapping[str, str | int]:
        """The machine that measures: its name, system, architecture and cores."""
        return {
            "name": platform.node(),
            "system": f"{platform.system()} {platform.release()}",
            "machine": platform.machine(),
            "cpus": os.cpu_count() or 0,
        }

    @cached_property
    def commit(self) -> Commit:
        """The commit of the tests, as git reports it."""
        command = ["git", "describe", "--always", "--dirty", "--abbrev=64"]
        command += ["--exclude=*"]  # without tags
        try:
            told = subprocess.run(
                command,
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=_GIT_TIMEOUT,
                check=True,
            ).stdout.strip()
        except (OSError, ValueError, subprocess.SubprocessError):
            return Commit()
        id, _, dirty = told.partition("-")
        return Commit(id, bool(dirty)) if _COMMIT.fullmatch(id) else Commit()
