"""Tests of the files of reports: appending, moving an earlier report, and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_realtime_asr.report.files import ReportFile, distinct

Write = Callable[[int, bytes], int]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of an earlier report, the only file in its folder."""
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"earlier\n")
    return path


def full_after(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the disk full after ``size`` bytes; each call writes 2 bytes at most."""
    write, left = os.write, size

    def some(file: int, content: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(left, 2, len(content))
        left -= taken
        return write(file, content[:taken])

    monkeypatch.setattr(os, "write", some)


# Before anything is written


@pytest.mark.parametrize("ending", ["", ".1"])
def test_checking_and_locking_leave_the_report_unchanged(
    path: Path, ending: str
) -> None:
    other = path.with_name(f"new{ending}")
    for file in (ReportFile(path), ReportFile(other)):
        file.check()
        file.lock()
        file.release()
        file.release()
    assert path.read_bytes() == b"earlier\n"
    assert names(path.parent) == {"out.jsonl"}


def test_a_folder_is_made_only_for_a_run_that_measures(tmp_path: Path) -> None:
    file = ReportFile(tmp_path / "deep" / "er" / "out.jsonl")
    file.check()
    assert names(tmp_path) == set()
    file.append(b"1\n")
    assert (tmp_path / "deep" / "er" / "out.jsonl").read_bytes() == b"1\n"


@pytest.mark.parametrize("locked", ["folder", "file"])
def test_a_path_without_write_permission_is_refused(
    path: Path, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = path if locked == "file" else path.parent
    asked = os.access
    ReportFile(path).check()
    # Nothing is forbidden to the superuser, who may run this.
    monkeypatch.setattr(os, "access", lambda p, mode: p != where and asked(p, mode))
    with pytest.raises(PermissionError, match=str(where)):
        ReportFile(path).check()


def test_two_reports_go_into_two_files(path: Path) -> None:
    one, other = ReportFile(path), ReportFile(path.with_name("other"))
    distinct([one, other])
    for same in (ReportFile(path), ReportFile(path.with_name("out.jsonl.1"))):
        with pytest.raises(FileExistsError, match="two reports"):
            distinct([one, other, same])


# The earlier one


@pytest.mark.parametrize("write", [ReportFile.append, ReportFile.replace])
def test_an_earlier_report_is_moved_once(
    path: Path, write: Callable[[ReportFile, bytes], None]
) -> None:
    told: list[str] = []
    file = ReportFile(path, tell=told.append)
    write(file, b"1\n")
    write(file, b"2\n")
    kept = path.with_name("out.jsonl.1")
    assert kept.read_bytes() == b"earlier\n"
    lines = b"1\n2\n" if write is ReportFile.append else b"2\n"
    assert path.read_bytes() == lines
    assert told == [f"--realtime-report={path}: the earlier report was moved to {kept}"]
    assert names(path.parent) == {"out.jsonl", "out.jsonl.1"}


def test_an_empty_file_does_not_replace_the_kept_report(path: Path) -> None:
    kept = path.with_name("out.jsonl.1")
    path.rename(kept)
    path.touch()
    told: list[str] = []
    ReportFile(path, tell=told.append).append(b"1\n")
    assert (kept.read_bytes(), told) == (b"earlier\n", [])


def test_a_symbolic_link_stays_and_its_target_is_moved(path: Path) -> None:
    link = path.with_name("latest")
    link.symlink_to(path)
    ReportFile(link).append(b"1\n")
    assert (link.is_symlink(), link.read_bytes()) == (True, b"1\n")
    assert path.with_name("out.jsonl.1").read_bytes() == b"earlier\n"


def test_an_earlier_report_with_two_hard_links_is_moved_too(path: Path) -> None:
    kept = path.with_name("out.jsonl.1")
    kept.hardlink_to(path)
    ReportFile(path).append(b"1\n")
    assert kept.read_bytes() == b"earlier\n"
    assert path.read_bytes() == b"1\n"


def test_the_processes_of_a_run_move_an_earlier_report_once(
    path: Path, tmp_path: Path
) -> None:
    """Each thread has its own `ReportFile`, as each worker has; they share a folder."""
    shared = tmp_path / "shared"
    shared.mkdir()
    told: list[str] = []

    def work(number: int) -> None:
        file = ReportFile(path, shared=shared, tell=told.append)
        for _ in range(5):
            file.append(f"{number}\n".encode())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(path.read_text().split()) == sorted("0123" * 5)
    assert path.with_name("out.jsonl.1").read_bytes() == b"earlier\n"
    assert len(told) == 1


def test_a_report_that_cannot_be_moved_is_not_overwritten(path: Path) -> None:
    path.with_name("out.jsonl.1").mkdir()
    for write in (ReportFile.append, ReportFile.replace):
        with pytest.raises(OSError, match="directory"):
            write(ReportFile(path), b"1\n")
    assert path.read_bytes() == b"earlier\n"
    assert names(path.parent) == {"out.jsonl", "out.jsonl.1"}


# A disk that is full


@pytest.mark.parametrize(("size", "lines"), [(100, b"1\n234567\n"), (5, b"1\n")])
def test_an_incomplete_write_is_completed_or_undone(
    size: int, lines: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ReportFile(path)
    file.append(b"1\n")
    with monkeypatch.context() as patched:
        full_after(size, patched)
        if size < 7:
            with pytest.raises(OSError, match="No space left"):
                file.append(b"234567\n")
        else:
            file.append(b"234567\n")
    assert path.read_bytes() == lines
    file.append(b"8\n")
    assert path.read_bytes() == lines + b"8\n"


def test_a_line_after_an_incomplete_line_starts_a_new_line(path: Path) -> None:
    file = ReportFile(path)
    file.append(b"1\n")
    path.write_bytes(b'1\n{"form')  # a worker was killed
    file.append(b"2\n")
    assert path.read_bytes() == b'1\n{"form\n2\n'


def test_a_whole_report_that_cannot_be_written_leaves_the_earlier_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, mode: str) -> object:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(OSError, match="No space left"):
            ReportFile(path).replace(b"{}")
    assert path.read_bytes() == b"earlier\n"
    assert names(path.parent) == {"out.jsonl"}
    part = path.with_name(".out.jsonl.pytest-realtime-part")
    part.write_bytes(b"of a run that was killed")
    ReportFile(path).replace(b"{}")
    assert path.read_bytes() == b"{}"
    assert names(path.parent) == {"out.jsonl", "out.jsonl.1"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_device_is_neither_moved_nor_locked() -> None:
    file = ReportFile(Path("/dev/full"))
    file.check()
    file.lock()
    for write in (file.append, file.replace):
        with pytest.raises(OSError, match="No space left"):
            write(b"1\n")
    ReportFile(Path("/dev/null")).append(b"1\n")
    assert not Path("/dev/.null.pytest-realtime-lock").exists()


# Two runs


def test_only_one_run_at_a_time_locks_a_report(path: Path) -> None:
    one, other = ReportFile(path), ReportFile(path)
    one.lock()
    one.lock()
    with pytest.raises(BlockingIOError, match="another run is writing this file"):
        other.lock()
    third = ReportFile(path.with_name("other.jsonl"))
    third.lock()
    third.release()
    one.append(b"1\n")  # what is held is the name, whatever is moved
    with pytest.raises(BlockingIOError):
        other.lock()
    one.release()
    other.lock()
    other.release()


def test_a_file_system_without_locks_refuses_no_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unknown)
    one, other = ReportFile(path), ReportFile(path)
    for file in (one, other):
        file.lock()
    for file in (one, other):
        file.append(b"1\n")
        file.release()
    assert names(path.parent) == {"out.jsonl", "out.jsonl.1"}


def test_a_killed_run_leaves_no_lock(path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from pytest_realtime_asr.report.files import ReportFile\n"
        "ReportFile(Path(sys.argv[1])).lock()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60)
    assert done.returncode < 0
    assert names(path.parent) == {"out.jsonl", ".out.jsonl.pytest-realtime-lock"}
    file = ReportFile(path)
    file.lock()
    file.release()
    assert names(path.parent) == {"out.jsonl"}


def test_a_child_process_of_a_killed_run_keeps_no_lock(path: Path) -> None:
    """A server that the user's tests have forked may outlive the run."""
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from pytest_realtime_asr.report.files import ReportFile\n"
        "file = ReportFile(Path(sys.argv[1]))\n"
        "file.lock()\n"
        "if not os.fork():\n"
        "    file.release()\n"
        "    os.write(1, b'.')\n"
        "    os.read(0, 1)\n"
        "    os._exit(0)\n"
        "os.read(0, 1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.read(1) == b"."  # the child is there
    file = ReportFile(path)
    with pytest.raises(BlockingIOError):  # and let nobody in
        file.lock()
    process.kill()
    process.wait(60)
    file.lock()
    file.release()
    process.stdin.close()
    assert process.stdout.read() == b""  # it was there until now
    process.stdout.close()
