"""Each hostile server, disk, user or file leads to one clear line, in time."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from tests import hostile
from tests.hostile import Case

MODULES = sorted(
    path.stem
    for path in Path(hostile.__file__).parent.glob("*.py")
    if path.stem not in {"__init__", "test_hostile"}
)
BUSY = 3  # factor by which a busy machine may be slower
CASES: list[Case] = [
    case for name in MODULES for case in import_module(f"tests.hostile.{name}").CASES
]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id, marks=pytest.mark.timeout(BUSY * case.within))
        for case in CASES
    ],
)
def test_the_message_is_one_clear_line(case: Case, tmp_path: Path) -> None:
    shown = case.ask(tmp_path)
    for text in case.says:
        assert text in shown, f"{case.does}: {shown}"
    assert len(shown.strip().splitlines()) == 1, shown
    assert shown.isprintable(), repr(shown)


def test_each_case_has_its_own_id() -> None:
    assert Counter(case.id for case in CASES).most_common(1)[0][1] == 1
