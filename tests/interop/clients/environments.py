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
    "deepgram": "deepgram-sdk",
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
    """Say what to do before the client can run; empty if it can."""
    proof = "node_modules/openai" if client == NODE else "made"
    if client == NODE and shutil.which("node") is None:
        return "there is no node: install it, with npm"
    if not (place(client) / proof).exists():
        script = "python tests/interop/clients/environments.py"
        return f"{place(client)} holds no {client}: run `{script} {client}`"
    if client == "guidellm" and not _decodes(client):
        # It would skip each clip, send nothing, and not end.
        need = "the libraries of ffmpeg 4 to 8 (Debian and Homebrew: ffmpeg)"
        return f"torchcodec does not load, so {client} can read no clip: install {need}"
    return ""


def _decodes(client: str) -> bool:
    """Try torchcodec, whose libraries of ffmpeg pip does not install."""
    command = [str(program(client)), "-c", "import torchcodec.decoders"]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def wanted(client: str) -> str:
    """The version that a client must have."""
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
            if lack := missing(client):
                print(f"error: {lack}", file=sys.stderr)
                return 1
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
