"""The content of the reports at the end of a run: tests, failures and requirements.

The summaries for CI services (Markdown, benchmark, OpenMetrics, annotations) are views
of this value. They compute no number themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pytest_realtime_asr.report.conformance import Document
from pytest_realtime_asr.report.terminal import Row
from pytest_realtime_asr.run.identity import RunIdentity


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failure of one test, as pytest reports it, without secrets.

    ``test`` is the id of the test. ``path`` is the file of the test, relative to
    pytest's rootdir. ``line`` is the first line of the test, counted from 1; ``None``
    if it is not known, for example because a worker of xdist crashed. ``headline`` is
    the first line of the failure. ``text`` is the whole failure with its evidence.
    ``requirement`` says that the test judges a requirement of the packaged suite.
    """

    test: str
    path: str
    line: int | None
    headline: str
    text: str
    requirement: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The results of a run when it ends.

    ``rows`` has a row for each test that measured something. ``conformance`` is the
    result of the packaged suite, or ``None`` if the suite judged nothing.
    ``interrupted`` says that the run was stopped early, so that tests are missing.
    """

    run: RunIdentity
    rows: Sequence[Row]
    failures: Sequence[Failure] = ()
    conformance: Document | None = None
    interrupted: bool = False

    @property
    def replayed(self) -> bool:
        """Whether recorded sessions were replayed."""
        return self.run.replayed or any(each.replayed for each in self.rows)

    @property
    def failed(self) -> Sequence[str]:
        """The ids of the tests that failed, each once, in the order of the failures."""
        return list(dict.fromkeys(each.test for each in self.failures))


def summary(
    run: RunIdentity,
    rows: Iterable[Mapping[str, object]],
    failures: Iterable[Mapping[str, object]],
    *,
    conformance: Document | None,
    interrupted: bool,
) -> RunSummary:
    """Return the summary of a run; rows and failures are given in builtin types."""
    return RunSummary(
        run=run,
        rows=msgspec.convert(list(rows), list[Row]),
        failures=msgspec.convert(list(failures), list[Failure]),
        conformance=conformance,
        interrupted=interrupted,
    )
