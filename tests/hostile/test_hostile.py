"""Each hostile server, disk, user or file is answered by one clear line, in time."""

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
BUSY = 3  # a machine with other work may take so many times as long
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
def test_the_user_is_told_in_one_line(case: Case, tmp_path: Path) -> None:
    told = case.ask(tmp_path)
    for text in case.says:
        assert text in told, f"{case.does}: {told}"
    assert len(told.strip().splitlines()) == 1, told
    assert told.isprintable(), repr(told)


def test_each_case_has_an_id_of_its_own() -> None:
    assert Counter(case.id for case in CASES).most_common(1)[0][1] == 1
