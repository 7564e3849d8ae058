"""The clients' own environments: one folder for each, and what is in it.

``python tests/interop/clients/environments.py`` makes all of them, with pip and npm;
names of clients behind it make only these. What goes into each is said by the
dependency groups ``clients-*`` of pyproject.toml and, for node, by package.json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
CACHE = "~/.cache/pytest-realtime-asr/clients"  # unless CLIENTS_FOLDER names another
NODE = "openai-node"
# Each client, and the package that has its version.
CLIENTS = {
    "guidellm": "guidellm",
    "livekit": "livekit-plugins-openai",
    "pipecat": "pipecat-ai",
    NODE: "openai",
}


def place(client: str) -> Path:
    """The folder of a client, whether it is there or not."""
    folder = Path(os.environ.get("CLIENTS_FOLDER") or CACHE).expanduser()
    return folder / client


def program(client: str, name: str = "python") -> Path:
    """A program in the environment of a client."""
    return place(client) / ("Scripts" if os.name == "nt" else "bin") / name


def missing(client: str) -> str:
    """What to do to have the client; empty where it is there."""
    proof = "node_modules/openai" if client == NODE else "made"
    if client == NODE and shutil.which("node") is None:
        return "there is no node: install it, with npm"
    if (place(client) / proof).exists():
        return ""
    script = "python tests/interop/clients/environments.py"
    return f"{place(client)} holds no {client}: run `{script} {client}`"


def wanted(client: str) -> str:
    """The version that a client is to have."""
    if client == NODE:
        package = json.loads((HERE / "package.json").read_text())
        return str(package["dependencies"]["openai"])
    name = re.escape(CLIENTS[client])
    pins = (re.fullmatch(rf"{name}(?:\[.*\])?==(.*)", line) for line in _group(client))
    return next(pin[1] for pin in pins if pin)


def make(client: str) -> None:
    """Make the environment of a client, or bring it up to date."""
    folder = place(client)
    if client == NODE:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", folder)
        subprocess.run(["npm", "install", "--no-audit"], cwd=folder, check=True)
        return
    if not program(client).exists():
        venv.create(folder, with_pip=True)
    command = [str(program(client)), "-m", "pip", "install", *_group(client)]
    subprocess.run(command, check=True)
    (folder / "made").touch()


def _group(client: str) -> list[str]:
    project = tomllib.loads((HERE.parents[2] / "pyproject.toml").read_text())
    group: list[str] = project["dependency-groups"][f"clients-{client}"]
    return group


def main(clients: Sequence[str]) -> int:
    """Run the command; gives the exit code."""
    unknown = set(clients) - set(CLIENTS)
    if unknown:
        print(f"error: no such client: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    try:
        for client in clients or CLIENTS:
            make(client)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
