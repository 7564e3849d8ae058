"""The files of reports: nothing is touched before there is something to write.

A report is begun by its first line or by its whole content. What an earlier run left
under its name is moved to ``NAME.1`` then, once in a run, however many processes of the
run append to it. Its lines are appended whole or not at all; a whole report is written
beside and moved into place. From before its first test, a run holds a lock beside each
report, so that a second run on the same file is refused; the lock is the system's,
which takes it back from a run that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

WAIT = 30.0  # s at most until the other processes of a run have appended
_TRIES = 3  # a lock file may be removed by the run that held it
_held: set[int] = set()  # the open files of the locks of this process


class ReportFile:
    """A report of a run at ``path``, written by this process and perhaps by others.

    ``shared`` is a folder that all processes of the run see, ``None`` where there is
    but one process. ``tell`` is called with what the user should know, in one line.
    """

    def __init__(
        self,
        path: Path,
        *,
        shared: Path | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.name = path
        self._device = _kind(path) == stat.S_IFCHR
        # A link stays where it is, and its target is moved.
        self._path = path if self._device else path.resolve()
        self.kept = _name(self._path, ".1")
        self._tell = tell
        self._begun: Path | None = None
        self._between: FileLock | None = None
        if shared is not None:
            key = hashlib.sha256(os.fsencode(self._path)).hexdigest()[:16]
            self._begun = shared / f"{key}.begun"
            self._between = FileLock(shared / f"{key}.lock", timeout=WAIT)
        self._open = False
        self._threads = threading.Lock()
        self._beside = _hidden(self._path, "lock")
        self._lock: int | None = None

    def __str__(self) -> str:
        return f"--realtime-report={self.name}"

    @property
    def places(self) -> tuple[Path, ...]:
        """The files that belong to it: itself, and what an earlier run left."""
        return (self._path,) if self._device else (self._path, self.kept)

    def check(self) -> None:
        """Raise OSError where it cannot be written; nothing is touched or made."""
        for path in self.places:
            kind = _kind(path)
            if kind == stat.S_IFDIR:
                raise IsADirectoryError(f"{path} is a folder; name a file")
            if kind not in (None, stat.S_IFREG, stat.S_IFCHR):
                raise OSError(f"{path} is neither a file nor a device; name a file")
            if kind is not None and not os.access(path, os.W_OK):
                raise PermissionError(f"{path} cannot be written; name another file")
        if self._device:
            return
        folder = self._path.parent
        while _kind(folder) is None and folder != folder.parent:
            folder = folder.parent
        if _kind(folder) != stat.S_IFDIR:
            raise NotADirectoryError(f"{folder} is no folder; name a path in a folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(
                f"nothing can be written into the folder {folder}; name another one"
            )

    def lock(self) -> None:
        """Hold it for this run until `release`.

        Raises OSError where another run holds it, or where its folder cannot be
        written.
        """
        if self._device or self._lock is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            file = os.open(self._beside, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                break
            except OSError:  # the file system knows no locks
                os.close(file)
                self._beside.unlink(missing_ok=True)
                return
            if _is(file, self._beside):
                self._lock = file
                _held.add(file)
                return
            os.close(file)
        raise BlockingIOError(
            "another run is writing it; wait for the end of that run, or name "
            "another file"
        )

    def release(self) -> None:
        """Let other runs write it."""
        lock, self._lock = self._lock, None
        if lock not in _held:  # or this process was forked
            return
        _held.remove(lock)
        with suppress(OSError):
            os.unlink(self._beside)
        os.close(lock)

    def append(self, line: bytes) -> None:
        """Append a whole line, or nothing. Raises OSError."""
        with self._alone():
            self._begin()
            _append(self._path, line)

    def replace(self, content: bytes) -> None:
        """Make this its whole content, or leave it as it was. Raises OSError."""
        if self._device:
            _append(self._path, content)
            return
        with self._alone():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside = _hidden(self._path, "part")
            try:
                beside.unlink(missing_ok=True)  # a run was killed while it wrote
                with beside.open("xb") as file:
                    file.write(content)
                self._begin()
                os.replace(beside, self._path)
            except OSError:
                with suppress(OSError):
                    beside.unlink()
                raise

    def _begin(self) -> None:
        """Move what an earlier run left, once in a run."""
        if self._device or self._open or (self._begun and self._begun.exists()):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._begun:
            self._begun.touch()
        try:
            if self._path.exists() and self._path.stat().st_size:
                if self.kept.exists() and self.kept.samefile(self._path):
                    self.kept.unlink()  # else two names of one file stay both
                os.replace(self._path, self.kept)
                self._tell(f"{self}: the earlier report was moved to {self.kept}")
        except OSError:
            if self._begun:
                self._begun.unlink()
            raise
        self._open = True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep the other threads and processes of the run from writing meanwhile."""
        with self._threads:
            if self._between is None:
                yield
                return
            with self._between:
                yield


def distinct(files: Iterable[ReportFile]) -> None:
    """Raise OSError where two reports would be written over each other."""
    seen: set[Path] = set()
    for file in files:
        if not seen.isdisjoint(file.places):
            raise FileExistsError("two reports would go into this file; name another")
        seen.update(file.places)


def _let_go() -> None:
    """Close the locks in a forked child, which may outlive the run."""
    for file in _held:
        os.close(file)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def _append(path: Path, line: bytes) -> None:
    """Append a line, whole or not at all. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        found = os.fstat(file)
        size = found.st_size if stat.S_ISREG(found.st_mode) else None
        if size:
            os.lseek(file, size - 1, os.SEEK_SET)
            if os.read(file, 1) != b"\n":  # a process was killed while it wrote
                line = b"\n" + line
        try:
            _write(file, line)
        except OSError:
            if size is not None:
                with suppress(OSError):  # the next line begins on a line of its own
                    os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def _write(file: int, content: bytes) -> None:
    """Write all of it; the system may take less at a time. Raises OSError."""
    left = memoryview(content)
    while left:
        taken = os.write(file, left)
        if not taken:
            raise OSError(errno.EIO, "the system took nothing of what was written")
        left = left[taken:]


def _kind(path: Path) -> int | None:
    """The kind of a file as `stat` has it, ``None`` where there is none."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is(file: int, path: Path) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _name(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _hidden(path: Path, what: str) -> Path:
    """The name of a file of ours beside a report, which no user gives to one."""
    return path.with_name(f".{path.name}.pytest-realtime-{what}")
