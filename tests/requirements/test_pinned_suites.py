"""Tests of pinned suites, which never change after their release."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite, load, names
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Outcome,
    Requirement,
    Satisfied,
)
from pytest_realtime_asr.trace.records import Sender


def requirement(id: str, **changes: object) -> Requirement:
    def judge(_: Evidence) -> Outcome:
        return Satisfied()

    found = Requirement(id, "a title", Level.SHOULD, "a clause", judge)
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that replaces the folder of the pinned suites."""
    monkeypatch.setattr(pinned_suites, "_FOLDER", tmp_path)
    return tmp_path


def freeze(folder: Path, name: str, **levels: str) -> None:
    row = {"dialect": "vllm", "requirements": levels}
    (folder / f"{name}.json").write_text(json.dumps(row))


def test_a_suite_is_loaded_from_its_file(folder: Path) -> None:
    freeze(folder, "vllm-2026.11", order="must", other="info")
    levels = {"order": Level.MUST, "other": Level.INFO}
    assert load("vllm-2026.11") == PinnedSuite("vllm-2026.11", "vllm", levels)


def test_the_suites_are_named_from_the_oldest_on(folder: Path) -> None:
    assert names() == ()
    for name in ("vllm-2027.02", "vllm-2026.11"):
        freeze(folder, name)
    (folder / "README.md").write_text("no suite")
    assert names() == ("vllm-2026.11", "vllm-2027.02")


def test_an_unknown_suite_is_refused_with_the_known_ones(
    folder: Path,
) -> None:
    freeze(folder, "vllm-2026.11")
    freeze(folder, "vllm-2027.02")
    for name in ("vllm-2026", "../vllm-2026.11", ""):
        with pytest.raises(ValueError, match=r"is not a pinned suite") as raised:
            load(name)
        assert str(raised.value) == (
            f"{name!r} is not a pinned suite; choose from vllm-2026.11, vllm-2027.02"
        )


def test_a_suite_selects_its_requirements_at_their_pinned_levels() -> None:
    suite = PinnedSuite("s", "vllm", {"old": Level.MUST, "gone": Level.MUST})
    old, new = requirement("old", scenarios=("a",)), requirement("new", passive=True)
    ours = requirement("ours", binds=Sender.CLIENT)
    assert suite.select([new, old, ours]) == (replace(old, level=Level.MUST), ours)


@pytest.mark.parametrize("name", names())
def test_each_requirement_of_a_released_suite_still_exists(name: str) -> None:
    suite = load(name)
    dialect = dialects.load(suite.dialect)
    binding = [each for each in dialect.requirements if each.binds is Sender.SERVER]
    assert set(suite.levels) <= {each.id for each in binding}
    found = [each for each in suite.select(binding) if each.binds is Sender.SERVER]
    assert {each.id: each.level for each in found} == suite.levels


def test_at_least_one_suite_is_released() -> None:
    assert names()
