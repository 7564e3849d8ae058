"""Writes the files of reports; no file is changed before there is something to write.

When a run first writes to a report, the file of an earlier run is moved to ``NAME.1``.
This happens only once in a run, even if many processes append to the report. Either a
line is appended completely, or the file stays unchanged. A whole report is written to a
temporary file, which then replaces the old file. Before its first test, a run locks
each report, so that a second run with the same file is refused. The system releases the
lock of a run that was killed.
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

WAIT = 30.0  # s to wait while other processes of the run append
_TRIES = 3  # attempts to lock; another run may remove its lock file meanwhile
_locks: set[int] = set()  # the open lock files of this process


class ReportFile:
    """A report of a run, written by this process and perhaps by others.

    ``path`` is the file of the report. ``shared`` is a folder that all processes of the
    run can access, or ``None`` if there is only one process. ``tell`` is called with a
    line that the user should see.
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
        # If the path is a symbolic link, the file to which it points is moved.
        self._path = path if self._device else path.resolve()
        self.kept = _name(self._path, ".1")
        self._tell = tell
        self._begun: Path | None = None
        self._between: FileLock | None = None
        if shared is not None:
            self.share(shared)
        self._open = False
        self._threads = threading.Lock()
        self._beside = _hidden(self._path, "lock")
        self._lock: int | None = None

    def __str__(self) -> str:
        return f"--realtime-report={self.name}"

    @property
    def _key(self) -> str:
        return hashlib.sha256(os.fsencode(self._path)).hexdigest()[:16]

    def share(self, folder: Path) -> None:
        """Let other processes of the run write the report too.

        ``folder`` is a folder that all processes of the run can access.
        """
        self._begun = folder / f"{self._key}.begun"
        self._between = FileLock(folder / f"{self._key}.lock", timeout=WAIT)

    def is_begun(self, shared: Path | None) -> bool:
        """Return whether this run has written the report, as far as this is known.

        ``shared`` is the folder that all processes of the run can access, or ``None``
        if there is only one process. If the report is a device and other processes
        may write to it, this process cannot know whether they have done so; the
        result is then true.
        """
        if self._open or shared is None:
            return self._open
        return self._device or (shared / f"{self._key}.begun").exists()

    @property
    def places(self) -> tuple[Path, ...]:
        """The path of the report, and the path to which an earlier report is moved."""
        return (self._path,) if self._device else (self._path, self.kept)

    def check(self) -> None:
        """Raise OSError if the report cannot be written; no file is changed."""
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
            raise NotADirectoryError(
                f"{folder} is not a folder; name a file in an existing folder"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(
                f"the folder {folder} is not writable; name a file in another folder"
            )

    def lock(self) -> None:
        """Lock the report for this run until `release`.

        Raises OSError if another run has locked the report, or if its folder is not
        writable.
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
            except OSError:  # the file system has no locks
                os.close(file)
                self._beside.unlink(missing_ok=True)
                return
            if _is(file, self._beside):
                self._lock = file
                _locks.add(file)
                return
            os.close(file)
        raise BlockingIOError(
            "another run is writing this file; wait until that run has ended, or name "
            "another file"
        )

    def release(self) -> None:
        """Let other runs write the report."""
        lock, self._lock = self._lock, None
        if lock not in _locks:  # a forked process holds no lock
            return
        _locks.remove(lock)
        with suppress(OSError):
            os.unlink(self._beside)
        os.close(lock)

    def append(self, line: bytes, *, header: Callable[[], bytes] = lambda: b"") -> None:
        """Append a line; if this fails, raise OSError and leave the file unchanged.

        ``header`` returns the first line of the report; the process that writes first
        calls it. If the report is a device such as ``/dev/stdout``, each process writes
        this line once.
        """
        with self._alone():
            first = self._device and not self._open
            self._begin()
            _append(self._path, line, header, first=first)
            self._open = True

    def finish(self, line: bytes, *, run: str) -> None:
        """Append a line if the first line of the report names this run.

        The report of an earlier run names another run and stays unchanged. Raises
        OSError if the line cannot be written.
        """
        if self._device or not self._path.is_file():
            return
        with self._alone():
            with self._path.open("rb") as file:
                head = file.readline()
            if run.encode() in head:
                _append(self._path, line)

    def replace(self, content: bytes) -> None:
        """Replace the content; on failure, raise OSError and keep the old content."""
        if self._device:
            _append(self._path, content)
            return
        with self._alone():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside = _hidden(self._path, "part")
            try:
                beside.unlink(missing_ok=True)  # left by a run that was killed
                with beside.open("xb") as file:
                    file.write(content)
                self._begin()
                os.replace(beside, self._path)
            except OSError:
                with suppress(OSError):
                    beside.unlink()
                raise

    def _begin(self) -> None:
        """Move the report of an earlier run to ``kept``, once in a run."""
        if self._device or self._open or (self._begun and self._begun.exists()):
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._begun:
            self._begun.touch()
        try:
            if self._path.exists() and self._path.stat().st_size:
                if self.kept.exists() and self.kept.samefile(self._path):
                    # Two hard links to one file: the system would not move it.
                    self.kept.unlink()
                os.replace(self._path, self.kept)
                self._tell(f"{self}: the earlier report was moved to {self.kept}")
        except OSError:
            if self._begun:
                self._begun.unlink()
            raise
        self._open = True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Prevent other threads and processes of the run from writing to the report."""
        with self._threads:
            if self._between is None:
                yield
                return
            with self._between:
                yield


def distinct(files: Iterable[ReportFile]) -> None:
    """Raise OSError if two reports would overwrite each other."""
    seen: set[Path] = set()
    for file in files:
        if not seen.isdisjoint(file.places):
            raise FileExistsError(
                "two reports would be written to this file; name another file for one "
                "of them"
            )
        seen.update(file.places)


def _close_locks() -> None:
    """Close the lock files in a forked child process, which may outlive the run."""
    for file in _locks:
        os.close(file)
    _locks.clear()


os.register_at_fork(after_in_child=_close_locks)


def _append(
    path: Path,
    line: bytes,
    header: Callable[[], bytes] = lambda: b"",
    *,
    first: bool = False,
) -> None:
    """Append a line; if this fails, raise OSError and leave the file unchanged.

    The ``header`` is written before the line if the file is empty or ``first`` is true.
    """
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        found = os.fstat(file)
        size = found.st_size if stat.S_ISREG(found.st_mode) else None
        if size == 0 or first:
            line = header() + line
        if size:
            os.lseek(file, size - 1, os.SEEK_SET)
            if os.read(file, 1) != b"\n":  # a process was killed while it wrote a line
                line = b"\n" + line
        try:
            _write(file, line)
        except OSError:
            if size is not None:
                with suppress(OSError):  # remove the incomplete line
                    os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def _write(file: int, content: bytes) -> None:
    """Write the whole content, in as many system calls as needed. Raises OSError."""
    left = memoryview(content)
    while left:
        taken = os.write(file, left)
        if not taken:
            raise OSError(errno.EIO, "the system wrote nothing")
        left = left[taken:]


def _kind(path: Path) -> int | None:
    """Return the file type as in `stat`, or ``None`` if there is no file."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is(file: int, path: Path) -> bool:
    """Return whether an open file is the file that is now at a path."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _name(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _hidden(path: Path, what: str) -> Path:
    """Return the path of a hidden file in the folder of a report."""
    return path.with_name(f".{path.name}.pytest-realtime-{what}")
