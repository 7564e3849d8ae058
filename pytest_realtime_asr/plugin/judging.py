"""The judging of tests: over which takes, where their traces go, what is handed on.

Most budgets are judged at the end of their test. One that is pooled over a module is
judged at the end of the last test of the module that has it, whatever becomes of this
one. So are tests that are compared as one, since they differ in their utterance alone.
Of a test, this knows its id and its terms.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import msgspec

from pytest_realtime_asr.plugin.options import OPTIONS, Option
from pytest_realtime_asr.plugin.settings import ComparisonConfig
from pytest_realtime_asr.report import jsonl, junit, terminal
from pytest_realtime_asr.run.ledger import Purpose, Report, Transcription, report
from pytest_realtime_asr.run.run import Ledger, Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.comparison import Comparison, compare
from pytest_realtime_asr.verdicts.utterance_record import (
    UtteranceRecord,
    shared_test_name,
)

_COMPARED = None  # stands for the budget of a pool that is one to be compared
_NAMED = 60  # characters of an id in the name of a file
Takes = Sequence[Transcription]


@dataclass(slots=True)
class Pool:
    """The takes of tests that are judged as one, by test; the ``last`` judges them.

    ``terms`` are those of one of its tests.
    """

    terms: Terms
    last: str
    takes: dict[str, tuple[Transcription, ...]] = field(default_factory=dict)
    judged: bool = False

    @property
    def all(self) -> Takes:
        """The takes of all tests."""
        return [take for takes in self.takes.values() for take in takes]


@dataclass(frozen=True, slots=True)
class Case:
    """A test: ``terms`` gives its terms, ``select`` are the words that run it alone."""

    test: str
    terms: Callable[[], Terms]
    select: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A test that was judged, for JUnit XML, for the table and for a person.

    ``again`` is the command that runs it again; ``unkept`` says why its traces could
    not be kept, else it is empty.
    """

    report: Report
    row: Mapping[str, object]
    again: str
    unkept: str

    @property
    def properties(self) -> list[tuple[str, str | float | int]]:
        """What JUnit XML gets."""
        return junit.properties(self.report)

    @property
    def failure(self) -> str:
        """Why it fails, and what to do then; empty where it does not."""
        failures = self.report.failures
        return _lines(*failures, self.unkept, self.again) if failures else ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is undecided, and does not fail it."""
        return self.report.warnings

    @property
    def evidence(self) -> str:
        """Where the evidence of a test is that failed by itself."""
        paths = [f"trace: {path}" for path in self.report.paths]
        return _lines(*paths, self.unkept, self.again)


class Judging:
    """Judges the tests of a run in this process.

    ``folder`` gives where the traces of those that fail are kept, ``None`` for
    nowhere; their paths are shown relative to ``origin``. ``given`` is what the
    command line says of an option. By ``comparison`` each test is compared with other
    runs; ``baseline`` are the rows of an earlier report, with
    which each test is compared. ``command`` are the first words of the command that
    runs a test again; ``located`` gives an id as it is named in that command.
    """

    def __init__(
        self,
        run: Run,
        *,
        folder: Callable[[], Path | None],
        origin: Path,
        given: Callable[[Option], object],
        comparison: ComparisonConfig | None = None,
        baseline: Iterable[UtteranceRecord] = (),
        command: Sequence[str] = ("pytest",),
        located: Callable[[str], str] = str,
    ) -> None:
        self.run = run
        self._command = command
        self._located = located
        self._before: dict[str, list[UtteranceRecord]] = {}
        for row in baseline:
            for name in {row.test, shared_test_name(row.test, row.utterance)}:
                self._before.setdefault(name, []).append(row)
        self._comparison = comparison or ComparisonConfig()
        self._compared: dict[str, str] = {}  # the tests, and as what they are compared
        self._given = given
        self._said: Report | None = None
        self._folder = folder
        self._origin = origin
        self._pools: dict[tuple[str, Budget | None], Pool] = {}
        self._asked: set[str] = set()  # the tests of which traces were to be kept

    def expect(self, test: str, terms: Terms, *, compared: str = "") -> None:
        """Note a test that will run, in the order of the tests.

        ``compared`` is as what it is compared with another run: its own id, or the name
        that it shares with others; empty where it is not.
        """
        if compared:
            self._compared[test] = compared
        for key in self._shared(test, terms):
            self._pools.setdefault(key, Pool(terms, test)).last = test

    def begin(self, test: str) -> None:
        """From now on, sessions belong to this test; it may be one that ran before."""
        for key, pool in list(self._pools.items()):
            if module(key[0]) == module(test):
                if pool.takes.pop(test, None) is not None or pool.last == test:
                    pool.judged = False
            elif pool.judged:  # it was kept for a test that is run again
                del self._pools[key]
        self._said = None
        self.run.begin(test)

    def finish(self) -> Ledger | None:
        """Close what the running test has open, and give its ledger, once."""
        ledger = self.run.finish()
        self.run.tell("")
        return ledger

    def judge(self, case: Case, *, failed: bool, pooled: bool) -> Judged | None:
        """Judge a test that ends, which may have ``failed`` by itself.

        ``pooled`` lets the last test of a module judge its pools, else `rest` does.
        """
        ledger = self.finish()
        if ledger is None:
            return None
        test, terms = ledger.test, case.terms()
        spoken = [take.transcription for take in ledger.takes]
        takes = _of(Purpose.TEST, spoken)
        shared = self._share(test, terms, spoken)
        due = {
            key: pool for key, pool in shared.items() if pooled and pool.last == test
        }
        for pool in due.values():
            pool.judged = True
        pools: dict[Budget, Takes] = {}
        for budget in terms.budgets:
            if budget.over is None:
                pools[budget] = takes
            elif (found := due.get((module(test), budget))) is not None:
                pools[budget] = found.all
        compared: Takes | None = spoken
        if (name := self._compared.get(test, test)) != test:
            found = due.get((name, _COMPARED))
            compared = found.all if found is not None else None
        against = cache(lambda: self._against(name, compared or ()))
        if not (ledger.sessions or terms.budgets or terms.thresholds):
            return None

        def judged(paths: Mapping[str, str]) -> Report:
            return report(
                test,
                takes,
                ledger.parts,
                terms,
                pools=pools,
                paths=paths,
                order=ledger.order,
                against=against(),
                parities=ledger.parities,
            )

        # What was judged comes first: its traces are the ones to look at.
        every = [takes, spoken, compared or (), *pools.values()]
        return self._kept(test, case.select, judged, every, failed=failed)

    def skip(self, case: Case) -> None:
        """Close a test that skips itself, or fails in its set-up, after it measured.

        Its own budgets, rules and comparisons are not judged. Its takes stay in the
        pools that it shares with other tests: a test that skips what went wrong must
        not take lost sessions out of their denominators.
        """
        ledger = self.finish()
        if ledger is not None and ledger.takes:
            spoken = [take.transcription for take in ledger.takes]
            self._share(ledger.test, case.terms(), spoken)

    def _share(
        self, test: str, terms: Terms, spoken: Takes
    ) -> dict[tuple[str, Budget | None], Pool]:
        """Put the takes of a test into the pools that it shares, and give these."""
        found = {}
        for key in self._shared(test, terms):
            pool = found[key] = self._pools.setdefault(key, Pool(terms, test))
            takes = spoken if key[1] is _COMPARED else _of(Purpose.TEST, spoken)
            pool.takes[test] = tuple(takes)
        return found

    def _shared(self, test: str, terms: Terms) -> list[tuple[str, Budget | None]]:
        """The keys of the pools that a test shares with others."""
        found: list[tuple[str, Budget | None]] = [
            (module(test), budget)
            for budget in terms.budgets
            if budget.over is not None
        ]
        if (name := self._compared.get(test, test)) != test:
            found.append((name, _COMPARED))
        return found

    def _against(self, name: str, takes: Takes) -> list[Comparison]:
        """Tests compared with what they were in the earlier report and at a baseline.

        Each is a family of comparisons of its own: those of this run with one other.
        """
        config, others = self._comparison, _of(Purpose.BASELINE, takes)
        if config.report is None and not others:
            return []
        rows = _rows(name, _of(Purpose.TEST, takes))
        if not rows:
            return []
        names, found = set(self._compared.values()), []
        if config.report is not None:
            before = self._before.get(name, [])
            tests = len(names & self._before.keys())
            found.append((config.report.name, before, tests))
        if others:
            found.append((others[0].trace.target, _rows(name, others), len(names)))
        # Several that are compared as one are called by the name that they share.
        shared = name in names - self._compared.keys()
        over = f" over {name.rpartition('::')[2]}" if shared else ""
        return [
            compare(other + over, before, rows, config.margins, tests=max(1, tests))
            for other, before, tests in found
        ]

    def again(self, case: Case) -> str:
        """The command that runs a test again."""
        return self._again(case.select)

    def _again(self, select: Iterable[str]) -> str:
        words = again(self._command, self._given, select, self.run.redactor)
        return f"again: {words}"

    def keep(self, test: str, trace: Trace) -> str:
        """Keep a trace of a test on the disk; gives its path, empty where it cannot.

        It has a place beside those that are kept where the test fails. What an earlier
        run kept is removed.
        """
        try:
            if (folder := self._folder()) is None:
                return ""
            folder /= f"{_name(test, told_apart=True)}-asked"
            if test not in self._asked:
                self._asked.add(test)
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{trace.started:%H-%M-%S.%f}.jsonl"
            trace.write(path)
        except Exception as error:
            self.run.warn(_unkept(error))
            return ""
        return os.path.relpath(path, self._origin)

    @property
    def unjudged(self) -> list[str]:
        """One line for each pool with sessions that the end of the run cut off."""
        return [
            f"{budget.metric if budget else 'the comparison'} over {where} was not "
            f"judged: the run ended after {several(len(pool.takes), 'test')} of it"
            for (where, budget), pool in self._pools.items()
            if pool.all and not pool.judged
        ]

    def rest(self, case: Case, *, over: bool) -> Judged | None:
        """Judge the pools that wait at the end of a test, and add them to its report.

        ``over`` says that it is the last test. ``failure`` is that of the pools.
        """
        self.skip(case)  # a set-up that failed or skipped left it open
        test = case.test
        waiting = {
            key: pool
            for key, pool in self._pools.items()
            if (over or pool.last == test) and pool.all and not pool.judged
        }
        if not waiting:
            return None
        said = self._said
        if said is None or said.test != test:
            said = Report(test, ())

        def judged(paths: Mapping[str, str]) -> Report:
            judgements = list(said.judgements)
            failures: list[str] = []
            warnings: list[str] = []
            against = list(said.against)
            for (where, budget), pool in waiting.items():
                found = report(
                    test,
                    (),
                    (),
                    replace(pool.terms, thresholds=(), rules=None),
                    pools={budget: pool.all} if budget else {},
                    paths=paths,
                    against=() if budget else self._against(where, pool.all),
                )
                judgements += found.judgements
                against += found.against
                failures += found.failures
                warnings += found.warnings
            return replace(
                said,
                judgements=tuple(judgements),
                against=tuple(against),
                failures=tuple(failures),
                warnings=tuple(warnings),
                paths=tuple(paths.values()),
            )

        for pool in waiting.values():
            pool.judged = True
        # What was written before is written again, under the same names.
        every = [said.takes, *(pool.all for pool in waiting.values())]
        names = dict.fromkeys(where.partition("[")[0] for where, _ in waiting)
        select = list(map(self._located, names))
        return self._kept(test, select, judged, every, failed=False)

    def _row(self, found: Report) -> Mapping[str, object]:
        """What the table gets, in builtin types."""
        host = self.run.servers.last_host
        row = terminal.row(
            found,
            model=host.model if host else "",
            cold=host.cold if host else None,
            note=host.note if host else "",
        )
        made: dict[str, object] = msgspec.to_builtins(row)
        return made

    def _kept(
        self,
        test: str,
        select: Iterable[str],
        judge: Callable[[Mapping[str, str]], Report],
        takes: Sequence[Takes],
        *,
        failed: bool,
    ) -> Judged:
        """Judge a test; the traces of one that fails are kept on the disk.

        The first of ``takes`` are its own.
        """
        found, unkept = _judged(test, takes[0], judge, {}), ""
        every = {(t.label, t.trace.started): t for each in takes for t in each}
        if found.failures or failed:
            try:
                if (folder := self._folder()) is not None:
                    folder /= _name(test, told_apart=True)
                    paths = _write(folder, every.values(), self._origin)
                    found = _judged(test, takes[0], judge, paths)
            except Exception as error:
                unkept = _unkept(error)
        self._said = found
        return Judged(found, self._row(found), self._again(select), unkept)


def _judged(
    test: str,
    takes: Takes,
    judge: Callable[[Mapping[str, str]], Report],
    paths: Mapping[str, str],
) -> Report:
    """The report of a test; where a part of it raises, the test fails and says why."""
    try:
        return judge(paths)
    except Exception as error:
        kept = tuple(paths.values())
        found = Report(test, tuple(takes), paths=kept)
        why = f"no verdict could be made: {error_text(error, private=found.private)}"
        return replace(found, failures=(why,))


def _unkept(error: Exception) -> str:
    return (
        f"traces not kept: {error_text(error)}; they go into pytest's cache, which "
        "-o cache_dir=FOLDER puts elsewhere"
    )


def _of(purpose: Purpose, takes: Iterable[Transcription]) -> Takes:
    return tuple(take for take in takes if take.purpose is purpose)


def _rows(test: str, takes: Iterable[Transcription]) -> list[UtteranceRecord]:
    return [jsonl.row(test, take) for take in takes]


def module(test: str) -> str:
    """The module of a test, by its id."""
    return test.partition("::")[0]


def again(
    command: Iterable[str],
    given: Callable[[Option], object],
    where: Iterable[str],
    redactor: Redactor,
) -> str:
    """The command that runs a test again with the options that were given to it.

    It begins with ``command``; ``where`` are the words that select the test. No user,
    password, key or session option is shown.
    """
    words = [shlex.quote(redactor.clean(word)) for word in command]
    for option in OPTIONS:
        value = given(option)
        if not value or option.name in ("conformance", "report", "plan", "list"):
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
    if option.name == "session-options":
        return "..."
    if option.name in ("target", "baseline-target"):
        text = text.partition("?")[0]  # what follows may hold a key
        return re.sub("^([^/]*//)?[^/]*@", r"\1", text)
    if option.name == "proxy":  # its password may hold a slash
        return re.sub("^([^/]*//)?.*@", r"\1", text)
    return re.sub("//[^/]*@", "//", text)


def _write(
    folder: Path, takes: Iterable[Transcription], origin: Path
) -> dict[str, str]:
    """Write the traces into a folder that is made anew; gives their paths by label."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths: dict[str, str] = {}
    for index, take in enumerate(takes):
        path = folder / f"{index:03}-{_name(take.utterance.id)}.jsonl"
        take.trace.write(path)
        paths[take.label] = os.path.relpath(path, origin)
    return paths


def _name(id: str, *, told_apart: bool = False) -> str:
    """An id as the name of a file, which is the id's own if it is to be told apart."""
    name = re.sub(r"[^\w.-]+", "-", id, flags=re.ASCII)
    if len(name) <= _NAMED and not told_apart:
        return name
    return f"{name[-_NAMED:]}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def _lines(*lines: str) -> str:
    return "\n".join(filter(None, lines))
