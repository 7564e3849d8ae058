"""A released server without its dependencies: a few modules from its wheels.

What stands between the socket and the engine is the server's own (the modules named
``real``). Every other module of the packages named ``emptied`` is empty: it gives, for
any name that is imported from it, the stand-in that was handed over, or else an empty
class.
"""

from __future__ import annotations

import importlib
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


class Release(MetaPathFinder, ExecutionLoader):
    """The importer of one release, which goes before all other importers.

    A stand-in replaces the name under which the release imports it, whatever the
    module.
    """

    def __init__(
        self,
        wheels: Iterable[Path],
        *,
        real: Iterable[str],
        emptied: Iterable[str],
        stand_ins: Mapping[str, object],
    ) -> None:
        self._members = {
            member: archive
            for archive in map(zipfile.ZipFile, wheels)
            for member in archive.namelist()
        }
        self._real = frozenset(real)
        self._emptied = frozenset(emptied)
        self._stand_ins = stand_ins
        sys.meta_path.insert(0, self)

    def load(self, module: str, places: Sequence[str]) -> ModuleType | None:
        """Return this module from the first of the packages that the release has."""
        for place in places:
            name = f"{place}.{module}".rstrip(".")
            if self._member(name):
                return importlib.import_module(name)
        return None

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module comes from; None if it is not of an emptied package."""
        if fullname.partition(".")[0] not in self._emptied:
            return None
        member = self._member(fullname)
        package = member is None or member.endswith("__init__.py")
        return ModuleSpec(fullname, self, origin=member, is_package=package)

    def get_source(self, fullname: str) -> str:
        """Return the text of a module; it is empty unless the module is real."""
        member = self._member(fullname)
        return "" if member is None else self._members[member].read(member).decode()

    def get_filename(self, fullname: str) -> str:
        """Return what a traceback calls the file of a module."""
        return self._member(fullname) or f"<{fullname}>"

    def exec_module(self, module: ModuleType) -> None:
        """Run the text of a module; an empty module gets its stand-ins on demand."""
        name = module.__name__

        def lacking(attribute: str) -> object:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            if f"{name}.{attribute}" in self._real:
                return importlib.import_module(f"{name}.{attribute}")
            if attribute in self._stand_ins:
                return self._stand_ins[attribute]
            return type(attribute, (), {})

        if self._member(name) is None:
            vars(module)["__getattr__"] = lacking
        super().exec_module(module)

    def _member(self, name: str) -> str | None:
        """Return the file of a real module in its wheel; None if it is empty."""
        if name not in self._real:
            return None
        path = name.replace(".", "/")
        found = {f"{path}.py", f"{path}/__init__.py"} & self._members.keys()
        return next(iter(found), None)
