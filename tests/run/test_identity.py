"""The identity of a run: its id, the versions, and the commit of the tests."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_realtime_asr.run.identity import Commit, RunIdentity, new_id

NOW = datetime(2026, 11, 29, 18, 15, 7, tzinfo=UTC)


def test_the_id_contains_the_start_of_the_run() -> None:
    first, second = new_id(NOW), new_id(NOW.replace(hour=19))
    assert first < second
    assert new_id(NOW) != first
    assert RunIdentity(first).started == NOW


def test_the_versions_and_the_host() -> None:
    found = RunIdentity(new_id())
    assert found.versions["pytest"] == pytest.__version__
    assert all(found.versions.values())
    assert set(found.host) == {"name", "system", "machine", "cpus"}


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    command = ["git", "-C", str(folder), *settings, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert RunIdentity(new_id(), folder=tmp_path).commit == Commit()
    git(tmp_path, "init", "--quiet")
    assert RunIdentity(new_id(), folder=tmp_path).commit == Commit()
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "-m", "a")
    git(tmp_path, "tag", "v1")
    id = git(tmp_path, "rev-parse", "HEAD")
    assert RunIdentity(new_id(), folder=tmp_path).commit == Commit(id)
    (tmp_path / "b").write_text("not known to git")
    assert RunIdentity(new_id(), folder=tmp_path).commit == Commit(id)
    (tmp_path / "a").write_text("2")
    assert RunIdentity(new_id(), folder=tmp_path).commit == Commit(id, dirty=True)
    monkeypatch.setenv("PATH", str(tmp_path))  # without git
    assert RunIdentity(new_id(), folder=tmp_path).commit == Commit()
