"""Judges the tests of a run, and keeps the traces of the tests that fail.

Most budgets are judged at the end of their test. A budget with ``over="module"`` uses a
*pool*: the transcriptions of all tests with this budget in the module. The pool is
judged at the end of the last of these tests, even if this last test fails or is
skipped. If tests are compared with another run and differ only in their utterance, they
also share a pool. This module knows only the id and the terms of a test.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.capacity import Capacity
from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.load.incomplete_level import IncompleteLevel, incomplete
from pytest_realtime_asr.metrics import LEVELS
from pytest_realtime_asr.plugin.earlier_reports import EarlierRuns
from pytest_realtime_asr.plugin.kept_traces import (
    SessionTraces,
    file_name,
    sent,
    unkept,
    write,
)
from pytest_realtime_asr.plugin.options import COMMANDS, OPTIONS, Option
from pytest_realtime_asr.plugin.settings import ComparisonConfig
from pytest_realtime_asr.report import capacity, jsonl, terminal
from pytest_realtime_asr.report.layout import USUAL
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.results import (
    BrokenRule,
    Results,
    UnjudgedLoss,
    check_recorded,
    is_private,
    judge_test,
)
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.comparison import Comparison, compare, compare_runs
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord

_COMPARED = None  # replaces the budget in the key of a pool that is only compared
Takes = Sequence[Transcription]
T = TypeVar("T")


@dataclass(slots=True)
class Pool:
    """The transcriptions of several tests, to be judged together.

    ``takes`` maps the id of each test to its transcriptions. The pool is judged at the
    end of the test ``last``. ``terms`` are the terms of one of the tests.
    """

    terms: Terms
    last: str
    takes: dict[str, tuple[Transcription, ...]] = field(default_factory=dict)
    judged: bool = False

    @property
    def all(self) -> Takes:
        """The transcriptions of all tests of the pool."""
        return [take for takes in self.takes.values() for take in takes]


@dataclass(frozen=True, slots=True)
class Case:
    """A test to judge, named by its id.

    ``terms`` returns the session settings and limits of the test. ``select`` are the
    command-line arguments that select the test in another run.
    """

    test: str
    terms: Callable[[], Terms]
    select: tuple[str, ...]


class Judging:
    """Judges the tests of a run in this process.

    ``folder`` makes the folder for traces, or returns ``None`` if no traces are kept.
    Paths of traces are shown relative to ``origin``. ``traces`` writes the traces of
    all sessions. Without ``traces``, only the traces of tests that fail are written.

    ``given`` returns the value that the command line gives to an option. ``command``
    has the first words of the command that runs a test again. ``located`` returns the
    id of a test in the form that this command needs. ``comparison`` has the options of
    the comparison with earlier reports or with a baseline server. ``earlier`` has the
    contents of the earlier reports.

    The table at the end of the run is ``width`` characters wide. With ``utterances``,
    it lists the utterances that have word errors. When a test is judged, each of the
    ``sinks`` is called with its results. When traces are kept, each of the
    ``trace_sinks`` is called with the results and the paths of these traces.
    """

    def __init__(
        self,
        run: Run,
        *,
        folder: Callable[[], Path | None],
        origin: Path,
        given: Callable[[Option], object],
        traces: SessionTraces | None = None,
        comparison: ComparisonConfig | None = None,
        earlier: EarlierRuns | None = None,
        command: Sequence[str] = ("pytest",),
        located: Callable[[str], str] = str,
        utterances: bool = False,
        width: int = USUAL,
    ) -> None:
        self.run = run
        self.sinks: list[Callable[[Results], None]] = []
        self.trace_sinks: list[Callable[[Results], None]] = []
        self._command = command
        self._located = located
        self._utterances = utterances
        self._width = width
        self._earlier = earlier or EarlierRuns()
        self._comparison = comparison or ComparisonConfig()
        self._compared: dict[str, str] = {}  # the name in comparisons, by test
        self._given = given
        self._judged: Results | None = None
        self._folder = folder
        self._traces = traces
        self._origin = origin
        self._pools: dict[tuple[str, Budget | None], Pool] = {}
        self._asked: set[str] = set()  # the tests that asked to keep a trace
        # The row of the test that an interrupt ended, by the id of the test.
        self.interrupted: dict[str, Mapping[str, object]] = {}

    def expect(self, test: str, terms: Terms, *, compared: str = "") -> None:
        """Register a test that will run; register tests in the order in which they run.

        ``compared`` is the name under which the test is compared with another run: its
        own id, or a name that it shares with other tests. The name is "" if the test is
        not compared.
        """
        if compared:
            self._compared[test] = compared
        for key in self._shared(test, terms):
            self._pools.setdefault(key, Pool(terms, test)).last = test

    def begin(self, test: str) -> None:
        """Start a test: the sessions that open from now on belong to it.

        If the test has run before, its transcriptions are removed from the pools.
        """
        for key, pool in list(self._pools.items()):
            if module(key[0]) == module(test):
                if pool.takes.pop(test, None) is not None or pool.last == test:
                    pool.judged = False
            elif pool.judged:  # the pool is only needed while its module can run again
                del self._pools[key]
        self._judged = None
        if self._traces is not None:
            self._traces.begin(test)
        self.run.begin(test)

    def finish(self, *, interrupted: bool = False) -> Ledger | None:
        """Close the sessions of the running test and return the `Ledger` of the test.

        ``interrupted`` says that an interrupt of the run ends the test. A second call
        returns ``None``.
        """
        ledger = self.run.finish(interrupted=interrupted)
        self.run.progress("")
        if ledger is not None and self._traces is not None:
            self._traces.end(ledger.test, ledger.sessions)
        return ledger

    def interrupt(self, reports: Iterable[Path]) -> None:
        """End the running test after an interrupt, and make its row of the final table.

        The row counts only the utterances and levels that ended before the interrupt.
        Nothing is judged. ``reports`` are the report files that contain these
        utterances and levels. The row names these files.
        """
        if (ledger := self.finish(interrupted=True)) is None:
            return
        test, every = ledger.test, _of(Purpose.TEST, ledger.takes)
        takes = tuple(take for take in every if take.lost is not Loss.CANCELLED)
        levels = tuple(ledger.records)
        counts = {"level": len(levels), "utterance": len(takes)}
        ended = [several(count, noun) for noun, count in counts.items() if count]
        if not ended:
            return
        what = " and ".join(ended)
        found = f"interrupted: these results cover only the {what} that had ended"
        if files := [os.path.relpath(each, self._origin) for each in reports]:
            found += f"; report: {', '.join(files)}"
        made = Results(test, takes, private=is_private(takes), levels=levels)
        row = self.row(made)
        search = "" if ledger.capacities else capacity.so_far(levels)
        lines = [found, *filter(None, [search]), *row["lines"]]
        self.interrupted[test] = {**row, "verdict": "not judged", "lines": lines}

    def judge(self, case: Case, *, failed: bool, pooled: bool) -> Results | None:
        """Judge a test that ends; return ``None`` if there is nothing to judge.

        ``failed`` says that the test raised an exception. If ``pooled`` is true, the
        pools whose last test has now ended are also judged; otherwise, `rest` judges
        these pools later.
        """
        ledger = self.finish()
        if ledger is None:
            return None
        test, terms = ledger.test, case.terms()
        every = ledger.takes
        takes = _of(Purpose.TEST, every)
        capacities = _capacities(ledger, terms)
        if not takes:  # the limits of the run are only for tests that measure
            terms = terms.own
            if ledger.capacities:
                terms = replace(terms, budgets=(), thresholds=(), recalls=())
        due = {
            key: pool
            for key, pool in self._share(test, terms, every).items()
            if pooled and pool.last == test
        }
        for pool in due.values():
            pool.judged = True
        if not (every or ledger.sessions or _limits(terms)):
            return None
        pools: dict[Budget, Takes] = {}
        for budget in terms.budgets:
            if budget.metric in LEVELS:
                continue  # it judges the levels of the test, not its utterances
            if budget.over is None:
                pools[budget] = takes
            elif (found := due.get((module(test), budget))) is not None:
                pools[budget] = found.all
        name, compared = self._compared.get(test, test), every
        if name != test:
            found = due.get((name, _COMPARED))
            compared = () if found is None else tuple(found.all)

        def judged() -> Results:
            check_recorded(every)
            return judge_test(
                test,
                takes,
                terms,
                pools=pools,
                violations=ledger.violations,
                order=ledger.order,
                against=self._against(name, compared),
                parities=ledger.parities,
                levels=ledger.levels,
                load_findings=[
                    *ledger.load_findings,
                    *capacities,
                    *_cross_talk(ledger),
                    *_incomplete(ledger),
                ],
            )

        beside = tuple(take for take in every if take.purpose is not Purpose.TEST)
        levels = tuple(ledger.records)
        results = replace(_attempt(judged, test, takes), beside=beside, levels=levels)
        raised = tuple(take for take in takes if take.lost and take.raised)
        if failed and raised:
            results = replace(results, reported=(UnjudgedLoss(raised, len(takes)),))
        self._publish(results, self.sinks, "verdicts")
        # The transcriptions that were judged come first, since they explain the result.
        evidence = [takes, every, compared, *pools.values()]
        return self._kept(results, case.select, evidence, failed=failed)

    def skip(self, case: Case) -> None:
        """End a test that skips itself or fails in its set-up.

        The test's own budgets, rules and comparisons are not judged. Its transcriptions
        are added to the pools that it shares with other tests. Otherwise a test could
        skip itself after a lost session and so improve the result of the pool.
        """
        ledger = self.finish()
        if ledger is not None and ledger.takes:
            self._share(ledger.test, case.terms(), ledger.takes)

    def _share(
        self, test: str, terms: Terms, every: Takes
    ) -> dict[tuple[str, Budget | None], Pool]:
        """Add the transcriptions of a test to the pools that it shares with others.

        Returns a mapping from keys to these pools.
        """
        found = {}
        for key in self._shared(test, terms):
            pool = found[key] = self._pools.setdefault(key, Pool(terms, test))
            takes = every if key[1] is _COMPARED else _of(Purpose.TEST, every)
            pool.takes[test] = tuple(takes)
        return found

    def _shared(self, test: str, terms: Terms) -> list[tuple[str, Budget | None]]:
        """Return the keys of the pools that a test shares with other tests."""
        found: list[tuple[str, Budget | None]] = [
            (module(test), budget)
            for budget in terms.budgets
            if budget.over is not None
        ]
        if (name := self._compared.get(test, test)) != test:
            found.append((name, _COMPARED))
        return found

    def _against(self, name: str, takes: Takes) -> list[Comparison]:
        """Compare transcriptions with earlier reports and with the baseline server.

        The false positive rate is divided among all tests that are compared with the
        reports. For the comparisons with the server, it is divided separately, in the
        same way.
        """
        own, others = _of(Purpose.TEST, takes), _of(Purpose.BASELINE, takes)
        if not own or not (self._earlier or others):
            return []
        rows, margins = _rows(name, own), self._comparison.margins
        names = set(self._compared.values())
        # Tests that are compared together are shown by the name that they share.
        shared = name in names - self._compared.keys()
        over = f" over {name.rpartition('::')[2]}" if shared else ""
        found = []
        if self._earlier:
            tests = max(1, len(names & self._earlier.tests))
            other, runs = self._earlier.name + over, self._earlier.of(name)
            found.append(compare_runs(other, runs, rows, margins, tests=tests))
        if others:
            this, other = own[0].trace.target, others[0].trace.target + over
            before, tests = _rows(name, others), max(1, len(names))
            found.append(compare(other, before, rows, margins, tests=tests, this=this))
        return found

    def again(self, case: Case) -> str:
        """Return a line with the command that runs a test again."""
        return self._again(case.select)

    def _again(self, select: Iterable[str]) -> str:
        words = again(self._command, self._given, select, self.run.redactor)
        return f"again: {words}"

    def keep(self, test: str, trace: Trace) -> str:
        """Write a trace of a test to the disk, and return the path of the file.

        Returns "" if the trace cannot be written. The file is in a folder that only
        this test uses. If audio was sent, the name of the file contains the name of the
        utterance. When a test runs again, its earlier traces are removed.
        """
        try:
            if (folder := self._folder()) is None:
                return ""
            folder /= f"{file_name(test, unique=True)}-asked"
            if test not in self._asked:
                self._asked.add(test)
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{trace.started:%H-%M-%S.%f}{sent(trace)}.jsonl"
            trace.write(path)
        except Exception as error:
            self.run.warn(unkept(error))
            return ""
        return os.path.relpath(path, self._origin)

    @property
    def unjudged(self) -> list[str]:
        """Return a line for each pool that was not judged when the run ended."""
        return [
            f"{budget.metric if budget else 'the comparison'} in {where} was not "
            f"judged: the run ended after only {several(len(pool.takes), 'test')} of "
            f"this {'budget' if budget else 'comparison'}"
            for (where, budget), pool in self._pools.items()
            if pool.all and not pool.judged
        ]

    def rest(self, case: Case, *, over: bool) -> Results | None:
        """Judge the pools whose last test has ended, and return the results.

        ``over`` says that the run has no further test, so that all other pools are
        judged too. The results contain the findings of the test itself, but their field
        ``failing`` has only the failures of pools. Returns ``None`` if there is no pool
        to judge.
        """
        self.skip(case)  # the test is still open if its set-up failed or skipped it
        test = case.test
        waiting = {
            key: pool
            for key, pool in self._pools.items()
            if (over or pool.last == test) and pool.all and not pool.judged
        }
        if not waiting:
            return None
        before = self._judged
        if before is None or before.test != test:
            before = Results(test, ())
        for pool in waiting.values():
            pool.judged = True
        pools = _attempt(lambda: self._judged_pools(test, waiting), test, before.takes)
        self._publish(pools, self.sinks, "verdicts")
        causes = (*before.reported, *before.failing)
        before = replace(before, failing=(), undecided=(), skipping=(), reported=causes)
        results = _joined(before, pools)
        # The traces that the test wrote before are written again under the same names.
        every = [before.takes, *(pool.all for pool in waiting.values())]
        names = dict.fromkeys(where.partition("[")[0] for where, _ in waiting)
        select = list(map(self._located, names))
        return self._kept(results, select, every, failed=False)

    def _judged_pools(
        self, test: str, waiting: Mapping[tuple[str, Budget | None], Pool]
    ) -> Results:
        """Judge the pools in ``waiting``; return results with the id ``test``."""
        found = Results(test, ())
        for (where, budget), pool in waiting.items():
            judged = judge_test(
                test,
                (),
                replace(pool.terms, budgets=(), thresholds=(), recalls=(), rules=None),
                pools={budget: pool.all} if budget else {},
                against=() if budget else self._against(where, pool.all),
            )
            found = _joined(found, judged)
        every = {take.label: take for pool in waiting.values() for take in pool.all}
        return replace(found, judged=every)

    def _publish(
        self,
        results: Results,
        sinks: Iterable[Callable[[Results], None]],
        what: str,
    ) -> None:
        """Pass results to sinks; if a sink raises an error, warn the user.

        The warning says that the data named by ``what`` is missing from the sink's
        report.
        """
        for sink in sinks:
            try:
                sink(results)
            except Exception as error:
                why = error_text(error, private=self.run.redactor.private)
                owner = getattr(sink, "__self__", sink)
                self.run.warn(f"{owner}: {why}; {what} are missing from this report")

    def row(self, results: Results) -> Mapping[str, Any]:
        """Return the row of a test for the final table, in builtin types."""
        host = self.run.servers.last_host
        row = terminal.row(
            results,
            model=host.model if host else "",
            cold=host.cold if host else None,
            note=host.note if host else "",
            listed=self._utterances,
            width=self._width,
        )
        made: dict[str, Any] = msgspec.to_builtins(row)
        return made

    def _kept(
        self,
        results: Results,
        select: Iterable[str],
        evidence: Sequence[Takes],
        *,
        failed: bool,
    ) -> Results:
        """Return results with the paths of traces, and with a command.

        The command runs the test again. Each path is the file of the trace of one
        transcription in ``evidence``. If the traces of all sessions are kept, these
        files exist already. Otherwise they are written now, but only if the test fails.
        """
        paths: Mapping[str, str] = {}
        missing = None
        every = {(t.label, t.trace.started): t for each in evidence for t in each}
        if self._traces is not None:
            found = {t.label: self._traces.path(t.trace) for t in every.values()}
            paths = {label: path for label, path in found.items() if path}
            missing = self._traces.unkept
        elif every and (results.failing or failed):
            try:
                if (folder := self._folder()) is not None:
                    folder /= file_name(results.test, unique=True)
                    paths = write(folder, every.values(), self._origin)
            except Exception as error:
                missing = unkept(error)
        rerun = self._again(select)
        causes = tuple(
            self._traced(each, results.test, every.values(), paths)
            if isinstance(each, BrokenRule)
            else each
            for each in results.failing
        )
        self._judged = replace(
            results, paths=paths, rerun=rerun, unkept=missing, failing=causes
        )
        if paths:
            self._publish(self._judged, self.trace_sinks, "paths of traces")
        return self._judged

    def _traced(
        self,
        broken: BrokenRule,
        test: str,
        takes: Iterable[Transcription],
        paths: Mapping[str, str],
    ) -> BrokenRule:
        """Return a violated requirement with the trace of its first violation.

        ``paths`` maps the label of each transcription to the file of its trace. A
        session without an utterance has no transcription, so its trace is written now.
        """
        part = broken.violation.session
        if part is None:  # the frames of the session were dropped
            found = (paths.get(t.label, "") for t in takes if _breaks(t, broken))
            return replace(broken, trace=next(filter(None, found), ""))
        written = {id(take.trace): paths.get(take.label, "") for take in takes}
        known = written.get(id(part.trace))
        if self._traces is not None:
            known = self._traces.path(part.trace)
        path = self.keep(test, part.trace) if known is None else known
        return replace(broken, trace=path)


def _breaks(take: Transcription, broken: BrokenRule) -> bool:
    """Return whether a session whose frames were dropped violated the requirement."""
    id = broken.violation.requirement.id
    return take.kept is not None and any(
        each.requirement.id == id for each in take.violations
    )


def _capacities(ledger: Ledger, terms: Terms) -> list[CapacityFinding]:
    """Return the verdict on each capacity of a test.

    If the test has the marker `capacity` but measured no capacity, one verdict says so.
    """
    found: list[Capacity | None] = [*ledger.capacities]
    if not found and terms.capacity is not None:
        found = [None]
    return [
        CapacityFinding(each, terms.capacity, terms.budgets, terms.thresholds)
        for each in found
    ]


def _cross_talk(ledger: Ledger) -> list[CrossTalkFinding]:
    """Return the finding about cross-talk in a test; empty without cross-talk."""
    found = tuple(each for record in ledger.records for each in record.cross_talk)
    count = sum(len(level.steady) for level in ledger.levels)
    return [CrossTalkFinding(found, count)] if found else []


def _incomplete(ledger: Ledger) -> list[IncompleteLevel]:
    """Return a finding for each level that did not run as planned.

    The levels of a capacity search are left out, since the search reports them itself.
    """
    own = [record.level for record in ledger.records if record.step is None]
    return [found for each in own if (found := incomplete(each)) is not None]


def _limits(terms: Terms) -> bool:
    """Return whether a test has a limit and therefore must measure something."""
    found = (terms.budgets, terms.thresholds, terms.recalls, terms.capacity)
    return any(found)


def _attempt(judge: Callable[[], Results], test: str, takes: Takes) -> Results:
    """Call ``judge`` and return its results; turn an exception into a failure."""
    try:
        return judge()
    except Exception as error:
        return Results(test, tuple(takes), failing=(error,), private=is_private(takes))


def _joined(results: Results, more: Results) -> Results:
    """Return ``results`` with the verdicts of ``more`` added."""
    return replace(
        results,
        findings=results.findings + more.findings,
        against=results.against + more.against,
        failing=results.failing + more.failing,
        undecided=results.undecided + more.undecided,
        skipping=results.skipping + more.skipping,
        judged={**results.judged, **more.judged},
        private=results.private or more.private,
    )


def _of(purpose: Purpose, takes: Iterable[Transcription]) -> tuple[Transcription, ...]:
    return tuple(take for take in takes if take.purpose is purpose)


def _rows(test: str, takes: Iterable[Transcription]) -> list[UtteranceRecord]:
    return [jsonl.row(test, take) for take in takes]


def module(test: str) -> str:
    """Return the path of the module of a test, from the test's id."""
    return test.partition("::")[0]


