"""The command ``selftest`` prints the scores, and fails if a check is unproven."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.conformance import selftest


class Score:
    """A stand-in for the score of a dialect."""

    def __init__(self, *unproven: str) -> None:
        self.unproven = unproven

    def __str__(self) -> str:
        return "the score"


@pytest.mark.parametrize("unproven", [(), ("vllm: one-final: correct, yet violated",)])
def test_the_scores(
    unproven: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[str | None] = []

    def run(dialect: str | None, *, progress: Callable[[str], None]) -> list[Score]:
        asked.append(dialect)
        progress("half of it")
        return [Score(*unproven)]

    monkeypatch.setattr(selftest, "selftests", run)
    assert (
        main(["selftest"]) == main(["selftest", "--dialect", "vllm"]) == bool(unproven)
    )
    assert asked == [None, "vllm"]
    assert capsys.readouterr().out.splitlines() == 2 * [*unproven, "the score"]


def test_an_unknown_dialect(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "--dialect", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown dialect 'none'")
