"""The environments and the wheels of the released servers.

``python tests/interop/servers/server_environments.py`` makes all environments with pip
and downloads all wheels; the names of servers, as ``released.py`` has them, restrict it
to these. A server's own wheel is never installed: its modules are read from the wheel,
and of its dependencies only those are needed that its handler imports.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

from released import SERVERS, Server

PROJECT = Path(__file__).parents[3]
CACHE = "~/.cache/pytest-realtime-asr/servers"  # unless SERVERS_FOLDER names another
# The dependencies of this project that its scripted recogniser needs.
RECOGNISER = {"langcodes", "msgspec", "numpy", "soundfile", "soxr"}
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_31_x86_64", "manylinux_2_34_x86_64")


def folder() -> Path:
    """Return the folder that holds the environments and the wheels."""
    return Path(os.environ.get("SERVERS_FOLDER") or CACHE).expanduser()


def program(server: Server) -> Path:
    """Return the Python interpreter in the environment of a server."""
    scripts = "Scripts" if os.name == "nt" else "bin"
    return Path(folder(), server.group, scripts, "python")


def wheels(server: Server) -> tuple[Path, ...]:
    """Return the wheels of a server, downloaded if they are not there yet.

    The environment variable SERVERS_WHEELS may name their folder. CalledProcessError is
    raised if pip cannot download one.
    """
    place = os.environ.get("SERVERS_WHEELS")
    target = Path(place).expanduser() if place else folder() / "wheels"
    return tuple(_wheel(requirement, target) for requirement in server.wheels)


def make(server: Server) -> None:
    """Make the environment of a server, unless it has the packages already."""
    wanted = _packages(server)
    stamp = folder() / server.group / "made"
    digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    if not program(server).exists():
        venv.create(folder() / server.group, with_pip=True)
    command = [str(program(server)), "-m", "pip", "install", "--quiet", *wanted]
    subprocess.run(command, stdout=sys.stderr, check=True)
    stamp.write_text(digest)


def _packages(server: Server) -> list[str]:
    """Return what the handler of a server imports, and what the bench itself does."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    dependencies: list[str] = project["project"]["dependencies"]
    own = [line for line in dependencies if line.partition(">=")[0] in RECOGNISER]
    return [*project["dependency-groups"][server.group], *own]


def _wheel(requirement: str, target: Path) -> Path:
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(target.glob(pattern)):
        words = ["download", "--quiet", "--no-deps", "--only-binary=:all:", requirement]
        words += [f"--platform={platform}" for platform in (*PLATFORMS, "any")]
        words += ["--dest", str(target)]
        command = [sys.executable, "-m", "pip", *words]
        subprocess.run(command, stdout=sys.stderr, check=True)
    return next(target.glob(pattern))


def main(names: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    unknown = set(names) - set(SERVERS)
    if unknown:
        named, known = ", ".join(sorted(unknown)), ", ".join(SERVERS)
        print(f"error: no server {named}; there are {known}", file=sys.stderr)
        return 2
    try:
        for name in names or SERVERS:
            make(SERVERS[name])
            wheels(SERVERS[name])
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