def again(
    command: Iterable[str],
    given: Callable[[Option], object],
    where: Iterable[str],
    redactor: Redactor,
) -> str:
    """Return the command that runs a test again, with the options of this run.

    ``command`` has the first words of the result. ``where`` has the arguments that
    select the test. The result shows no user, password, key or session option.
    """
    words = [shlex.quote(redactor.clean(word)) for word in command]
    for option in OPTIONS:
        value = given(option)
        if not value or option.name in ("conformance", "report", "plan", *COMMANDS):
            continue
        if option.flag:
            words.append(option.cli)
            continue
        for each in value if isinstance(value, list) else [value]:
            shown = redactor.clean(_shown(option, str(each)))
            if option.name == "corpus":
                shown = "PATH" if redactor.private else shown
            words.append(f"{option.cli}={shlex.quote(shown)}")
    return " ".join([*words, *(shlex.quote(redactor.clean(word)) for word in where)])


def _shown(option: Option, text: str) -> str:
    if option.name in ("session-options", "api-key-command"):
        return "..."
    if option.name in ("target", "baseline-target"):
        text = text.partition("?")[0]  # the query may contain a key
        return re.sub("^([^/]*//)?[^/]*@", r"\1", text)
    if option.name == "proxy":  # the password may contain a slash
        return re.sub("^([^/]*//)?.*@", r"\1", text)
    return re.sub("//[^/]*@", "//", text)
