"""A released vLLM without its weight: a few modules, read straight from its wheel.

What stands between the socket and the engine is vLLM's own (``REAL``). Every other
module of vLLM that these import is empty, and gives for any name that is asked of it a
stand-in: the one that was handed over, or else an empty class.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

CACHE = "~/.cache/pytest-realtime-asr/vllm"  # unless VLLM_WHEELS names another folder
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_31_x86_64")  # any will do

# Up to 0.16, and since; a module that a release does not have is not asked for.
REALTIME = (
    "vllm.entrypoints.openai.realtime",
    "vllm.entrypoints.speech_to_text.realtime",
)
AUTHENTICATION = (
    "vllm.entrypoints.openai.server_utils",
    "vllm.entrypoints.serve.middleware.authenticate",
)
REAL = {
    "vllm.envs",
    "vllm.exceptions",
    "vllm.entrypoints.utils",
    "vllm.entrypoints.generate.base.serving",
    "vllm.entrypoints.openai.engine.protocol",
    "vllm.entrypoints.openai.engine.serving",
    "vllm.entrypoints.serve",
    "vllm.entrypoints.serve.engine.protocol",
    "vllm.entrypoints.serve.engine.serving",
    "vllm.entrypoints.serve.exception_handling.error_response",
    "vllm.entrypoints.serve.exception_handling.utils",
    *AUTHENTICATION,
    *REALTIME,
    *(
        f"{package}.{module}"
        for package in REALTIME
        for module in ("api_router", "connection", "metrics", "protocol", "serving")
    ),
}
EMPTY = {"vllm", "openai"}  # packages whose other modules are empty


def fetch(version: str) -> Path:
    """The wheel of this release, downloaded where it is not there yet."""
    folder = Path(os.environ.get("VLLM_WHEELS") or CACHE).expanduser()
    pattern = f"vllm-{version}-*.whl"
    if not any(folder.glob(pattern)):
        words = ["download", "--no-deps", "--only-binary=:all:", f"vllm=={version}"]
        words += [f"--platform={platform}" for platform in PLATFORMS]
        command = [sys.executable, "-m", "pip", *words, "--dest", str(folder)]
        subprocess.run(command, stdout=sys.stderr, check=True)
    return next(folder.glob(pattern))


class Release(MetaPathFinder, ExecutionLoader):
    """The importer of one release; from `install` on, ``vllm`` is this one."""

    def __init__(self, wheel: Path, stand_ins: Mapping[str, object]) -> None:
        self._archive = zipfile.ZipFile(wheel)
        self._members = frozenset(self._archive.namelist())
        self._stand_ins = stand_ins

    def install(self) -> None:
        """Go before all other importers."""
        sys.meta_path.insert(0, self)

    def load(self, module: str, places: Sequence[str]) -> ModuleType | None:
        """This module from the first of the places that the release has."""
        for place in places:
            name = f"{place}.{module}".rstrip(".")
            if self._member(name):
                return importlib.import_module(name)
        return None

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module comes from: here, if it is one of ours."""
        if fullname.partition(".")[0] not in EMPTY:
            return None
        member = self._member(fullname)
        package = member is None or member.endswith("__init__.py")
        return ModuleSpec(fullname, self, origin=member, is_package=package)

    def get_source(self, fullname: str) -> str:
        """The text of a module; none for one that is empty."""
        member = self._member(fullname)
        return "" if member is None else self._archive.read(member).decode()

    def get_filename(self, fullname: str) -> str:
        """What a traceback calls the file of a module."""
        return self._member(fullname) or f"<{fullname}>"

    def exec_module(self, module: ModuleType) -> None:
        """Run the text of a module; what it then lacks are stand-ins."""
        name = module.__name__

        def lacking(attribute: str) -> object:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            if f"{name}.{attribute}" in REAL:
                return importlib.import_module(f"{name}.{attribute}")
            return self._stand_ins.get(attribute) or type(attribute, (), {})

        if self._member(name) is None:
            vars(module)["__getattr__"] = lacking
        super().exec_module(module)

    def _member(self, name: str) -> str | None:
        if name not in REAL:
            return None
        path = name.replace(".", "/")
        found = self._members & {f"{path}.py", f"{path}/__init__.py"}
        return next(iter(found), None)
