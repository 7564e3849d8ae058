"""Tests of the file of limits by machine: reading and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.verdicts.budget_file import read

TABLE = """
erasure = 0.2
final = "1s"

[l4]
final = "800ms"

[h100]
final = "300ms"
wer = 0
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "limits.toml"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("profile", "limits"),
    [
        ("", {"erasure": 0.2, "final": "1s"}),
        ("l4", {"erasure": 0.2, "final": "800ms"}),
        ("h100", {"erasure": 0.2, "final": "300ms", "wer": 0}),
    ],
)
def test_limits_of_a_profile_override_the_general_limits(
    path: Path, profile: str, limits: dict[str, object]
) -> None:
    assert read(path, profile) == limits


@pytest.mark.parametrize(
    ("text", "profile", "said"),
    [
        (TABLE, "a100", "no profile 'a100'; choose from l4, h100"),
        (
            "",
            "l4",
            "no profile 'l4'; the file has no profiles, which are tables such as",
        ),
        ("final = fast", "", "Invalid value"),
        (
            "final = true",
            "",
            "final is not a limit; write a duration such as '800ms', or",
        ),
        ("[l4]\n[h100]\nx = [1]", "l4", r"\[h100\] x is not a limit"),
        ("final = 2026-01-01", "", "final is not a limit"),
    ],
)
def test_an_error_in_the_file_is_named(
    path: Path, text: str, profile: str, said: str
) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=f"limits.toml: ?{said}"):
        read(path, profile)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.toml: there is no such file"):
        read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(ValueError, match=r"latin\.toml:1: the text is not UTF-8"):
        read(tmp_path / "latin.toml")
