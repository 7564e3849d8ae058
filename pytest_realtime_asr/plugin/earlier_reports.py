"""Finds the records of a test in the earlier reports of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.earlier_runs import EarlierRun
from pytest_realtime_asr.verdicts.utterance_record import (
    UtteranceRecord,
    shared_test_name,
)

Rows = tuple[UtteranceRecord, ...]


class EarlierRuns:
    """The earlier reports of a run; ``rows`` has the records of each report file."""

    def __init__(self, rows: Mapping[Path, Rows] | None = None) -> None:
        ordered = sorted((rows or {}).items(), key=lambda each: each[1][0].started)
        names = Counter(path.name for path, _ in ordered)
        self._runs: dict[str, dict[str, list[UtteranceRecord]]] = {}
        self.tests: set[str] = set()  # also under the names that tests share
        for path, found in ordered:
            name = path.name if names[path.name] == 1 else str(path)
            by_test = self._runs.setdefault(name, {})
            for row in found:
                for test in {row.test, shared_test_name(row.test, row.utterance)}:
                    by_test.setdefault(test, []).append(row)
            self.tests |= by_test.keys()

    def __bool__(self) -> bool:
        return bool(self._runs)

    @property
    def name(self) -> str:
        """The name of the report, or words such as "the median of 3 earlier runs"."""
        if len(self._runs) == 1:
            return next(iter(self._runs))
        return f"the median of {several(len(self._runs), 'earlier run')}"

    def of(self, test: str) -> list[EarlierRun]:
        """Return the records of a test in each report, the newest report last."""
        return [
            EarlierRun(name, tuple(by_test.get(test, ())))
            for name, by_test in self._runs.items()
        ]

    def refusal(self, tests: Collection[str]) -> str:
        """Return a message if no test of this run can be compared, "" otherwise.

        ``tests`` are the tests of this run. They cannot be compared if no earlier
        report contains any of them. Without earlier reports or without tests, the
        result is "".
        """
        if not self or not tests or not self.tests.isdisjoint(tests):
            return ""
        known = sorted(self.tests, key=lambda test: ("*" not in test, test))
        return (
            f"{self.name}: there is no result of the tests of this run, so nothing "
            f"would be compared; there are results of {_some(known)}"
        )


def _some(tests: Iterable[str]) -> str:
    first, *others = tests
    return first + (f" and {len(others)} more" if others else "")
